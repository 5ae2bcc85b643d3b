"""User tokens as the password of a client of files."""

import pytest

from repoman.plugin import READING, Action, Limit
from repoman.testing import ADMIN, HttpClient

FILES = "/repository/files"


@pytest.fixture
def as_token(repoman, client):
    """Create a token of the administrator with a limit; return what sends requests with it."""

    def make(**limit):
        secret = repoman.security.user_tokens.create(ADMIN[0], "ci", Limit(**limit))

        def status(method, path, data=None):
            login = (ADMIN[0], secret)
            return client.request(method, f"{FILES}/{path}", data=data, auth=login).status_code

        return status

    return make


def test_a_token_without_limits_does_what_its_user_may(as_token):
    status = as_token()
    assert status("PUT", "docs/a", b"a") == 201
    assert status("GET", "docs/a") == 200
    assert status("DELETE", "docs/a") == 204


def test_a_token_may_be_for_some_paths(as_token, client):
    client.put(f"{FILES}/other/a", b"a")
    status = as_token(names=("docs/*",))
    assert status("PUT", "docs/a", b"a") == 201
    assert status("GET", "docs/a") == 200
    for path in ("other/a", "other/absent", "docs", "x/docs/a", "docs%2F..%2Fother%2Fa"):
        assert status("GET", path) in (400, 403), path
        assert status("PUT", path, b"b") in (400, 403), path
        assert status("DELETE", path) in (400, 403), path
    assert client.get(f"{FILES}/other/a").data == b"a"


@pytest.mark.parametrize(
    ("actions", "done"),
    [
        (READING, {"GET", "HEAD"}),
        ({Action.ADD, Action.EDIT}, {"PUT"}),
        ({Action.ADD}, set()),  # a PUT may replace
        ({Action.DELETE}, {"DELETE"}),
    ],
)
def test_a_token_may_be_for_some_actions(as_token, client, actions, done):
    client.put(f"{FILES}/a", b"a")
    status = as_token(actions=frozenset(actions))
    allowed = {
        method for method in ("GET", "HEAD", "PUT", "DELETE") if status(method, "a", b"b") != 403
    }
    assert allowed == done


def test_a_repository_that_a_token_is_not_for_is_like_none(as_token):
    assert as_token(repositories=("files-*", "docs"))("GET", "a") == 404


@pytest.mark.parametrize("path", ["/api/v1/audit", "/api/v1/audit?limit=1"])
def test_a_token_of_an_administrator_does_not_administer(repoman, path):
    secret = repoman.security.user_tokens.create(ADMIN[0], "ci", Limit())
    client = HttpClient(repoman)
    assert client.get(path).status_code == 200
    assert client.get(path, auth=(ADMIN[0], secret)).status_code == 403
