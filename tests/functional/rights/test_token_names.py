"""A user token for some names: what it opens by each protocol, and that it ends by each."""

import secrets

import pytest

from repoman.security.actors import Action, Limit
from repoman.security.user_records import Status
from repoman.testing import HttpClient
from tests.functional.docker.driver import Login, Registry
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker_v1.driver import Engine, Failure, make_chain
from tests.functional.rights.stage import Stage, view
from tests.functional.rights.test_search import search

OWN, OTHER = "acme/app", "other/app"
IMAGE = make_image()


@pytest.fixture(scope="module")
def place(stage: Stage) -> str:
    """A repository with an image of each name."""
    name = stage.make_repository(docker__v1_enabled=True)
    for image in (OWN, OTHER):
        stage.connector(name).push(image, "1", IMAGE)
    return name


@pytest.fixture
def make_token(stage: Stage, place: str):
    """Make a token for ``acme/*`` of a user who may do everything; return its login."""

    def make(*actions: Action) -> Login:
        user, _ = stage.make_user(*view(place, "*"))
        limit = Limit(names=("acme/*",), actions=frozenset(actions))
        return user, stage.repoman.security.user_tokens.create(user, "ci", limit)

    return make


def ask(registry: Registry, path: str, *scopes: str) -> int:
    """The status of a GET with a bearer token for these scopes."""
    token = registry.get("token", query={"scope": " ".join(scopes)}).json()["token"]
    return registry.send("GET", path, headers={"Authorization": f"Bearer {token}"}).status


@pytest.mark.parametrize("way", ["connector", "mounted"])
def test_a_bearer_token_has_the_names_of_the_user_token(stage, place, make_token, way):
    registry = getattr(stage, way)(place, make_token())
    both = [f"repository:{name}:pull,push,delete" for name in (OWN, OTHER)]
    blob = f"blobs/{digest_of(IMAGE.blobs[0])}"
    for path in ("manifests/1", "tags/list", blob):
        assert ask(registry, f"{OWN}/{path}", *both) == 200
        assert ask(registry, f"{OTHER}/{path}", *both) in (401, 403)


@pytest.mark.parametrize("proof", ["Basic", "Bearer"])
def test_lists_have_no_other_names(stage, place, make_token, proof):
    registry = stage.connector(place, make_token())
    headers = {}
    if proof == "Bearer":
        query = {"scope": "registry:catalog:*"}
        headers["Authorization"] = f"Bearer {registry.get('token', query=query).json()['token']}"
    names = registry.send("GET", "_catalog", headers=headers).json()["repositories"]
    assert {OWN} <= set(names)
    assert all(name.startswith("acme/") for name in names)
    body = search(registry, "", n=100)
    assert [each["name"] for each in body["results"]] == names
    assert body["num_results"] == len(names)


def test_nothing_is_mounted_from_other_names(stage, place, make_token):
    blob = secrets.token_bytes(100)
    digest = stage.connector(place).push_blob(OTHER, blob)
    registry = stage.connector(place, make_token())
    for query in ({"mount": digest, "from": OTHER}, {"mount": digest}):
        assert registry.start("acme/mounted", **query).status == 202
    assert not registry.has_blob("acme/mounted", digest)


@pytest.mark.parametrize("basic", [True, False])
def test_version_1_knows_no_other_names(stage, place, make_token, basic):
    engine = Engine(stage.connector(place).wire, "", make_token(), basic=basic)
    chain = make_chain()
    engine.push("acme/old", "1", chain)
    assert engine.pull("acme/old", "1") == chain
    engine.pull(OTHER, "1", failure=Failure("get images", 403, "not allowed to pull other/app"))
    failure = Failure("put repository", 403, "not allowed to push other/old")
    engine.push("other/old", "1", make_chain(), failure=failure)


def test_a_token_for_reading_pushes_nothing_by_version_1(stage, place, make_token):
    login = make_token(Action.BROWSE, Action.READ)
    engine = Engine(stage.connector(place).wire, "", login)
    engine.pull(OWN, "1")
    failure = Failure("put repository", 403, "not allowed to push acme/new")
    engine.push("acme/new", "1", make_chain(), failure=failure)


@pytest.mark.parametrize("ending", ["revoked", "disabled", "deleted"])
def test_what_ends_a_token_ends_what_was_got_with_it(stage, place, make_token, ending):
    login = make_token()
    registry = stage.connector(place, login)
    token = registry.get("token", query={"scope": f"repository:{OWN}:pull"}).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert registry.send("GET", f"{OWN}/manifests/1", headers=headers).status == 200
    if ending == "revoked":
        stage.repoman.security.user_tokens.revoke(login[0], "ci")
    elif ending == "disabled":
        stage.repoman.users.change(login[0], status=Status.DISABLED)
    else:
        stage.repoman.users.delete(login[0])
    assert registry.send("GET", f"{OWN}/manifests/1", headers=headers).status == 401
    assert registry.get(f"{OWN}/manifests/1").status == 401


def test_another_password_leaves_a_token_good(stage, place, make_token):
    login = make_token()
    stage.repoman.users.set_password(login[0], "another password")
    assert stage.connector(place, login).get(f"{OWN}/manifests/1").status == 200


# --- The trace of a group ------------------------------------------------------------------------


def test_a_token_for_some_names_traces_these(stage, place):
    group = stage.make_repository("docker-group", group__members=[place])
    user, _ = stage.make_user(*view(group, "*"))
    limit = Limit(names=("acme/*",))
    login = user, stage.repoman.security.user_tokens.create(user, "ci", limit)

    def status(path):
        url = f"/api/v1/repositories/{group}/trace"
        return (
            HttpClient(stage.repoman).get(url, query_string={"path": path}, auth=login).status_code
        )

    assert status(f"/v2/{OWN}/manifests/1") == 200
    assert status(f"/v2/{OTHER}/manifests/1") == 403
    assert status("/v2/_catalog") == 403
    assert status("/acme/app") == 403
