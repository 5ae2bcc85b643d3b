"""Version 1 of the API: paths of images have no image name, and rights are those of image names."""

import gzip
import json

import pytest

from repoman.testing import ADMIN
from tests.functional.docker.driver import Login, Registry
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker_v1.driver import Engine, Failure, V1Image, make_chain, make_tar
from tests.functional.rights.stage import Stage

TAKEN_JSON = Failure("put json", 409, "Another image has this id")
TAKEN_LAYER = Failure("put checksum", 409, "Another image has this id")


@pytest.fixture
def hosted(stage: Stage) -> str:
    """A repository without content."""
    return stage.make_repository(docker__v1_enabled=True)


@pytest.fixture
def engine(stage, hosted):
    """The repository for the engine of a user, who sends the password always."""

    def make(login: Login | None = ADMIN, *, basic: bool = True) -> Engine:
        return Engine(stage.connector(hosted).wire, "", login, basic=basic)

    return make


@pytest.fixture
def registry(stage, hosted) -> Registry:
    """The repository for an administrator who speaks version 2."""
    return stage.connector(hosted)


@pytest.fixture
def user_of(stage, hosted):
    """Make a user who may do something with the images whose names begin with a word."""

    def make(word: str, *actions: str) -> Login:
        return stage.make_user(stage.make_selected(hosted, f'path =^ "/v2/{word}/"', actions))

    return make


@pytest.fixture
def mallory(engine, user_of) -> Engine:
    """An engine of somebody who may push her own images, and do nothing with those of a team."""
    return engine(user_of("aaa", "browse", "read", "add", "edit"))


# --- One id, one image ----------------------------------------------------------------------------


def with_json(image: V1Image, **changes: object) -> V1Image:
    return V1Image(json.dumps({**image.fields, **changes}).encode(), image.layer)


def test_an_id_cannot_be_given_to_another_image(engine, mallory):
    [image] = make_chain(1)
    engine().push("team/app", "1", [image])
    evil = with_json(image, config={"Cmd": ["evil"]})
    assert mallory.push("aaa/x", "1", [evil], failure=TAKEN_JSON) == []
    evil = V1Image(image.json, gzip.compress(make_tar(b"evil")))
    assert mallory.push("aaa/x", "1", [evil], failure=TAKEN_LAYER) == []
    assert engine().pull("team/app", "1") == [image]


def test_of_two_pushes_of_one_id_the_first_to_end_wins(engine, mallory):
    [image] = make_chain(1)
    evil = with_json(image, config={"Cmd": ["evil"]})
    mallory.put("repositories/aaa/x/", [{"id": image.id}], is_first=True)
    mallory.send("PUT", f"images/{image.id}/json", evil.json)
    mallory.send("PUT", f"images/{image.id}/layer", [evil.layer])
    engine().push("team/app", "1", [image])
    headers = {"X-Docker-Checksum-Payload": evil.payload}
    answer = mallory.send("PUT", f"images/{image.id}/checksum", b"", headers)
    assert answer.status == 409
    assert engine().pull("team/app", "1") == [image]


def test_an_id_that_is_derived_stays_what_it_is_derived_from(engine, registry, mallory):
    registry.push("team/app", "1", make_image(gzip.compress(make_tar(b"x"), mtime=0)))
    chain = engine().pull("team/app", "1")
    [top] = chain[-1:]
    fields = {key: value for key, value in top.fields.items() if key != "parent"}
    evil = V1Image(json.dumps({**fields, "config": {"Cmd": ["evil"]}}).encode(), top.layer)
    mallory.push("aaa/x", "1", [evil])
    assert engine().pull("team/app", "1") == chain
    engine().push("team/other", "1", chain)
    assert engine().pull("team/other", "1") == chain


def test_a_push_is_made_of_its_own_layers(engine, registry):
    [image] = make_chain(1)
    packed_anew = V1Image(image.json, gzip.compress(gzip.decompress(image.layer), 1, mtime=9))
    engine().push("aaa/x", "1", [image])
    engine(basic=False).push("team/app", "1", [packed_anew])
    assert engine().push("team/app", "2", [packed_anew]) == []
    for tag in ("1", "2"):
        manifest = json.loads(registry.pull("team/app", tag))
        assert manifest["layers"][0]["digest"] == digest_of(packed_anew.layer)
