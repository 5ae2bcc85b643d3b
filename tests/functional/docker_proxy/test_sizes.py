"""What a client downloads of a tag: for an index, the image of the usual platform with it."""

import json
import secrets

import pytest

from repoman.catalog.model import ComponentQuery, PageRequest
from repoman.catalog.visibility import EveryViewer
from repoman.db.models import database_proxy
from tests.functional.docker.images import OCI_INDEX, Image, descriptor, index_of, to_json
from tests.functional.docker.images import make_image as image_of
from tests.functional.docker_proxy.proxies import Proxies, name_of
from tests.recount import counted, kept

APP = "team/app"


def size_of(image: Image) -> int:
    return sum(map(len, (*image.blobs, image.manifest)))


@pytest.fixture
def sizes(make_proxy: Proxies):
    """The sizes that lists show of the tags of a repository; all kept sums are right."""
    repoman = make_proxy.repoman

    def find(registry) -> dict[str, int]:
        query = ComponentQuery(repositories=(name_of(registry),), kind="tag")
        page = repoman.catalog.components(query, PageRequest(), EveryViewer(repoman.repositories))
        connection = database_proxy.connection()
        assert kept(connection) == counted(connection)
        return {each.version: each.size for each in page.items}

    return find


@pytest.fixture
def images() -> tuple[Image, Image]:
    """An image of the usual platform, and another one."""
    return image_of(secrets.token_bytes(5000)), image_of(secrets.token_bytes(9000))


def listed_last(usual: Image, other: Image) -> bytes:
    """An index that has an attestation first, and the usual platform last."""
    attested = to_json({"schemaVersion": 2, "layers": []})
    platforms = (
        (attested, "unknown", "unknown"),
        (other.manifest, "linux", "arm64"),
        (usual.manifest, "linux", "amd64"),
    )
    children = [
        descriptor(each, json.loads(usual.manifest)["mediaType"], platform=platform)
        for each, os, machine in platforms
        for platform in [{"os": os, "architecture": machine}]
    ]
    return to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})


@pytest.mark.parametrize("make_index", [lambda a, b: index_of(a.manifest, b.manifest), listed_last])
def test_an_index_counts_the_image_of_the_usual_platform(make_proxy, sizes, images, make_index):
    hosted, index = make_proxy.hosted(), make_index(*images)
    for image in images:
        hosted.push_blobs(APP, image)
        hosted.push_manifest(APP, image.digest, image.manifest)
    hosted.push_manifest(APP, "1", index)
    hosted.push_manifest(APP, "2", index)
    hosted.push_manifest(APP, "arm", images[1].manifest)
    whole = len(index) + size_of(images[0])
    assert sizes(hosted) == {"1": whole, "2": whole, "arm": size_of(images[1])}


def test_an_index_whose_images_come_later_grows_with_them(make_proxy, sizes, images):
    hosted, (usual, other) = make_proxy.hosted(), images
    index = listed_last(usual, other)
    hosted.push_manifest(APP, "1", index)
    assert sizes(hosted) == {"1": len(index)}
    for image, shown in ((other, other), (usual, usual), (other, usual)):
        hosted.push_blobs(APP, image)
        hosted.push_manifest(APP, image.digest, image.manifest)
        assert sizes(hosted) == {"1": len(index) + size_of(shown)}


def test_a_proxy_counts_the_image_that_was_pulled(make_proxy, upstream, sizes, images):
    index = listed_last(*images)
    for image in images:
        upstream.put(APP, None, image)
    upstream.put_manifest(APP, "1", index)
    proxy = make_proxy(upstream.url)
    assert proxy.get(f"{APP}/manifests/1").body == index
    assert sizes(proxy) == {"1": len(index)}
    for image in reversed(images):
        proxy.get(f"{APP}/manifests/{image.digest}")
        assert sizes(proxy) == {"1": len(index) + size_of(image)}
