"""What whoever may only add, or a policy that forbids redeploys, leaves as clients see it."""

import json
import secrets
from base64 import b64encode

import pytest

from repoman.testing import ADMIN
from tests.functional.docker.images import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Image,
    digest_of,
    index_of,
    make_image,
    manifest_of,
    to_json,
)
from tests.functional.docker_v1.driver import Engine, Failure, V1Image, make_chain
from tests.functional.rights.stage import view

NAME = "team/app"
ADDING = ("browse", "read", "add")
OTHER_TYPES = [
    OCI_INDEX,
    DOCKER_MANIFEST,
    "application/vnd.oci.artifact.manifest.v1+json",
    "application/vnd.acme.thing.v1+json",
]
DESCRIPTION = "org.opencontainers.image.description"


def untyped(image: Image, **more: object) -> Image:
    """The same image whose manifest does not say its own media type."""
    fields = json.loads(manifest_of(image.config, image.layers, **more))
    del fields["mediaType"]
    return Image(image.config, image.layers, to_json(fields))


@pytest.fixture(params=["allow", "allow_once"])
def hosted(stage, request) -> str:
    return stage.make_repository(storage__write_policy=request.param, docker__v1_enabled=True)


@pytest.fixture
def admin(stage, hosted):
    return stage.connector(hosted)


@pytest.fixture
def adder(stage, hosted):
    """Somebody who may add and not edit."""
    return stage.connector(hosted, stage.make_user(*view(hosted, *ADDING)))


def served(registry, *references: str) -> list[tuple[bytes, str]]:
    """What clients see of each reference: the bytes and the media type."""
    answers = [registry.get(f"{NAME}/manifests/{each}") for each in references]
    return [(each.body, each.headers["Content-Type"]) for each in answers]


@pytest.mark.parametrize("by", ["tag", "digest", "new tag"])
@pytest.mark.parametrize("media_type", OTHER_TYPES)
def test_a_manifest_keeps_its_media_type(admin, adder, by, media_type):
    image = untyped(make_image())
    admin.push_blobs(NAME, image)
    assert admin.put_manifest(NAME, "1", image.manifest, OCI_MANIFEST).status == 201
    seen = served(admin, "1", image.digest)
    reference = {"tag": "1", "digest": image.digest, "new tag": "2"}[by]
    for registry in (adder, admin):
        answer = registry.put_manifest(NAME, reference, image.manifest, media_type)
        assert answer.status == 400
    assert served(admin, "1", image.digest) == seen
    assert admin.tags(NAME) == ["1"]
    assert admin.delete(f"{NAME}/blobs/{digest_of(image.layers[0])}").status == 405


def test_an_index_keeps_its_media_type(admin, adder):
    fields = json.loads(index_of(make_image().manifest))
    del fields["mediaType"]
    index = to_json(fields)
    assert admin.put_manifest(NAME, "1", index, OCI_INDEX).status == 201
    seen = served(admin, "1", digest_of(index))
    answer = adder.put_manifest(NAME, digest_of(index), index, "application/vnd.acme.v1+json")
    assert (answer.status, answer.code) == (400, "MANIFEST_INVALID")
    assert "Delete the manifest first" in answer.message
    assert served(admin, "1", digest_of(index)) == seen


def test_the_same_push_again_is_no_change(admin, adder):
    image = make_image()
    admin.push(NAME, "1", image)
    for reference in ("1", image.digest, "2"):
        assert adder.put_manifest(NAME, reference, image.manifest).status == 201


def test_a_deleted_manifest_may_come_back_under_another_media_type(admin):
    image = untyped(make_image())
    admin.push_blobs(NAME, image)
    assert admin.put_manifest(NAME, "1", image.manifest, OCI_MANIFEST).status == 201
    assert admin.delete(f"{NAME}/manifests/{image.digest}").status == 202
    assert admin.put_manifest(NAME, "1", image.manifest, DOCKER_MANIFEST).status == 201
    assert served(admin, "1") == [(image.manifest, DOCKER_MANIFEST)]


def test_only_who_may_edit_changes_a_description(admin, adder):
    login = {"Authorization": "Basic " + b64encode(":".join(ADMIN).encode()).decode()}

    def describe(registry, tag: str, text: str) -> str:
        registry.push(NAME, tag, make_image(annotations={DESCRIPTION: text}))
        [found] = admin.wire.send("GET", f"/v1/search?q={NAME}", login).json()["results"]
        return str(found["description"])

    assert describe(adder, "1", "The first one") == "The first one"
    assert describe(adder, "2", "Not theirs to say") == "The first one"
    assert describe(admin, "3", "A better one") == "A better one"


def test_an_image_of_version_1_keeps_its_id(admin, adder):
    """Other ids with the same layers come to the same manifest."""
    chain = make_chain(2)
    owner, other = (Engine(each.wire, "", each.login, basic=True) for each in (admin, adder))
    owner.push(NAME, "1", chain)
    new_ids = {each.id: secrets.token_hex(32) for each in chain}
    again = [V1Image(replaced(each.json, new_ids), each.layer) for each in chain]
    other.push(NAME, "mine", again, failure=Failure("put tag", 403, "which cannot change"))
    assert owner.pull(NAME, "1") == chain
    assert admin.tags(NAME) == ["1"]


def replaced(text: bytes, changes: dict[str, str]) -> bytes:
    """A text with other words in place of some."""
    for old, new in changes.items():
        text = text.replace(old.encode(), new.encode())
    return text
