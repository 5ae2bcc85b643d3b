"""Blobs that have lost their bytes: they count as absent until somebody pushes them again."""

import os
import secrets

import pytest

from tests.clock import wait_until
from tests.functional.docker.driver import Failures
from tests.functional.docker.images import Image, digest_of, make_image

SMALL, LARGE = 3_000, 200_000  # bytes of a blob that is kept in memory, and of one that is not


@pytest.fixture(params=[SMALL, LARGE])
def layer(request) -> bytes:
    """A layer that no other test has."""
    return secrets.token_bytes(request.param)


@pytest.fixture
def image(layer) -> Image:
    """An image with that layer."""
    return make_image(layer)


@pytest.fixture
def file_of(site):
    """The file of a blob."""

    def file_of(data):
        digest = digest_of(data).removeprefix("sha256:")
        return site.data / "blobs/default/sha256" / digest[:2] / digest

    return file_of


def lose(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"X")


def put_directory(path):
    path.unlink()
    path.mkdir()


def put_link(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


def put_fifo(path):
    path.unlink()
    os.mkfifo(path)


HARMS = [lose, cut, lengthen, put_directory, put_link, put_fifo]


@pytest.mark.parametrize("harm", HARMS)
def test_a_lost_layer_is_absent_and_the_next_push_heals_every_image(
    registry, name, other_name, image, layer, file_of, harm
):
    registry.push(name, "1", image)
    registry.push(other_name, "1", image)
    harm(file_of(layer))
    digest = digest_of(layer)
    for each in (name, other_name):
        assert registry.head(f"{each}/blobs/{digest}").status == 404
        answer = registry.get(f"{each}/blobs/{digest}")
        assert (answer.status, answer.code) == (404, "BLOB_UNKNOWN")
    registry.push(name, "1", image)
    for each in (name, other_name):
        assert registry.pull(each, "1") == image.manifest
        assert registry.get(f"{each}/blobs/{digest}").body == layer


def test_the_loss_of_a_manifest_is_noticed_soon_however_often_it_is_requested(
    registry, name, image, file_of
):
    registry.push(name, "1", image)
    path = f"{name}/manifests/1?x={secrets.token_hex(4)}"
    assert registry.get(path).body == image.manifest
    lose(file_of(image.manifest))
    assert registry.head(f"{name}/manifests/1").status == 404
    wait_until(
        lambda: registry.get(f"{name}/manifests/1?x={secrets.token_hex(4)}").status == 404,
        what="the loss of the manifest",
    )
    registry.put_manifest(name, "1", image.manifest)
    assert registry.get(path).body == image.manifest


def test_a_lost_layer_is_not_mounted(registry, name, other_name, image, layer, file_of):
    registry.push(name, "1", image)
    lose(file_of(layer))
    digest = digest_of(layer)
    for query in ({"mount": digest, "from": name}, {"mount": digest}):
        assert registry.start(other_name, **query).status == 202
    assert not registry.has_blob(other_name, digest)
    registry.push_blob(name, layer)
    assert registry.start(other_name, mount=digest, **{"from": name}).status == 201


def test_a_manifest_is_refused_whose_blobs_are_lost(registry, name, image, layer, file_of):
    registry.push(name, "1", image)
    for blob in (layer, image.config):
        lose(file_of(blob))
        answer = registry.put_manifest(name, "2", image.manifest)
        assert (answer.status, answer.code) == (400, Failures.BLOB_MISSING.code)
        registry.push_blob(name, blob)
    assert registry.put_manifest(name, "2", image.manifest).status == 201


def test_a_lost_manifest_is_absent_and_the_next_push_heals_it(registry, name, image, file_of):
    digest = registry.push(name, "1", image)
    lose(file_of(image.manifest))
    for reference in ("1", digest):
        for method in ("HEAD", "GET"):
            assert registry.send(method, f"{name}/manifests/{reference}").status == 404
    assert registry.put_manifest(name, "2", image.manifest).status == 201
    for reference in ("1", "2", digest):
        assert registry.pull(name, reference) == image.manifest


def test_a_damaged_small_blob_is_not_given_out_and_counts_when_it_is_put_back(
    registry, name, file_of
):
    data = secrets.token_bytes(SMALL)
    path = f"{name}/blobs/{registry.push_blob(name, data)}"
    for warm in (True, False):  # kept in memory when the damage comes, and not
        if warm:
            assert registry.get(path).body == data
        file_of(data).write_bytes(data[:-1] + b"?")
        for method in ("HEAD", "GET"):  # a push that asks sends it again
            assert registry.send(method, path, headers={"X-Try": "1"}).status == 404
        file_of(data).write_bytes(data)
        assert registry.get(path).body == data


def test_a_directory_with_something_in_it_is_no_way_to_lose_an_error(
    registry, name, layer, file_of
):
    """What an administrator has put in the place of a blob is not removed."""
    file_of(layer).mkdir()
    (file_of(layer) / "notes").touch()
    digest = digest_of(layer)
    answer = registry.finish(registry.begin(name), digest, layer)
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    (file_of(layer) / "notes").unlink()
    registry.push_blob(name, layer)
    assert registry.has_blob(name, digest)
