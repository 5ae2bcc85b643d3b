"""Users of a directory at a connector, over HTTP, beside local users."""

import pytest

from repoman.security.throttling import Lockout
from repoman.testing import ADMIN, HttpClient
from tests.functional.ldap.conftest import ALICE
from tests.live import free_port

UPLOADS = "/v2/team/app/blobs/uploads/"
BOB = "battery staple"


@pytest.fixture
def connector(repoman):
    """A client of the repository's connector; developers may do everything with content."""
    repoman.options.update("ldap", {"roles": {"developers": ["nx-developer"]}, "default_roles": []})
    return HttpClient(repoman, connector="images")


def push(connector, *login):
    return connector.request("POST", UPLOADS, auth=login or None).status_code


def test_a_user_may_do_what_the_groups_give(connector):
    assert connector.get("/v2/", auth=("alice", ALICE)).status_code == 200
    assert push(connector, "alice", ALICE) == 202
    assert push(connector, "bob", BOB) == 403


@pytest.mark.parametrize(
    "login",
    [("alice", "wrong"), ("alice", ""), ("", ""), ("*", ALICE), ("alice)(uid=*", ALICE)],
    ids=str,
)
def test_others_do_not_get_in(connector, login):
    answer = connector.request("POST", UPLOADS, auth=login)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"]


def test_a_disabled_realm_lets_nobody_in(connector, repoman):
    repoman.options.update("ldap", {"enabled": False})
    assert push(connector, "alice", ALICE) == 401
    assert push(connector, *ADMIN) == 202


def test_a_directory_that_is_down_makes_no_password_wrong(connector, repoman):
    repoman.options.update("ldap", {"urls": [f"ldap://127.0.0.1:{free_port()}"]})
    answer = connector.request("POST", UPLOADS, auth=("alice", ALICE))
    assert answer.status_code == 503
    assert b"LDAP server does not respond" in answer.data
    assert push(connector, *ADMIN) == 202
    assert push(connector, ADMIN[0], "wrong") == 401


def test_nobody_becomes_a_local_user_by_a_name_in_the_directory(connector, repoman, directory):
    directory.add_person(ADMIN[0], "of the directory")
    assert push(connector, ADMIN[0], "of the directory") == 401
    assert push(connector, ADMIN[0].upper(), "of the directory") == 401
    assert push(connector, *ADMIN) == 202


def test_the_spelling_of_a_name_gives_nobody_more_guesses(connector, repoman, monkeypatch):
    """A directory ignores blanks and the case of letters, and so does who counts."""
    lockout = Lockout(10, 300, lambda: 0.0)
    monkeypatch.setattr(repoman.security.authenticator, "_lockout", lockout)
    spellings = ["alice", "Alice", " alice", "alice ", "\uff41lice"]
    assert {push(connector, each, ALICE) for each in spellings} == {202}
    for number in range(10):
        assert push(connector, spellings[number % len(spellings)], f"guess {number}") == 401
    assert {push(connector, each, "one more") for each in spellings} == {429}
