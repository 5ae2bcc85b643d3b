"""What a login gave ends when the directory does not know its user any more."""

import pytest
from werkzeug.test import Client

from repoman.errors import Denied, Unauthenticated, Unavailable
from repoman.http.current import CONNECTOR
from repoman.repositories.model import connector_key
from repoman.security.actors import Actor, Credentials, Limit
from repoman.security.ldap import RETRY_PAUSE_S, USER_CHECK_INTERVAL_S, LdapRealm
from repoman.security.throttling import LoginQueue
from repoman.security.user_records import Status, find_user
from repoman.testing.client import application_of
from tests.fakes.slapd import GROUPS, PEOPLE
from tests.live import free_port

PASSWORD = "a password"


@pytest.fixture
def ticks():
    """A clock that a test moves."""
    return [100.0]


@pytest.fixture
def realm(repoman, ticks):
    """The realm by itself, with a memory of its own."""
    return LdapRealm(LoginQueue(8), repoman.options, 60, lambda: ticks[0])


@pytest.fixture
def person(directory, request):
    """The name of a user of the directory, whom only this test has."""
    name = f"p{abs(hash(request.node.name))}"
    directory.add_person(name, PASSWORD, mail=f"{name}@example.org")
    return name


def remove(directory, name):
    directory.modify(f"dn: uid={name},{PEOPLE}\nchangetype: delete\n")


def ask(realm, name):
    return realm.repoman_find_user(name=name)


def test_a_user_who_is_removed_is_gone_a_minute_later(realm, directory, person, ticks):
    assert ask(realm, person).roles == ("readers",)
    remove(directory, person)
    assert ask(realm, person) is not None
    ticks[0] += USER_CHECK_INTERVAL_S
    assert ask(realm, person) is None


def test_a_group_gives_its_roles_a_minute_later(realm, repoman, directory, person, ticks):
    assert ask(realm, person).roles == ("readers",)
    repoman.options.update("ldap", {"roles": {f"of-{person}": ["writers"]}})
    assert ask(realm, person).roles == ("readers",)
    directory.add_group(f"of-{person}", f"uid={person},{PEOPLE}")
    ticks[0] += USER_CHECK_INTERVAL_S
    assert ask(realm, person).roles == ("readers", "writers")
    directory.modify(f"dn: cn=of-{person},{GROUPS}\nchangetype: delete\n")


def test_what_is_known_of_a_user_counts_for_a_remembered_password(realm, directory, person, ticks):
    def log_in():
        return realm.repoman_authenticate(credentials=Credentials(person, PASSWORD))

    ticks[0] -= USER_CHECK_INTERVAL_S - 10
    ask(realm, person)
    ticks[0] += USER_CHECK_INTERVAL_S - 20
    assert log_in() is not None
    remove(directory, person)
    assert log_in() is not None
    ticks[0] += USER_CHECK_INTERVAL_S - 1
    assert log_in() is not None
    ticks[0] += 1
    assert ask(realm, person) is None
    assert log_in() is None


def test_a_login_asks_enough_for_a_minute(realm, directory, person):
    realm.repoman_authenticate(credentials=Credentials(person, PASSWORD))
    remove(directory, person)
    assert ask(realm, person) is not None


@pytest.mark.parametrize(
    "user_filter",
    [
        "(mail={user})",
        "(&(mail={user})(sn=*))",
        "(uid:caseExactMatch:={user})",
        "(|(uid={user})(mail={user}))",
    ],
)
def test_the_filter_of_logins_may_want_another_name(realm, repoman, person, user_filter):
    repoman.options.update("ldap", {"user_filter": user_filter})
    assert ask(realm, person).name == person


def test_whom_the_filter_keeps_out_is_gone(realm, repoman, person):
    repoman.options.update("ldap", {"user_filter": "(&(uid={user})(!(sn=*)))"})
    assert ask(realm, person) is None


def test_while_the_directory_is_away_its_last_word_counts(realm, repoman, directory, person, ticks):
    gone = "somebody-who-was-never-there"
    assert ask(realm, person) is not None
    assert ask(realm, gone) is None
    directory.stop()
    try:
        ticks[0] += USER_CHECK_INTERVAL_S
        assert ask(realm, person) is not None
        assert ask(realm, gone) is None
        with pytest.raises(Unavailable):
            ask(realm, "who-is-this")
    finally:
        directory.start()
    remove(directory, person)
    ticks[0] += RETRY_PAUSE_S
    assert ask(realm, person) is None


