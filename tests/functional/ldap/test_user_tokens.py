"""User tokens of users of a directory, which never gets to see one."""

import pytest

from repoman.errors import Unauthenticated, Unavailable
from repoman.security.actors import Credentials, Limit
from repoman.security.user_records import Status, find_user
from tests.functional.ldap.conftest import ALICE
from tests.live import free_port


@pytest.fixture
def log_in(repoman):
    """Log in as alice with a password."""
    authenticate = repoman.security.authenticator.authenticate
    return lambda password, name="alice": authenticate(Credentials(name, password), "10.0.0.7")


@pytest.fixture
def secret(repoman, log_in):
    """The secret of a token of alice, who has logged in once."""
    log_in(ALICE)
    tokens = repoman.security.user_tokens
    for each in tokens.of_user("alice"):
        tokens.revoke("alice", each.id)
    return tokens.create("alice", "ci", Limit())


def be_away(repoman):
    """Let the directory be where nobody answers."""
    repoman.options.update("ldap", {"urls": [f"ldap://localhost:{free_port()}"]})


def test_a_user_of_a_directory_has_tokens_with_the_roles_of_the_last_login(log_in, secret):
    actor = log_in(secret)
    assert (actor.name, actor.realm, actor.roles) == ("alice", "ldap", ("readers", "writers"))
    assert actor.limit == Limit()


@pytest.mark.parametrize("active", [[], ["ldap", "local"]])
def test_a_directory_gets_to_see_no_token_right_or_wrong(repoman, log_in, secret, active):
    repoman.options.update("realms", {"active": active})
    try:
        be_away(repoman)
        assert log_in(secret).name == "alice"
        for wrong in (secret[:-1], secret[:-1] + "!", secret.replace(secret[4:20], "0" * 16)):
            with pytest.raises(Unauthenticated, match="Wrong user name or password"):
                log_in(wrong)
        with pytest.raises(Unavailable):  # so it would have been asked
            log_in("a password")
    finally:
        repoman.options.update("realms", {"active": []})


def test_the_token_of_a_disabled_user_of_a_directory_is_refused(repoman, log_in, secret):
    repoman.users.change("alice", status=Status.DISABLED)
    try:
        with pytest.raises(Unauthenticated):
            log_in(secret)
    finally:
        repoman.users.change("alice", status=Status.ACTIVE)
    assert find_user("alice").realm == "ldap"
    assert log_in(secret).name == "alice"
