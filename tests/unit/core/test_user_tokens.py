"""User tokens: made, shown once, checked, counted, ended."""

import pytest

from repoman.errors import Conflict, Invalid, NotFound, Unauthenticated
from repoman.security import user_tokens as module
from repoman.security.actors import Action, Actor, Credentials, Limit
from repoman.security.options import UserTokenOptions
from repoman.security.user_records import Status, delete_user, find_user, insert_user, update_user
from repoman.security.user_token_records import TokenQuery, find_token
from repoman.security.user_tokens import UserTokens

DAY = 86_400


class Site:
    """The tokens of one database, and the clock that they run by."""

    def __init__(self, database) -> None:
        self.now = 1_000_000.0
        self.database = database
        self.tokens = UserTokens(database, lambda: self.now)

    def make(self, name="ci", limit=None, days=None, user="ann") -> str:
        return self.tokens.create(user, name, limit or Limit(), days)

    def log_in(self, secret, user="ann") -> Actor | None:
        return self.tokens.repoman_authenticate(credentials=Credentials(user, secret))

    def change(self, name="ann", **values) -> None:
        with self.database.transaction():
            update_user(name, **values)


@pytest.fixture
def site(database):
    with database.transaction():
        insert_user("ann", "hash")
        insert_user("bob", "hash")
    return Site(database)


def test_a_token_lets_its_user_in_with_its_limit(site):
    limit = Limit(("images",), ("acme/*",), frozenset({Action.READ}))
    secret = site.make(limit=limit)
    actor = site.log_in(secret)
    [token] = site.tokens.of_user("ann")
    assert actor == Actor("ann", limit=limit, token=token.id)
    assert site.log_in(secret, "ANN").name == "ann"


def test_a_token_without_limits_has_a_limit_all_the_same(site):
    """Only an actor without any may administer."""
    assert site.log_in(site.make()).limit == Limit()


def test_the_secret_is_kept_nowhere(site, database, tmp_path):
    secret = site.make()
    token = find_token(secret.split("_")[1])
    assert secret.startswith("rpm_")
    assert token.digest not in repr(token)
    random = secret.split("_", 2)[2].encode()
    assert not any(random in each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())


def test_each_secret_is_another_one(site):
    assert site.make("one")[-43:] != site.make("two")[-43:]


@pytest.mark.parametrize(
    "password", ["secret", "rpm_", "rpm_x_y", "RPM_0123456789abcdef_" + "a" * 43]
)
def test_other_passwords_are_for_other_realms(site, password):
    assert site.log_in(password) is None


def test_what_looks_like_a_token_and_is_none_is_shown_to_no_other_realm(site):
    secret = site.make()
    wrong = [
        f"rpm_{'0' * 16}_{'a' * 43}",  # no such token
        secret[:-1] + ("a" if secret[-1] != "a" else "b"),  # another secret
        secret[:-1],  # a part of it
        secret + "\n",
        secret[:22] + "\ud800",
    ]
    for each in wrong:
        with pytest.raises(Unauthenticated, match="wrong, revoked or expired"):
            site.log_in(each)
    with pytest.raises(Unauthenticated):
        site.log_in(secret, "bob")


def test_a_revoked_token_ends_at_once(site):
    secret = site.make()
    site.log_in(secret)
    [token] = site.tokens.of_user("ann")
    assert site.tokens.limit_of(token.id) == Limit()
    site.tokens.revoke("ann", "ci")
    assert site.tokens.limit_of(token.id) is None
    with pytest.raises(Unauthenticated):
        site.log_in(secret)
    with pytest.raises(NotFound, match="no token 'ci'"):
        site.tokens.revoke("ann", "ci")


def test_nobody_revokes_the_token_of_somebody_else(site):
    site.make()
    [token] = site.tokens.of_user("ann")
    with pytest.raises(NotFound):
        site.tokens.revoke("bob", token.id)


def test_a_token_expires(site):
    secret = site.make(days=2)
    [token] = site.tokens.of_user("ann")
    site.now += 2 * DAY - 1
    assert site.log_in(secret)
    site.now += 1
    assert site.tokens.limit_of(token.id) is None
    with pytest.raises(Unauthenticated):
        site.log_in(secret)