# --- By each way in ------------------------------------------------------------------------------


@pytest.fixture
def open_(repoman):
    """Send a request, to the connector of images unless told otherwise."""
    client = Client(application_of(repoman), use_cookies=False)

    def open_(path, connector="images", **options):
        environ = {CONNECTOR: connector_key(connector, "http")} if connector else {}
        return client.open(path, environ_overrides=environ, **options)

    return open_


@pytest.fixture
def ways(repoman, open_, person):
    """Ways in of a user who has logged in; each returns a status."""
    login = (person, PASSWORD)
    answer = open_("/v2/token?scope=repository:app:pull", auth=login)
    assert answer.json["expires_in"] == 60
    bearer = {"Authorization": f"Bearer {answer.json['token']}"}
    secret = repoman.security.user_tokens.create(person, "ci", Limit())
    token = open_("/v2/token?scope=repository:app:pull", auth=(person, secret))
    assert token.json["expires_in"] == 300
    by_token = {"Authorization": f"Bearer {token.json['token']}"}
    actor = repoman.security.authenticator.authenticate(Credentials(*login))
    session = repoman.security.sessions.begin(actor, "", "")
    find = repoman.security.sessions.find
    return {
        "bearer": lambda: open_("/v2/", headers=bearer).status_code == 200,
        "token": lambda: open_("/v2/", auth=(person, secret)).status_code == 200,
        "bearer by token": lambda: open_("/v2/", headers=by_token).status_code == 200,
        "session": lambda: find(session) is not None,
    }


def test_nothing_goes_on_for_who_is_removed(repoman, directory, person, ways):
    assert [name for name, is_open in ways.items() if not is_open()] == []
    remove(directory, person)
    repoman.options.update("ldap", {"timeout": 3})  # all that is remembered is forgotten
    assert [name for name, is_open in ways.items() if is_open()] == []
    assert find_user(person).is_active


@pytest.mark.parametrize(
    ("section", "off", "on"),
    [
        ("ldap", {"enabled": False}, {"enabled": True}),
        ("realms", {"active": ["local"]}, {"active": []}),
    ],
)
def test_nothing_goes_on_while_the_realm_is_off(repoman, ways, section, off, on):
    repoman.options.update(section, off)
    try:
        assert [name for name, is_open in ways.items() if is_open()] == []
    finally:
        repoman.options.update(section, on)
    assert [name for name, is_open in ways.items() if not is_open()] == []


def test_all_goes_on_while_the_directory_is_away(repoman, ways):
    repoman.options.update("ldap", {"urls": [f"ldap://localhost:{free_port()}"]})
    assert [name for name, is_open in ways.items() if not is_open()] == []


# --- A name that another realm has taken ---------------------------------------------------------


def test_a_local_user_of_the_name_is_not_taken_over_by_a_login_that_is_remembered(repoman, person):
    authenticate = repoman.security.authenticator.authenticate
    login = Credentials(person, PASSWORD)
    actor = authenticate(login)
    repoman.users.delete(person)
    repoman.users.create(person, "local password", ["nx-admin"])
    with pytest.raises(Unauthenticated):
        authenticate(login)
    with pytest.raises(Denied):
        repoman.security.sessions.begin(actor, "", "")
    assert not repoman.security.authorizer.may_administer(actor, "users", "create")
    assert authenticate(Credentials(person, "local password")) == Actor(person)


def test_whoever_is_disabled_is_let_in_no_more_at_once(repoman, person):
    authenticate = repoman.security.authenticator.authenticate
    authenticate(Credentials(person, PASSWORD))
    repoman.users.change(person, status=Status.DISABLED)
    with pytest.raises(Unauthenticated):
        authenticate(Credentials(person, PASSWORD))


@pytest.mark.parametrize("name", ["anonymous", "cli", "system"])
def test_a_directory_has_no_user_of_the_names_of_who_acts_besides(repoman, directory, name):
    directory.add_person(name, PASSWORD)
    with pytest.raises(Unauthenticated):
        repoman.security.authenticator.authenticate(Credentials(name, PASSWORD))
    assert find_user(name) is None
    remove(directory, name)
