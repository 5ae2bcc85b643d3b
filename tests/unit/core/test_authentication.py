"""Realms are asked in order; what they say is remembered for a moment, and makes rows of users."""

import logging

import pluggy
import pytest

from repoman.config import SecuritySettings
from repoman.errors import TooManyRequests, Unauthenticated, Unavailable
from repoman.options import Options
from repoman.plugins import create_plugin_manager
from repoman.security.accounts import Accounts
from repoman.security.actors import ANONYMOUS, Actor, Credentials
from repoman.security.authentication import Authenticator
from repoman.security.authorization import Authorizer
from repoman.security.options import security_options
from repoman.security.realms import Realms
from repoman.security.throttling import Lockout
from repoman.security.user_records import find_user, insert_user, update_user
from repoman.testing import Clock

hookimpl = pluggy.HookimplMarker("repoman")


class Realm:
    """Lets everybody in whose password is its name."""

    def __init__(self, name: str) -> None:
        self.__name__ = self.name = self.says = name
        self.asked = 0
        self.is_down = False
        self.roles: tuple[str, ...] = ()
        self.has_user = True

    @hookimpl
    def repoman_find_user(self, name: str) -> Actor | None:
        if self.is_down:
            raise Unavailable(f"{self.name} does not answer.")
        return Actor(name, realm=self.name, roles=self.roles) if self.has_user else None

    @hookimpl
    def repoman_authenticate(self, credentials: Credentials) -> Actor | None:
        self.asked += 1
        if self.is_down:
            raise Unavailable(f"{self.name} does not answer.")
        if credentials.password != self.name:
            return None
        return Actor(credentials.name, realm=self.says, roles=self.roles)


class Site:
    """An authenticator over three realms, or more; the last one registered is asked first."""

    def __init__(self, database, *more: str) -> None:
        self.now = 5000.0
        self.realms = {name: Realm(name) for name in (*more, "one", "two", "local")}
        self.options = Options(database, security_options(SecuritySettings()))
        self.accounts = Accounts(database, lambda: self.now)
        plugins = create_plugin_manager(self.realms.values(), {})
        self.lookup = Realms(plugins, self.options, self.accounts)
        self.authenticator = Authenticator(database, self.lookup, Lockout(3, 300), self.accounts)

    def log_in(self, name: str = "ann", password: str = "one") -> Actor:
        return self.authenticator.authenticate(Credentials(name, password), "10.0.0.1")

    def asked(self) -> list[str]:
        """Return which realms were asked since the last call."""
        names = [name for name, realm in self.realms.items() if realm.asked]
        for realm in self.realms.values():
            realm.asked = 0
        return names


@pytest.fixture
def site(database):
    return Site(database)


# --- The realms ------------------------------------------------------------------------------


def test_the_first_realm_that_knows_is_the_last_one_asked(site):
    assert site.log_in(password="two").realm == "two"
    assert site.asked() == ["two", "local"]
    assert site.log_in(password="local").realm == "local"
    assert site.asked() == ["local"]


def test_the_option_says_who_is_asked_and_in_which_order(site):
    site.options.update("realms", {"active": ["two", "local"]})
    with pytest.raises(Unauthenticated):
        site.log_in(password="one")
    assert site.asked() == ["two", "local"]
    site.log_in(password="two")
    assert site.asked() == ["two"]


def test_local_users_are_always_asked(site):
    site.options.update("realms", {"active": ["one"]})
    assert site.log_in(password="local").realm == "local"


@pytest.mark.parametrize("active", [[], ["two", "local"]])
def test_no_other_realm_is_asked_before_user_tokens(database, active):
    site = Site(database, "token")
    site.options.update("realms", {"active": active})
    assert site.log_in(password="token").realm == "token"
    assert site.asked() == ["token"]


def test_a_realm_that_nobody_brings_is_told_and_left_out(site, caplog):
    site.options.update("realms", {"active": ["oen", "local"]})
    with caplog.at_level(logging.WARNING):
        site.log_in(password="local")
        site.log_in(password="local")
    assert [each.getMessage() for each in caplog.records] == [
        "realms.active names realms that no plugin provides: oen"
    ]


def test_a_realm_that_is_down_keeps_nobody_out_whom_another_knows(site):
    site.realms["local"].is_down = True
    assert site.log_in(password="one").realm == "one"


def test_while_a_realm_is_down_nobody_is_told_that_a_password_is_wrong(site):
    site.realms["two"].is_down = True
    for _ in range(10):  # and that counts as no guess
        with pytest.raises(Unavailable, match="two does not answer"):
            site.log_in(password="guess")
    site.realms["two"].is_down = False
    assert site.log_in(password="two").realm == "two"


def test_no_credentials_and_empty_ones_are_anonymous(site):
    assert site.authenticator.authenticate(None) is ANONYMOUS
    assert site.log_in("", "") is ANONYMOUS
    assert site.asked() == []


