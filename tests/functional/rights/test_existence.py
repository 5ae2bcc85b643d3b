"""Whoever may do nothing in a repository cannot tell it from one that does not exist."""

from base64 import b64encode
from dataclasses import replace

import pytest

from tests.functional.rights.stage import Stage, view

PATHS = [
    "",
    "/",
    "/v2",
    "/v2/",
    "/v2/_catalog",
    "/v2/token?scope=repository:app:pull",
    "/v2/app/tags/list",
    "/v2/app/manifests/latest",
    "/v2/app/blobs/uploads/",
    "/v2/nonsense",
    "/v1/_ping",
    "/v1/search?q=a",
    "/v1/users/",
    "/_ping",
    "/elsewhere",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"]


@pytest.fixture(scope="module")
def secret(stage: Stage) -> str:
    """The name of a repository that others must not know of."""
    return stage.make_repository()


def ask(stage: Stage, repository: str, method: str, path: str, headers: dict[str, str]) -> object:
    """All of an answer, with the name of the repository left out."""
    wire = stage.mounted(repository).wire
    answer = wire.send(method, f"/repository/{repository}{path}", headers)
    told = {key: value for key, value in answer.headers.items() if key != "Date"}
    text = f"{answer.status} {sorted(told.items())} {answer.body!r}"
    # Where a client is told to go, the name is in the address; that is no news to it.
    return text.replace(repository, "NAME").replace(f"'{len(answer.body)}'", "'LENGTH'")


def basic(login: tuple[str, str]) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(":".join(login).encode()).decode()}


@pytest.fixture(scope="module")
def visitors(stage: Stage) -> dict[str, dict[str, str]]:
    """The headers of those who may do nothing in the secret repository."""
    other = stage.make_repository()
    return {
        "nobody": {},
        "empty": basic(("", "")),
        "wrong password": basic(("admin", "guess")),
        "wrong token": {"Authorization": "Bearer x.y.z"},
        "no right": basic(stage.make_user()),
        "right elsewhere": basic(stage.make_user(*view(other, "*"))),
    }


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_a_stranger_is_answered_alike(stage, secret, visitors, method, path):
    for visitor, headers in visitors.items():
        real = ask(stage, secret, method, path, headers)
        none = ask(stage, "hosted-nowhere0", method, path, headers)
        assert real == none, visitor


@pytest.mark.parametrize("settings", [{}, {"docker__v1_enabled": True}])
def test_no_setting_tells_a_repository(stage, visitors, settings):
    name = stage.make_repository(**settings)
    stage.repoman.repositories.update(name, {}, is_online=False)
    for path in PATHS:
        for visitor, headers in visitors.items():
            real = ask(stage, name, "GET", path, headers)
            assert real == ask(stage, "hosted-nowhere0", "GET", path, headers), (visitor, path)


def test_with_reading_for_anybody_a_private_repository_stays_unknown(stage, visitors):
    name = stage.make_repository(access__anonymous=False)
    stage.repoman.options.update("anonymous", {"enabled": True})
    try:
        for path in PATHS:
            for visitor, headers in visitors.items():
                real = ask(stage, name, "GET", path, headers)
                assert real == ask(stage, "hosted-nowhere0", "GET", path, headers), (visitor, path)
    finally:
        stage.repoman.options.update("anonymous", {"enabled": False})


def test_a_stranger_is_asked_for_a_login_and_a_user_is_told_there_is_none(stage, secret):
    answer = stage.mounted(secret, None).get("")
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="repoman"'
    answer = stage.mounted(secret, stage.make_user()).get("")
    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")
    assert answer.message.startswith("The repository does not exist, or you have no access")


@pytest.mark.parametrize("action", ["browse", "read", "add", "edit", "delete"])
def test_any_right_is_enough_to_know_it(stage, secret, action):
    registry = stage.mounted(secret, stage.make_user(*view(secret, action)))
    assert registry.get("").status == 200


def test_a_repository_that_cannot_work_is_known_to_those_who_may_know_it(stage, monkeypatch):
    name = stage.make_repository()
    login = stage.make_user(*view(name, "read"))
    broken = replace(stage.repoman.repositories.get(name), service=None, problem="It is broken.")
    find = stage.repoman.repositories.find
    monkeypatch.setattr(
        stage.repoman.repositories, "find", lambda asked: broken if asked == name else find(asked)
    )
    assert stage.mounted(name, login).get("").message == "It is broken."
    assert stage.mounted(name).get("").status == 503
    assert stage.mounted(name, None).get("").status == 401
    assert stage.mounted(name, stage.make_user()).get("").status == 404


@pytest.mark.parametrize("way", ["connector", "mounted"])
def test_an_image_that_one_may_not_see_is_answered_as_one_that_is_not_there(stage, secret, way):
    admin = stage.connector(secret)
    admin.push_blob("hidden", b"bytes")
    own = stage.make_selected(secret, 'path =^ "/v2/own/"', ["*"])
    registry = getattr(stage, way)(secret, stage.make_user(own))
    digest = "sha256:277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"
    assert admin.has_blob("hidden", digest)
    for name in ("hidden", "absent"):
        told = []
        for path in ("tags/list", "manifests/latest", f"blobs/{digest}"):
            answer = registry.get(f"{name}/{path}")
            told.append((answer.status, answer.code, answer.message.replace(name, "NAME")))
        assert [each[:2] for each in told] == [(403, "DENIED")] * 3
        mount = registry.start("own", mount=digest, **{"from": name})
        assert (mount.status, mount.body) == (202, b"")
    assert registry.start("own", mount=digest).status == 202
    assert not registry.has_blob("own", digest)
