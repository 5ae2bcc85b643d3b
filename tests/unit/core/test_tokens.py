"""Bearer tokens: signed, short-lived, for one repository, and never more than was asked for."""

import jwt
import pytest

from repoman.db.models import SecretRecord
from repoman.errors import Unauthenticated
from repoman.security import tokens as tokens_module
from repoman.security.actors import ANONYMOUS, Actor, Scope
from repoman.security.tokens import LIFETIME, TokenService

PULL = Scope("repository", "team/app", frozenset({"pull"}))
ANN = Actor("ann")


@pytest.fixture
def tokens(database):
    tokens = TokenService(database)
    tokens.open()
    return tokens


@pytest.fixture
def forge():
    """Sign claims with another key or algorithm, or with the right ones."""

    def forge(token, key=None, algorithm="HS256", **changes):
        claims = jwt.decode(token, options={"verify_signature": False}) | changes
        if key is None:
            key = SecretRecord.get().value
        return jwt.encode(claims, key, algorithm=algorithm)

    return forge


def test_a_token_speaks_for_its_actor_within_its_scopes(tokens):
    actor = tokens.verify(tokens.issue(ANN, "files", (PULL,)), "files")
    assert actor == Actor("ann", scopes=(PULL,))
    assert actor.has_scope("repository", "team/app", "pull")
    for other in (
        ("repository", "team/app", "push"),
        ("repository", "team/other", "pull"),
        ("registry", "team/app", "pull"),
    ):
        assert not actor.has_scope(*other)


def test_a_token_may_be_anonymous(tokens):
    actor = tokens.verify(tokens.issue(ANONYMOUS, "files", ()), "files")
    assert actor == Actor("anonymous", is_anonymous=True, scopes=())
    assert not actor.has_scope("repository", "team/app", "pull")


def test_a_scope_may_be_for_all_actions(tokens):
    everything = Scope("registry", "catalog", frozenset({"*"}))
    actor = tokens.verify(tokens.issue(ANN, "files", (everything, PULL)), "files")
    assert actor.has_scope("registry", "catalog", "delete")
    assert not actor.has_scope("registry", "other", "delete")


def test_without_a_token_nothing_is_narrowed():
    assert ANN.has_scope("repository", "team/app", "push")


def test_a_token_is_for_one_repository(tokens):
    with pytest.raises(Unauthenticated):
        tokens.verify(tokens.issue(ANN, "files", (PULL,)), "other")


def test_a_token_ends(tokens, monkeypatch):
    now = 1_700_000_000

    class Clock:
        time = staticmethod(lambda: now - LIFETIME - 60)

    valid = tokens.issue(ANN, "files", (PULL,))
    monkeypatch.setattr(tokens_module, "time", Clock)
    expired = tokens.issue(ANN, "files", (PULL,))
    assert tokens.verify(valid, "files")
    with pytest.raises(Unauthenticated):
        tokens.verify(expired, "files")
    assert tokens.verify(expired, "files", may_have_expired=True).name == "ann"


def test_a_token_that_only_begins_later_is_not_valid(tokens, forge):
    token = tokens.issue(ANN, "files", (PULL,))
    with pytest.raises(Unauthenticated):
        tokens.verify(forge(token, nbf=99_999_999_999, exp=99_999_999_999), "files")


def test_a_token_signed_with_the_right_key_is_believed(tokens, forge):
    # Otherwise the next test would prove nothing.
    token = tokens.issue(ANN, "files", (PULL,))
    assert tokens.verify(forge(token, sub="bob"), "files").name == "bob"


@pytest.mark.parametrize("may_have_expired", [True, False])
@pytest.mark.parametrize(
    "forgery",
    [
        {"key": "k" * 64},
        {"key": "", "algorithm": "none"},
        {"algorithm": "HS512"},
        {"iss": "somebody"},
    ],
)
def test_a_forged_token_is_refused(tokens, forge, forgery, may_have_expired):
    token = forge(tokens.issue(ANN, "files", (PULL,)), **forgery)
    with pytest.raises(Unauthenticated):
        tokens.verify(token, "files", may_have_expired=may_have_expired)


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "é.é.é", "." * 5000])
def test_what_is_no_token_is_refused(tokens, token):
    with pytest.raises(Unauthenticated):
        tokens.verify(token, "files")


def test_every_start_knows_the_key_of_the_first(tokens, database):
    token = tokens.issue(ANN, "files", (PULL,))
    later = TokenService(database)
    later.open()
    assert later.verify(token, "files").name == "ann"


def test_servers_do_not_share_a_key(tokens, database):
    token = tokens.issue(ANN, "files", (PULL,))
    SecretRecord.delete().execute()
    other = TokenService(database)
    other.open()
    with pytest.raises(Unauthenticated):
        other.verify(token, "files")
