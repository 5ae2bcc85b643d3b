"""Version 1 of the API: paths of images have no image name, and rights are those of image names."""

import gzip
import json

import pytest

from repoman.testing import ADMIN
from tests.fakes.registry import fake_registry
from tests.functional.docker.driver import Login, Registry
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker_v1.driver import (
    Engine,
    Failure,
    Refused,
    V1Image,
    make_chain,
    make_tar,
)
from tests.functional.rights.stage import Stage

TAKEN_JSON = Failure("put json", 409, "Another image already has this id")
TAKEN_LAYER = Failure("put checksum", 409, "Another image already has this id")


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


# --- What rights tell -----------------------------------------------------------------------------


def as_reader(engine, user_of, word: str, *actions: str) -> Engine:
    return engine(user_of(word, *(actions or ("browse", "read"))))


@pytest.mark.parametrize("written", ["app", "library/app", "team/app"])
def test_a_refusal_does_not_tell_what_there_is(engine, registry, user_of, written):
    reader = as_reader(engine, user_of, "other")
    before = reader.get(f"repositories/{written}/tags")
    assert before.status == 403
    for name in ("library/app", "team/app"):
        registry.push(name, "1", make_image())
    assert reader.get(f"repositories/{written}/tags").body == before.body


def test_a_proxy_asks_its_remote_for_those_only_who_may_read(stage):
    with fake_registry() as upstream:
        upstream.put("library/app", "1", make_image())
        name = stage.make_repository(
            "docker-proxy", proxy__remote_url=upstream.url, docker__v1_enabled=True
        )
        stranger = Engine(stage.connector(name).wire, "", stage.make_user(), basic=True)
        for what in ("images", "tags", "tags/1", "tags/1/json", "json"):
            assert stranger.get(f"repositories/app/{what}").status == 403
        assert upstream.lines() == []


def test_of_two_forms_of_a_name_the_one_counts_that_one_may_read(engine, registry, user_of):
    image = make_image(gzip.compress(make_tar(b"x"), mtime=0))
    registry.push("app", "1", make_image())
    registry.push("library/app", "1", image)
    reader = as_reader(engine, user_of, "library")
    assert reader.pull("app", "1")[-1].layer == image.layers[-1]


def test_what_is_told_of_a_tag_needs_the_right_to_it(stage, hosted, engine, registry):
    for tag in ("1.0", "2.0"):
        registry.push("team/app", tag, make_image())
    expression = 'path =~ "/v2/team/app/(manifests/1[.].*|blobs/.*)"'
    reader = engine(stage.make_user(stage.make_selected(hosted, expression, ["read"])))
    for what in ("", "/json"):
        assert reader.get(f"repositories/team/app/tags/1.0{what}").status == 200
        assert reader.get(f"repositories/team/app/tags/2.0{what}").status == 403


def test_the_settings_of_an_image_need_the_right_to_its_blobs(stage, hosted, engine, registry):
    registry.push("team/app", "1", make_image())
    expression = 'path =^ "/v2/team/app/manifests/"'
    reader = engine(stage.make_user(stage.make_selected(hosted, expression, ["read"])))
    top = reader.get("repositories/team/app/tags/1").json()
    assert reader.get(f"images/{top}/layer").status == 403
    assert reader.get(f"images/{top}/json").status == 403


# --- What each right is for -----------------------------------------------------------------------

# What a user may do with the image team/app: the actions, and the status of each attempt.
TABLE = """
actions                  pull  push  move  delete-tag  delete-all
browse                   403   403   403   403         403
browse,read              200   403   403   403         403
browse,read,add          200   200   403   403         403
browse,read,add,edit     200   200   200   403         403
browse,read,edit         200   403   403   403         403
browse,read,delete       200   403   403   200         200
*                        200   200   200   200         200
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]


def attempt(engine: Engine, verb: str) -> int:
    """Try something with an image that has the tag 1; return the status that decides."""
    name, chain = "team/app", make_chain(1)
    if verb == "pull":
        return engine.get(f"repositories/{name}/tags/1").status
    if verb == "delete-tag":
        return engine.send("DELETE", f"repositories/{name}/tags/1").status
    if verb == "delete-all":
        return engine.send("DELETE", f"repositories/{name}/", is_first=True).status
    try:
        engine.push(name, "1" if verb == "move" else "2", chain)
    except Refused as refused:
        return refused.answer.status
    return 200


@pytest.mark.parametrize("verb", ROWS[0][1:])
@pytest.mark.parametrize("row", ROWS[1:], ids=lambda row: row[0])
def test_each_right_is_for_what_it_is_for_in_version_2(engine, registry, user_of, row, verb):
    registry.push("team/app", "1", image := make_image())
    status = int(row[ROWS[0].index(verb)])
    assert attempt(engine(user_of("team", *row[0].split(","))), verb) == status
    if status != 200:
        assert registry.pull("team/app", "1") == image.manifest
        assert registry.tags("team/app") == ["1"]


def test_of_some_tags_one_may_see_and_set_those_alone(stage, hosted, engine, registry):
    for tag in ("1.0", "1.1", "2.0"):
        registry.push("team/app", tag, make_image())
    expression = 'path =~ "/v2/team/app/(|tags/list|manifests/(1[.].*|sha256:.*)|blobs/.*)"'
    actions = ["browse", "read", "add", "edit", "delete"]
    some = engine(stage.make_user(stage.make_selected(hosted, expression, actions)))
    assert set(some.get("repositories/team/app/tags").json()) == {"1.0", "1.1"}
    chain = make_chain()
    some.push("team/app", "1.2", chain)
    some.push("team/app", "1.0", chain)
    refused = Failure("put repository", 403, "")
    some.push("team/app", "2.1", make_chain(), failure=refused)
    some.push("team/app", "2.0", make_chain(), failure=refused)
    assert some.put("repositories/team/app/tags/2.0", chain[-1].id).status == 403
    assert some.send("DELETE", "repositories/team/app/tags/2.0").status == 403
    assert some.send("DELETE", "repositories/team/app/", is_first=True).status == 403
    assert registry.tags("team/app") == ["1.0", "1.1", "1.2", "2.0"], "all or none"
    assert some.send("DELETE", "repositories/team/app/tags/1.1").status == 200