def test_no_realm_speaks_for_users_of_another(site, database):
    with database.transaction():
        insert_user("root", "hash", ["nx-admin"])
    site.realms["one"].says = "local"
    actor = site.log_in("root")
    authorizer = Authorizer(database, site.options)
    assert authorizer.may_administer(Actor("root"), "users", "create")
    assert not authorizer.may_administer(actor, "users", "create")
    assert actor.realm == "one"


# --- Users of other realms who are gone ----------------------------------------------------------


def test_a_user_goes_on_as_long_as_the_realm_knows_them_or_cannot_tell(site):
    site.log_in()
    one = site.realms["one"]
    assert site.lookup.goes_on("one", "ann")
    one.is_down = True
    assert site.lookup.goes_on("one", "ann")
    one.is_down, one.has_user = False, False
    assert not site.lookup.goes_on("one", "ann")
    assert site.lookup.goes_on("local", "ann")
    assert not site.lookup.goes_on("none", "ann")


def test_no_user_of_a_realm_that_is_not_asked_goes_on(site):
    site.options.update("realms", {"active": ["two", "local"]})
    assert [site.lookup.goes_on(each, "ann") for each in ("one", "two", "local")] == [
        False,
        True,
        True,
    ]


def test_roles_follow_the_realm_without_a_login(site):
    site.log_in()
    site.realms["one"].roles = ("readers",)
    assert site.lookup.goes_on("one", "ann")
    assert find_user("ann").external_roles == ("readers",)


def test_what_a_realm_says_of_a_user_is_told(site, database):
    told = []
    database.on_change = lambda *change: told.append(change)
    site.log_in()
    site.log_in()
    site.realms["one"].roles = ("readers", "writers")
    site.log_in()
    assert told == [
        ("user.create", "ann", {"realm": "one", "external_roles": ""}),
        ("user.change", "ann", {"realm": "one", "external_roles": "readers writers"}),
    ]


# --- Guesses -------------------------------------------------------------------------------------


def test_after_some_guesses_no_password_is_looked_at(site):
    errors = []
    for _ in range(3):
        with pytest.raises(Unauthenticated) as caught:
            site.log_in(password="guess")
        errors.append(caught.value.retry_after)
    assert errors == [None, None, 1]
    site.asked()
    with pytest.raises(TooManyRequests):
        site.log_in(password="one")
    assert site.asked() == []


# --- What is remembered ------------------------------------------------------------------------


def test_the_same_header_asks_no_realm_until_users_change(site, database, monkeypatch):
    monkeypatch.setattr("repoman.security.authentication.time.monotonic", lambda: 1000.0)

    def ask(header):
        return site.authenticator.remembered(header, site.log_in).name

    assert [ask("a"), ask("a")] == ["ann", "ann"]
    site.asked()
    assert ask("a") == "ann"
    assert site.asked() == []
    ask("b")
    assert site.asked() != []
    with database.transaction():
        update_user("ann", email="ann@example.com")
    ask("a")
    assert site.asked() != []


def test_a_moment_later_it_is_asked_again(site, monkeypatch):
    clock = Clock(1000.0)
    monkeypatch.setattr("repoman.security.authentication.time.monotonic", clock)
    for _ in range(2):
        site.authenticator.remembered("a", site.log_in)
    site.asked()
    clock.jump(5.0)
    site.authenticator.remembered("a", site.log_in)
    assert site.asked() != []


def test_a_failure_is_not_remembered(site):
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            site.authenticator.remembered("a", lambda: site.log_in(password="guess"))
    assert site.realms["one"].asked == 2


# --- Rows of users -------------------------------------------------------------------------------


def test_a_user_of_another_realm_has_a_row_from_the_first_login_on(site):
    site.realms["one"].roles = ("nx-developer",)
    site.log_in()
    user = find_user("ann")
    assert (user.realm, user.external_roles, user.roles) == ("one", ("nx-developer",), ())
    assert user.password_hash == ""


def test_the_roles_follow_the_realm(site):
    site.log_in()
    update_user("ann", roles=["own"])
    site.realms["one"].roles = ("new",)
    site.log_in()
    user = find_user("ann")
    assert (user.external_roles, user.roles) == (("new",), ("own",))


def test_a_user_of_the_same_name_in_another_realm_is_left_alone(site):
    insert_user("ann", "hash", ["nx-admin"])
    site.realms["one"].roles = ("new",)
    site.log_in()
    user = find_user("ann")
    assert (user.realm, user.external_roles, user.password_hash) == ("local", (), "hash")


def test_the_last_login_is_written_down_late_and_moves_nothing(site, database):
    site.log_in()
    site.accounts.flush()
    generation = database.topics.moves
    assert find_user("ann").last_login_at == 5000.0
    site.now += 100
    site.log_in()
    site.accounts.flush()
    assert find_user("ann").last_login_at == 5000.0  # not again within minutes
    site.now += 300
    site.log_in()
    site.accounts.flush()
    assert find_user("ann").last_login_at == 5400.0
    assert database.topics.moves == generation
