"""Users, passwords and what they let somebody do."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from argon2 import PasswordHasher, extract_parameters

from repoman.caching import CacheBudget
from repoman.config import SecuritySettings
from repoman.errors import Conflict, Denied, Invalid, NotFound, Unauthenticated
from repoman.options import Options
from repoman.plugins import create_plugin_manager
from repoman.security.accounts import Accounts
from repoman.security.actors import (
    ANONYMOUS,
    READING,
    Access,
    Action,
    Actor,
    Credentials,
    RepositoryRef,
)
from repoman.security.authentication import Authenticator
from repoman.security.authorization import Authorizer
from repoman.security.options import security_options
from repoman.security.passwords import PasswordVerifier
from repoman.security.realms import Realms
from repoman.security.throttling import Lockout
from repoman.security.user_records import find_user, insert_user, update_user
from repoman.security.users import PASSWORD_MAX_CHARS, PASSWORD_MIN_CHARS, UPLOADS_BATCH, Users
from repoman.testing import Clock
from repoman.upload_records import add_upload, list_begun
from tests.statements import executed_statements

TEAM = RepositoryRef("toy", "team")


class CountingVerifier(PasswordVerifier):
    """Counts how often argon2 has to run, and makes it run fast."""

    def __init__(self, memory: float) -> None:
        super().__init__(memory)
        self.runs = 0
        self._hasher = CountingHasher(self)


class CountingHasher(PasswordHasher):
    def __init__(self, verifier: CountingVerifier) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self._verifier = verifier

    def verify(self, *arguments):
        self._verifier.runs += 1
        return super().verify(*arguments)


@pytest.fixture
def clock(monkeypatch, verifier):
    """The monotonic clock of the passwords."""
    clock = Clock(1000.0)
    monkeypatch.setattr(verifier._known, "_ticks", clock)
    return clock


@pytest.fixture
def verifier():
    return CountingVerifier(memory=60)


@pytest.fixture
def users(database, verifier):
    return Users(database, verifier)


@pytest.fixture
def authenticate(database, users):
    """Authenticate by a name and a password."""
    accounts = Accounts(database, time.time)
    options = Options(database, security_options(SecuritySettings()))
    realms = Realms(create_plugin_manager([users], {}), options, accounts)
    authenticator = Authenticator(database, realms, Lockout(0, 300), accounts)
    return lambda name, password: authenticator.authenticate(Credentials(name, password))


# --- Passwords -----------------------------------------------------------------------------------


def test_a_hash_is_argon2id_at_its_full_cost_and_tells_nothing():
    verifier = PasswordVerifier(memory=60)
    one, two = verifier.hash("secret"), verifier.hash("secret")
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != two
    assert "secret" not in one
    assert verifier.verify("secret", one)


def test_who_does_not_exist_is_compared_with_a_hash_of_the_same_cost():
    verifier = PasswordVerifier(memory=60)
    made, given = verifier.hash("secret"), verifier._decoy
    assert extract_parameters(given) == extract_parameters(made)
    assert not verifier.verify("secret", None)


def test_only_the_right_password_verifies(verifier):
    stored = verifier.hash("secret ä")
    assert verifier.verify("secret ä", stored)
    for wrong in ("", "secret", "Secret ä", "secret ä ", "\0"):
        assert not verifier.verify(wrong, stored)


def test_a_right_password_is_remembered_for_its_time(clock, verifier):
    stored = verifier.hash("secret")
    assert verifier.verify("secret", stored)
    clock.jump(59)
    assert verifier.verify("secret", stored)
    assert verifier.runs == 1
    clock.jump(2)
    assert verifier.verify("secret", stored)
    assert verifier.runs == 2


def test_a_wrong_password_is_not_remembered(verifier):
    stored = verifier.hash("secret")
    assert verifier.verify("secret", stored)
    for _ in range(2):
        assert not verifier.verify("guess", stored)
    assert verifier.runs == 3


def test_many_requests_at_once_cost_one_hash(verifier):
    """Each hash takes much memory while it runs; a client opens several connections at once."""
    stored = verifier.hash("secret")
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: verifier.verify("secret", stored), range(32)))
    assert verifier.runs == 1


def test_without_memory_each_request_is_verified():
    verifier = CountingVerifier(memory=0)
    stored = verifier.hash("secret")
    for _ in range(2):
        assert verifier.verify("secret", stored)
    assert verifier.runs == 2


def test_what_is_remembered_counts_for_its_hash_alone(verifier):
    old, new = verifier.hash("secret"), verifier.hash("changed")
    assert verifier.verify("secret", old)
    assert not verifier.verify("secret", new)


def test_an_unknown_user_costs_the_same_and_never_gets_in(verifier):
    for _ in range(2):
        assert not verifier.verify("secret", None)
    assert verifier.runs == 2


def test_the_memory_is_bounded(verifier, monkeypatch):
    budget = CacheBudget()
    monkeypatch.setattr(verifier._known, "_budget", budget)
    stored = [verifier.hash("secret") for _ in range(3)]
    assert verifier.verify("secret", stored[0])
    budget.resize(2 * budget.used)
    for each in stored[1:]:
        assert verifier.verify("secret", each)
    assert verifier.verify("secret", stored[2])
    assert verifier.runs == 3
    assert verifier.verify("secret", stored[0])
    assert verifier.runs == 4


# --- Users ---------------------------------------------------------------------------------------


def test_a_user_gets_in_with_the_password(users, authenticate):
    users.create("ann", "a password")
    assert authenticate("ann", "a password") == Actor("ann")
    for name, password in (
        ("ann", "guess"),
        ("bob", "a password"),
        ("Ann", "a password"),
        ("ann", ""),
    ):
        with pytest.raises(Unauthenticated):
            authenticate(name, password)


def test_the_text_does_not_tell_whether_the_user_exists(users, authenticate):
    users.create("ann", "a password")
    texts = set()
    for name in ("ann", "bob"):
        with pytest.raises(Unauthenticated) as caught:
            authenticate(name, "guess")
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_a_changed_password_counts_at_once(users, authenticate):
    users.create("ann", "a password")
    authenticate("ann", "a password")
    users.set_password("ann", "changed password")
    with pytest.raises(Unauthenticated):
        authenticate("ann", "a password")
    assert authenticate("ann", "changed password") == Actor("ann")


def test_a_deleted_user_is_out_at_once(users, authenticate):
    users.create("ann", "a password")
    authenticate("ann", "a password")
    users.delete("ann")
    with pytest.raises(Unauthenticated):
        authenticate("ann", "a password")
    assert users.all() == []


def test_the_uploads_of_a_deleted_user_are_nobodys_in_bounded_steps(users, content, database):
    users.create("ann", "a password")
    with database.transaction():
        for actor, count in ((Actor("ann").owner, 1_001), (Actor("bob").owner, 1)):
            for number in range(count):
                row = (f"{actor} {number}", "scope", actor, 1.0, "default")
                add_upload(content._repository, row)
    with executed_statements() as statements:
        users.delete("ann")
    owners = Counter(row[2] for row in list_begun(content._repository, 2.0, "", 2_000))
    assert owners == {"": 1_001, Actor("bob").owner: 1}
    steps = [each for each in statements if each.startswith('UPDATE "upload"')]
    assert len(steps) == 1_001 // UPLOADS_BATCH + 1
    assert statements.count("COMMIT") == len(steps)


def test_a_password_is_stored_as_its_hash_alone(users):
    users.create("ann", "a password")
    user = find_user("ann")
    assert user.password_hash.startswith("$argon2id$")
    assert user.password_hash not in repr(user)
    assert "a password" not in repr(Credentials("ann", "a password"))


def test_users_are_listed_by_name(users):
    for name in ("carl", "ann", "bob"):
        users.create(name, "a password")
    assert [user.name for user in users.all()] == ["ann", "bob", "carl"]


@pytest.mark.parametrize("name", ["a", "0", "ann.lee_1-x@example.org", "a" * 100])
def test_a_user_may_be_named(users, name):
    users.create(name, "a password")
    assert find_user(name) is not None


@pytest.mark.parametrize(
    "name", ["", " ", "-a", "a b", "a:b", "a\n", "ä", "a/b", "anonymous", "a" * 101]
)
def test_a_user_may_not_be_named(users, name):
    with pytest.raises(Invalid, match=r"^name: ") as caught:
        users.create(name, "a password")
    assert caught.value.field == "name"
    assert users.all() == []


def test_a_name_is_taken_once(users):
    users.create("ann", "a password")
    with pytest.raises(Conflict, match=r"^name: .*'ann'"):
        users.create("ann", "other password")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "x" * (PASSWORD_MIN_CHARS - 1),
        "x" * (PASSWORD_MAX_CHARS + 1),
        "of two\nlines",
        "with a\ttab",
        "with\x7f\x00",
    ],
)
def test_a_password_that_will_not_do_is_refused(users, password):
    users.create("ann", "a password")
    for change in (users.create, users.set_password):
        with pytest.raises(Invalid, match=r"^password: ") as caught:
            change("ann", password)
        assert caught.value.field == "password"


def test_a_password_of_endless_length_does_not_reach_the_hash(users, verifier, authenticate):
    users.create("ann", "x" * PASSWORD_MAX_CHARS)
    assert authenticate("ann", "x" * PASSWORD_MAX_CHARS) == Actor("ann")
    runs = verifier.runs
    with pytest.raises(Unauthenticated):
        authenticate("ann", "x" * (PASSWORD_MAX_CHARS + 1))
    assert verifier.runs == runs


def test_a_user_that_is_not_there_cannot_be_changed(users):
    for change in (lambda: users.set_password("ann", "a password"), lambda: users.delete("ann")):
        with pytest.raises(NotFound, match="'ann'"):
            change()


# --- Another cost --------------------------------------------------------------------------------


def test_a_hash_of_another_cost_is_replaced_at_the_next_login(users, verifier, authenticate):
    users.create("ann", "a password")
    cheap = find_user("ann").password_hash
    verifier._hasher = PasswordHasher(time_cost=1, memory_cost=16, parallelism=1)
    authenticate("ann", "a password")
    dear = find_user("ann")
    assert "m=8," in cheap
    assert "m=16," in dear.password_hash
    assert dear.epoch == 0  # who is logged in stays so
    authenticate("ann", "a password")
    assert find_user("ann").password_hash == dear.password_hash
    with pytest.raises(Unauthenticated):
        authenticate("ann", "guess")


# --- Anonymous -----------------------------------------------------------------------------------


def test_no_credentials_and_empty_ones_are_anonymous(authenticate):
    assert authenticate("", "") is ANONYMOUS
    for name, password in (("ann", ""), ("", "a password"), ("anonymous", "")):
        with pytest.raises(Unauthenticated):
            authenticate(name, password)


@pytest.fixture
def authorizer(database):
    return Authorizer(database, Options(database, security_options(SecuritySettings())))


def allowed(authorizer, actor, place=TEAM):
    """What the actor may do with everything in a repository."""
    return {a for a in Action if authorizer.is_allowed(actor, place, Access(frozenset({a})))}


@pytest.mark.parametrize(
    ("everywhere", "here", "expected"),
    [
        (False, None, set()),
        (True, None, READING),
        (False, True, READING),
        (True, False, set()),
    ],
)
def test_anonymous_may_read_where_it_is_switched_on(
    database, authorizer, everywhere, here, expected
):
    Options(database, security_options(SecuritySettings())).update(
        "anonymous", {"enabled": everywhere}
    )
    place = replace(TEAM, anonymous=here)
    assert allowed(authorizer, ANONYMOUS, place) == expected
    for action in set(Action) - expected:
        with pytest.raises(Unauthenticated):
            authorizer.check(ANONYMOUS, place, Access(frozenset({action})))


@pytest.mark.parametrize(
    ("role", "expected"),
    [("nx-admin", set(Action)), ("nx-developer", set(Action)), ("nx-anonymous", READING)],
)
def test_a_user_may_do_what_the_roles_say(users, authorizer, role, expected):
    users.create("ann", "a password", [role])
    assert allowed(authorizer, Actor("ann")) == expected


def test_a_user_without_a_role_may_do_nothing(users, authorizer):
    users.create("ann", "a password")
    assert allowed(authorizer, Actor("ann")) == set()
    with pytest.raises(Denied):
        authorizer.check(Actor("ann"), TEAM, Access(READING))


@pytest.fixture
def elsewhere(database):
    """Write as another process does: nothing here notices."""

    @contextmanager
    def write():
        numbers = dict(database.topics.numbers)
        with database.transaction():
            yield
        database.topics.numbers.clear()
        database.topics.numbers.update(numbers)

    return write


def test_a_user_that_another_process_makes_gets_in_at_once(
    users, authenticate, verifier, elsewhere
):
    with pytest.raises(Unauthenticated):
        authenticate("ana", "a password")
    with elsewhere():
        insert_user("ana", verifier.hash("a password"))
    assert authenticate("ana", "a password") == Actor("ana")


def test_a_wrong_password_takes_as_long_for_a_user_as_for_nobody(
    users, authenticate, verifier, database, monkeypatch
):
    users.create("ana", "a password")
    authenticate("ana", "a password")
    with database.transaction(touches=()):  # as logins are noted: nothing here notices
        update_user("ana", last_login_at=1.0)
    verify, verified = verifier.verify, []
    monkeypatch.setattr(verifier, "verify", lambda *what: verified.append(what) or verify(*what))
    for count, name in enumerate(("ana", "nobody"), 1):
        with pytest.raises(Unauthenticated):
            authenticate(name, "a wrong password")
        assert len(verified) == count


def test_a_password_that_has_ended_while_it_was_verified_lets_nobody_in(
    users, authenticate, verifier, elsewhere, monkeypatch
):
    with pytest.raises(Unauthenticated):
        authenticate("ana", "a password")
    with elsewhere():
        insert_user("ana", verifier.hash("a password"))
    verify = verifier.verify

    def slowly(password, password_hash):
        is_right = verify(password, password_hash)
        if is_right:
            users.set_password("ana", "another password")
        return is_right

    monkeypatch.setattr(verifier, "verify", slowly)
    with pytest.raises(Unauthenticated):
        authenticate("ana", "a password")


def test_the_oldest_session_ends_where_there_are_too_many(repoman_factory):
    repoman = repoman_factory(sessions={"per_user": 2})
    sessions = repoman.security.sessions
    secrets = [sessions.begin(Actor("admin"), "", "") for _ in range(4)]
    assert [bool(sessions.find(each)) for each in secrets] == [False, False, True, True]
