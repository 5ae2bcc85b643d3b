"""Logins of users of a real directory: who gets in, as whom, and what happens if it is ill."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing

import ldap3
import pytest

from repoman.errors import Invalid, Unavailable
from repoman.security.actors import Credentials
from repoman.security.ldap import CONNECTIONS_MAX, LdapRealm
from repoman.security.options import LdapOptions
from repoman.security.throttling import LoginQueue
from repoman.security.user_records import Status
from repoman.testing import ADMIN
from tests.clock import WAIT_S
from tests.fakes.slapd import PEOPLE, slapd
from tests.functional.ldap.conftest import ALICE
from tests.live import free_port

PROBES = ["*", "a*", "alice)(uid=*", "*)(uid=alice", "alice)(|(uid=*", "alice\x00", "\\61lice"]
PROBES += [PEOPLE, "", "alice,ou=people", "a" * 10_000, "\ud800", "alice\nx", "(", "\\", "="]


@pytest.fixture
def ticks():
    """A clock that a test moves."""
    return [100.0]


@pytest.fixture
def realm(repoman, ticks):
    """The realm by itself, with a memory of its own."""
    return LdapRealm(LoginQueue(100), repoman.options, 60, lambda: ticks[0])


def log_in(realm, name="alice", password=ALICE):
    return realm.repoman_authenticate(credentials=Credentials(name, password))


def change(repoman, **values):
    repoman.options.update("ldap", values)


# --- Who gets in ---------------------------------------------------------------------------------


def test_a_user_with_the_right_password_gets_in_with_the_roles_of_the_groups(realm):
    actor = log_in(realm)
    assert (actor.name, actor.realm, actor.roles) == ("alice", "ldap", ("readers", "writers"))


def test_a_user_without_groups_has_the_default_roles(realm):
    assert log_in(realm, "bob", "battery staple").roles == ("readers",)


@pytest.mark.parametrize("name", ["ALICE", "Alice", " alice "])
def test_a_user_has_one_name_however_it_is_written(realm, name):
    assert log_in(realm, name).name == "alice"


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", "wrong"), ("alice", ALICE + " "), ("nobody", ALICE), ("bob", ALICE)],
)
def test_a_wrong_password_or_name_is_refused(realm, name, password):
    assert log_in(realm, name, password) is None


@pytest.mark.parametrize("name", ["alice", "bob", f"uid=alice,{PEOPLE}", ""])
def test_an_empty_password_is_nobody(realm, name):
    assert log_in(realm, name, "") is None


@pytest.mark.parametrize("password", ["\x00", ALICE + "\x00", "\ud800", "\u0000" * 9, "x" * 70_000])
def test_passwords_that_cannot_be(realm, password):
    assert log_in(realm, "alice", password) is None
    assert log_in(realm) is not None


@pytest.mark.parametrize("name", PROBES, ids=range(len(PROBES)))
def test_a_name_is_no_part_of_the_filter(realm, name):
    assert log_in(realm, name) is None
    assert log_in(realm).name == "alice"


def test_names_with_the_signs_of_filters_work(realm, directory):
    directory.add(
        f"dn: cn=odd,{PEOPLE}\nobjectClass: inetOrgPerson\ncn: odd\nsn: odd\n"
        "uid: o(d*d)\\\nuserPassword: a password\n"
    )
    assert log_in(realm, "o(d*d)\\", "a password").name == "o(d*d)\\"
    assert log_in(realm, "o(d*", "a password") is None


def test_a_name_that_fits_two_entries_is_nobody(realm, repoman):
    change(repoman, user_filter="(|(uid={user})(uid=bob))")
    assert log_in(realm) is None


def test_nobody_gets_in_while_the_realm_is_disabled(realm, repoman):
    assert log_in(realm) is not None
    change(repoman, enabled=False)
    assert log_in(realm) is None


def test_a_directory_may_be_searched_by_anybody(repoman, realm, tmp_path):
    with slapd(tmp_path, anonymous=True) as server:
        server.add_person("carol", "a password")
        change(repoman, urls=[server.url], bind_dn="", bind_password="")
        assert log_in(realm, "carol", "a password").name == "carol"


# --- Who is there is nobody's business -----------------------------------------------------------


@pytest.fixture
def questions(monkeypatch):
    """What the directory was asked: each bind, by who it is for, and each search."""
    asked = []

    def ask(kind, method):
        def asking(self, *args, **options):
            asked.append((kind, self.user if kind == "bind" else args[1]))
            return method(self, *args, **options)

        return asking

    for kind in ("bind", "search"):
        monkeypatch.setattr(ldap3.Connection, kind, ask(kind, getattr(ldap3.Connection, kind)))
    return asked


@pytest.fixture
def kept_out(repoman, realm):
    """A user of the directory who is disabled here."""
    repoman.security.authenticator.authenticate(Credentials("bob", "battery staple"))
    repoman.users.change("bob", status=Status.DISABLED)
    yield "bob"
    repoman.users.change("bob", status=Status.ACTIVE)


@pytest.mark.parametrize("name", ["alice", "nobody", ADMIN[0], "bob"])
def test_each_refusal_takes_the_same_questions(realm, kept_out, questions, name):
    assert log_in(realm, name, "wrong") is None
    assert [kind for kind, _ in questions] == ["bind", "search", "bind"]
    if name in (ADMIN[0], kept_out):
        assert not any(name in who for _, who in questions)


def test_a_local_user_is_refused_though_the_directory_is_down(realm, repoman):
    change(repoman, urls=[f"ldap://127.0.0.1:{free_port()}"])
    assert log_in(realm, ADMIN[0], "wrong") is None


# --- Groups --------------------------------------------------------------------------------------


def test_groups_can_be_an_attribute_of_the_user(realm, repoman):
    change(repoman, group_base="", member_of_attribute="memberOf", default_roles=[])
    assert log_in(realm).roles == ("writers",)


@pytest.mark.parametrize(
    ("base", "roles"),
    [
        ("OU=Groups, dc=example,dc=org", ("writers",)),
        ("ou=people,dc=example,dc=org", ()),
    ],
)
def test_no_group_outside_of_the_base_counts(realm, repoman, base, roles):
    change(
        repoman,
        group_base=base,
        group_filter="(cn=nothing)",
        member_of_attribute="memberOf",
        default_roles=[],
    )
    assert log_in(realm).roles == roles


@pytest.mark.parametrize("group", ["STAFF", "cn=Staff,ou=groups,dc=example,dc=org"])
def test_a_group_may_be_written_in_any_case_or_as_its_dn(realm, repoman, group):
    change(repoman, roles={group: ["a", "b"]}, default_roles=["b"])
    assert log_in(realm).roles == ("b", "a")


# --- Memory --------------------------------------------------------------------------------------


def test_a_login_is_remembered_for_a_while(realm, directory, ticks):
    directory.add_person("dave", "first")
    assert log_in(realm, "dave", "first") is not None
    directory.modify(
        f"dn: uid=dave,{PEOPLE}\nchangetype: modify\nreplace: userPassword\nuserPassword: other\n"
    )
    assert log_in(realm, "dave", "first") is not None
    assert log_in(realm, "dave", "wrong") is None
    ticks[0] += 61
    assert log_in(realm, "dave", "first") is None
    assert log_in(realm, "dave", "other") is not None


def test_what_is_remembered_ends_with_other_options(realm, repoman):
    assert log_in(realm).roles == ("readers", "writers")
    change(repoman, default_roles=[])
    assert log_in(realm).roles == ("writers",)


# --- TLS -----------------------------------------------------------------------------------------


def test_start_tls_with_an_authority_of_ones_own(realm, repoman, directory):
    change(repoman, start_tls=True, ca_file=str(directory.certificate.path))
    assert log_in(realm) is not None


def test_tls_from_the_beginning(realm, repoman, directory):
    change(repoman, urls=[directory.tls_url], ca_file=str(directory.certificate.path))
    assert log_in(realm) is not None


@pytest.mark.parametrize("tls", ["start_tls", "ldaps"])
@pytest.mark.parametrize("fault", ["authority", "name"])
def test_a_certificate_that_does_not_fit_is_refused(realm, repoman, directory, tls, fault):
    url = directory.tls_url if tls == "ldaps" else directory.url
    ca_file = str(directory.certificate.path)
    if fault == "authority":
        ca_file = ""
    else:
        url = url.replace("localhost", "127.0.0.1")
    change(repoman, urls=[url], start_tls=tls == "start_tls", ca_file=ca_file)
    with pytest.raises(Unavailable):
        log_in(realm)


def test_an_authority_that_is_not_there(realm, repoman, directory):
    change(repoman, urls=[directory.tls_url], ca_file="/nowhere/ca.pem")
    with pytest.raises(Unavailable):
        log_in(realm)


# --- A directory that is ill ---------------------------------------------------------------------


@pytest.fixture
def silent_port():
    """A port that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