def test_tokens_are_listed_with_the_end_that_the_options_give_them(site):
    site.make("endless")
    site.make("long", days=90)
    site.make("short", days=2)
    policy = UserTokenOptions(expiration_enabled=True, expiration_days=30)
    tokens = UserTokens(site.database, lambda: site.now, lambda: policy)
    ends = {each.name: (each.expires_at - site.now) / DAY for each in tokens.of_user("ann")}
    assert ends == {"endless": 30, "long": 30, "short": 2}
    assert tokens.page(TokenQuery(), None, 10) == tokens.of_user()
    assert tokens.page(TokenQuery(is_endless=True), None, 10) == []


def test_a_disabled_user_has_no_tokens_meanwhile(site):
    secret = site.make()
    [token] = site.tokens.of_user("ann")
    site.log_in(secret)
    site.change(status=Status.DISABLED)
    assert site.tokens.limit_of(token.id) is None
    with pytest.raises(Unauthenticated):
        site.log_in(secret)
    site.change(status=Status.ACTIVE)
    assert site.log_in(secret)


def test_tokens_go_with_their_user_and_come_not_back(site, database):
    secret = site.make()
    with database.transaction():
        delete_user("ann")
        insert_user("ann", "hash")
    assert site.tokens.of_user("ann") == []
    with pytest.raises(Unauthenticated):
        site.log_in(secret)


def test_a_user_of_another_realm_has_tokens_with_the_roles_of_the_last_login(site):
    site.change(realm="ldap", external_roles=["nx-developer"])
    actor = site.log_in(site.make())
    assert (actor.realm, actor.roles) == ("ldap", ("nx-developer",))


def test_a_use_is_written_down_late_and_moves_nothing(site, database):
    secret = site.make()
    generation = database.topics.moves
    site.log_in(secret)
    site.tokens.flush()
    site.now += 30
    site.log_in(secret)
    site.tokens.flush()
    [token] = site.tokens.of_user("ann")
    assert token.last_used_at == 1_000_000.0
    site.now += 31
    site.log_in(secret)
    site.tokens.flush()
    [token] = site.tokens.of_user("ann")
    assert token.last_used_at == 1_000_061.0
    assert database.topics.moves == generation


def test_a_token_is_read_once_until_something_is_written(site, monkeypatch):
    secret, reads = site.make(), []
    find = module.records.find_token
    monkeypatch.setattr(module.records, "find_token", lambda id_: reads.append(id_) or find(id_))
    for _ in range(3):
        site.log_in(secret)
    assert len(reads) == 1
    site.change(first_name="Ann")
    site.log_in(secret)
    assert len(reads) == 2


def test_names_of_repositories_are_compared_in_small_letters(site):
    site.make(limit=Limit(("Images", "images"), ("Acme/*",)))
    [token] = site.tokens.of_user("ann")
    assert token.limit == Limit(("images",), ("Acme/*",))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " ci"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"limit": Limit(("",))}, "repositories"),
        ({"limit": Limit((), ("a\x00",))}, "names"),
        ({"limit": Limit((), tuple(f"n{number}" for number in range(51)))}, "names"),
        ({"limit": Limit(("x" * 256,))}, "repositories"),
        ({"days": 0}, "days"),
        ({"days": 40_000}, "days"),
    ],
)
def test_what_will_not_do_makes_no_token(site, values, field):
    with pytest.raises(Invalid) as caught:
        site.make(**values)
    assert caught.value.field == field
    assert site.tokens.of_user() == []


def test_a_name_is_taken_once_for_each_user(site):
    site.make()
    with pytest.raises(Conflict, match="already has a token 'ci'"):
        site.make()
    site.make(user="bob")
    assert [each.user for each in site.tokens.of_user()] == ["ann", "bob"]


def test_there_is_a_limit_of_tokens(site, monkeypatch):
    monkeypatch.setattr(module, "TOKENS_PER_USER_MAX", 2)
    site.make("one")
    site.make("two")
    with pytest.raises(Conflict, match="the maximum"):
        site.make("three")


def test_nobody_has_no_tokens(site):
    with pytest.raises(NotFound):
        site.make(user="nobody")
    assert find_user("nobody") is None
