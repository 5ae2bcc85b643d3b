"""Bearer tokens: signed, short-lived, for one repository, and never more than was asked for."""

import time

import jwt
import pytest

from repoman.caching import BUDGET
from repoman.db.models import SecretRecord
from repoman.errors import Unauthenticated
from repoman.security import tokens as tokens_module
from repoman.security.actors import ANONYMOUS, Action, Actor, Credentials, Limit, Scope
from repoman.security.tokens import TokenService
from repoman.security.user_records import Status, delete_user, end_logins, insert_user, update_user
from repoman.security.user_tokens import UserTokens

PULL = Scope("repository", "team/app", frozenset({"pull"}))
ANN = Actor("ann")
LIFETIME = 300


@pytest.fixture
def user_tokens(database):
    return UserTokens(database, time.time)


@pytest.fixture
def open_tokens(database, user_tokens):
    """Open the service as a server does at its start."""

    def open_() -> TokenService:
        tokens = TokenService(database, user_tokens, lambda realm, name: True, LIFETIME)
        tokens.open()
        return tokens

    return open_


@pytest.fixture
def tokens(database, open_tokens):
    """The service, with the users ann and bob."""
    with database.transaction():
        for name in ("ann", "bob"):
            insert_user(name, "hash")
    return open_tokens()


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
    token = tokens.issue(ANN, "files", (PULL,))
    later = time.time() + LIFETIME
    for seconds, is_good in ((0, True), (10, False)):
        monkeypatch.setattr(tokens_module.time, "time", lambda now=later + seconds: now)
        if is_good:
            assert tokens.verify(token, "files")
            continue
        with pytest.raises(Unauthenticated):
            tokens.verify(token, "files")
    assert tokens.verify(token, "files", may_have_expired=True).name == "ann"


def test_a_token_that_only_begins_later_is_not_valid(tokens, forge):
    token = tokens.issue(ANN, "files", (PULL,))
    with pytest.raises(Unauthenticated):
        tokens.verify(forge(token, nbf=99_999_999_999, exp=99_999_999_999), "files")


def test_a_token_signed_with_the_right_key_is_believed(tokens, forge):
    # Otherwise the next test would prove nothing.
    token = tokens.issue(ANN, "files", (PULL,))
    assert tokens.verify(forge(token, jti="other"), "files").name == "ann"
    with pytest.raises(Unauthenticated):
        tokens.verify(forge(token, sub="bob"), "files")


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


def test_every_start_knows_the_key_of_the_first(tokens, open_tokens):
    token = tokens.issue(ANN, "files", (PULL,))
    later = open_tokens()
    assert later.verify(token, "files").name == "ann"


def test_servers_do_not_share_a_key(tokens, open_tokens):
    token = tokens.issue(ANN, "files", (PULL,))
    SecretRecord.delete().execute()
    other = open_tokens()
    with pytest.raises(Unauthenticated):
        other.verify(token, "files")


# --- With their user -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ending",
    [
        lambda: end_logins("ann"),  # as another password does
        lambda: update_user("ann", status=Status.DISABLED),
        lambda: update_user("ann", realm="ldap"),
        lambda: delete_user("ann"),
    ],
)
def test_a_token_ends_with_what_its_user_was(tokens, database, ending):
    token = tokens.issue(ANN, "files", (PULL,))
    other = tokens.issue(Actor("bob"), "files", (PULL,))
    assert tokens.verify(token, "files")
    with database.transaction():
        ending()
    for may_have_expired in (True, False):
        with pytest.raises(Unauthenticated):
            tokens.verify(token, "files", may_have_expired=may_have_expired)
    assert tokens.verify(other, "files")


def test_a_user_of_the_same_name_gets_no_token_of_the_one_before(tokens, database):
    token = tokens.issue(ANN, "files", (PULL,))
    with database.transaction():
        delete_user("ann")
        insert_user("ann", "hash")
    with pytest.raises(Unauthenticated):
        tokens.verify(token, "files")


def test_a_token_of_another_realm_has_the_roles_of_the_last_login(tokens, database):
    with database.transaction():
        insert_user("eve", "", realm="ldap")
        update_user("eve", external_roles=["nx-developer"])
    token = tokens.issue(Actor("eve", realm="ldap"), "files", (PULL,))
    actor = tokens.verify(token, "files")
    assert (actor.realm, actor.roles) == ("ldap", ("nx-developer",))


def test_a_token_for_a_user_token_keeps_its_limit_and_ends_with_it(tokens, user_tokens):
    limit = Limit(("files",), (), frozenset({Action.READ}))
    secret = user_tokens.create("ann", "ci", limit)
    actor = user_tokens.repoman_authenticate(credentials=Credentials("ann", secret))
    token = tokens.issue(actor, "files", (PULL,))
    found = tokens.verify(token, "files")
    assert (found.limit, found.token) == (limit, actor.token)
    user_tokens.revoke("ann", "ci")
    with pytest.raises(Unauthenticated):
        tokens.verify(token, "files")


# --- What is remembered --------------------------------------------------------------------------


def test_a_signature_is_checked_once(tokens, monkeypatch):
    token = tokens.issue(ANN, "files", (PULL,))
    tokens.verify(token, "files")
    monkeypatch.setattr(tokens_module.jwt, "decode", None)
    assert tokens.verify(token, "files").name == "ann"
    with pytest.raises(TypeError):
        tokens.verify(token, "other")


def test_few_tokens_are_remembered(tokens, monkeypatch):
    monkeypatch.setattr(BUDGET, "size", 10_000)
    for _ in range(10):
        tokens.verify(tokens.issue(ANN, "files", (PULL,)), "files")
    assert 0 < len(tokens._checked) < 10


@pytest.mark.parametrize("claim", tokens_module.CLAIMS)
def test_a_token_that_lacks_a_claim_is_refused(tokens, claim):
    claims = jwt.decode(tokens.issue(ANN, "files", ()), options={"verify_signature": False})
    del claims[claim]
    token = jwt.encode(claims, SecretRecord.get().value, algorithm="HS256")
    with pytest.raises(Unauthenticated):
        tokens.verify(token, "files")


def test_where_another_realm_has_the_password_no_token_is_good_for_long(tokens):
    elsewhere = Actor("joe", realm="ldap")
    assert (tokens.lifetime_for(ANN), tokens.lifetime_for(elsewhere)) == (LIFETIME, 60)
    assert (tokens.lifetime_for(ANN, 3600), tokens.lifetime_for(elsewhere, 3600)) == (3600, 60)
    token = tokens.issue(elsewhere, "files", (PULL,), 3600)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 60