def test_a_directory_that_is_down_is_said_to_be_and_rests(realm, repoman, directory, ticks):
    change(repoman, urls=[f"ldap://127.0.0.1:{free_port()}"])
    with pytest.raises(Unavailable, match="does not respond"):
        log_in(realm)
    with pytest.raises(Unavailable, match="recently"):
        log_in(realm)
    ticks[0] += 11
    with pytest.raises(Unavailable, match="does not respond"):
        log_in(realm)
    change(repoman, urls=[directory.url])
    assert log_in(realm) is not None


def test_the_next_server_is_asked(realm, repoman, directory):
    change(repoman, urls=[f"ldap://127.0.0.1:{free_port()}", directory.url])
    assert log_in(realm) is not None


def test_a_directory_that_says_nothing_is_given_up_in_time(realm, repoman, silent_port):
    change(repoman, urls=[f"ldap://127.0.0.1:{silent_port}"], timeout=1)
    with pytest.raises(Unavailable):
        log_in(realm)


def test_a_slow_directory_holds_few_threads(realm, repoman, silent_port):
    change(repoman, urls=[f"ldap://127.0.0.1:{silent_port}"], timeout=1)
    answers = []

    def try_it(number):
        try:
            log_in(realm, f"user{number}")
        except Unavailable as error:
            answers.append(str(error))

    threads = [threading.Thread(target=try_it, args=(n,)) for n in range(3 * CONNECTIONS_MAX)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(WAIT_S)
    assert len(answers) == 3 * CONNECTIONS_MAX


def test_a_slow_directory_leaves_a_worker_free(repoman, silent_port):
    change(repoman, urls=[f"ldap://127.0.0.1:{silent_port}"], timeout=2)
    realm = LdapRealm(LoginQueue(2), repoman.options, 60)
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(log_in, realm, f"user{number}") for number in range(3)]
        [refused, *others] = [each.exception() for each in as_completed(answers)]
    assert (str(refused)[:8], refused.retry_after) == ("Too many", 1)
    assert ["does not respond" in str(each) for each in others] == [True, True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"bind_password": "wrong"},
        {"user_base": "ou=nowhere,dc=example,dc=org"},
        {"user_base": "no dn"},
        {"user_filter": "(uid={user})(x=y)"},
        {"group_filter": "(&)(|)"},
    ],
    ids=str,
)
def test_options_that_do_not_fit_let_nobody_in(realm, repoman, wrong, caplog):
    change(repoman, **wrong)
    with pytest.raises(Unavailable):
        log_in(realm)
    assert ALICE not in caplog.text


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"urls": ["http://x"]}, "must be addresses"),
        ({"urls": ["ldap://a:b@x"]}, "not contain a name and password"),
        ({"urls": []}, "set urls and user_base"),
        ({"user_base": ""}, "set urls and user_base"),
        ({"user_filter": "(uid=alice)"}, "must contain"),
        ({"user_filter": "uid={user}"}, "in parentheses"),
        ({"group_filter": "(member={name})"}, "and {dn} only"),
        ({"bind_password": ""}, "requires a bind_password"),
        ({"urls": ["ldaps://x"], "start_tls": True}, "ldap:// only"),
        ({"timeout": 0}, "timeout"),
        ({"nonsense": 1}, "unknown key"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(repoman, wrong, text):
    with pytest.raises(Invalid, match=text):
        change(repoman, **wrong)


def test_the_password_of_the_searcher_is_nowhere_to_be_seen(repoman, options):
    section = repoman.options.get("ldap", LdapOptions)
    assert repoman.options.describe("ldap")["bind_password"] == "**********"
    assert options["bind_password"] not in repr(section) + str(section)
    repoman.database._sqlite.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in repoman.data.glob("repoman.db*"):
        assert options["bind_password"].encode() not in path.read_bytes()
