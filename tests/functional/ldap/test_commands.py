"""The command line beside a running server: options, LDAP, secrets, and what it never says."""

import json

import pytest

from tests.fakes.slapd import PEOPLE, READER, READER_PASSWORD
from tests.functional.ldap.conftest import ALICE
from tests.live import live_server

REMOTE_PASSWORD = "the-password-at-the-remote"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server of this module's own."""
    with live_server(tmp_path_factory.mktemp("commands")) as server:
        yield server


@pytest.fixture(scope="module")
def said(server):
    """Everything that a command of this module has printed."""
    return []


@pytest.fixture
def cli(server, said):
    """Run a command and return what it printed, errors after the rest."""

    def run(*words, given=None, check=True):
        done = server.cli(*words, given=given, check=check)
        said.append(done.stdout + done.stderr)
        assert check or done.returncode == 1
        return said[-1]

    return run


@pytest.fixture
def ldap(cli, directory):
    """The realm, set up by commands as the documentation has it."""
    cli(
        *("option", "set", "ldap", f'urls=["{directory.url}"]', f"user_base={PEOPLE}"),
        *(f"bind_dn={READER}", "timeout=60", 'default_roles=["nx-developer"]'),
        *("group_base=ou=groups,dc=example,dc=org", "--stdin", "bind_password"),
        given=READER_PASSWORD + "\n",
    )


def test_options_are_listed_shown_and_set(cli):
    assert {"anonymous", "ldap", "realms"} <= set(cli("option", "list").split())
    assert "enabled = false" in cli("option", "show", "anonymous")
    assert "Updated the options anonymous" in cli(
        "option", "set", "anonymous", "enabled=true", "roles=[]"
    )
    shown = json.loads(cli("option", "show", "anonymous", "--json"))
    assert (shown["enabled"], shown["roles"]) == (True, [])
    cli("option", "set", "anonymous", "enabled=false")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("show", "nonsense"), "There are no options 'nonsense'; available: "),
        (("set", "anonymous"), "nothing to change"),
        (("set", "anonymous", "enabled"), "KEY=VALUE"),
        (("set", "anonymous", "enabled=perhaps"), "anonymous.enabled: "),
        (("set", "anonymous", "nonsense=1"), "anonymous.nonsense: unknown key"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_option_is_said(cli, words, text):
    assert text in cli("option", *words, check=False)


def test_a_login_is_explained_step_by_step(cli, ldap):
    text = cli("ldap", "test", "alice", "--password-stdin", given=ALICE + "\n")
    for line in (
        "The realm is not enabled",
        "Passwords are sent to ldap:// servers in plain text",
        f"bound as {READER}",
        f"The user is uid=alice,{PEOPLE}.",
        "The password is correct.",
        "name       alice",
        "email      alice@example.org",
        "developers",
        "roles      nx-developer",
    ):
        assert line in text
    assert "alice" in cli("ldap", "test", "alice", "--no-password")
    text = cli("ldap", "test", "alice", "--password-stdin", given="wrong\n", check=False)
    assert "Refused: invalidCredentials." in text
    text = cli("ldap", "test", "nobody", "--no-password", check=False)
    assert "No entries match (uid=nobody)" in text
    text = cli("ldap", "users")
    assert "alice  Alice Alice  alice@example.org  Staff, developers\n" in text
    assert "entries match (uid=*)" in text
    assert cli("ldap", "forget") == "The directories will be asked again.\n"
    cli("option", "set", "ldap", 'urls=["ldap://127.0.0.1:1"]')
    assert "did not list its users" in cli("ldap", "users", check=False)
    text = cli("ldap", "test", "alice", "--no-password", check=False)
    assert "ldap://127.0.0.1:1 cannot be used: " in text


def test_logins_that_commands_try_are_in_the_audit_log(cli, ldap):
    cli("ldap", "test", "alice", "--password-stdin", given=ALICE + "\n")
    cli("ldap", "test", "nobody", "--no-password", check=False)
    lines = cli("audit", "list", "--domain", "ldap", "--type", "try", "--json").splitlines()
    told = {
        (each["attributes"]["what"], bool(each["is_success"])) for each in map(json.loads, lines)
    }
    assert {("login", True), ("find", False)} <= told


def test_an_empty_password_is_not_taken_for_a_correct_one(cli, ldap):
    text = cli("ldap", "test", "alice", "--password-stdin", given="\n", check=False)
    assert "password" in text
    assert "email" not in text


@pytest.fixture
def hub(cli):
    """A proxy with a password at its remote."""
    if "hub" not in cli("repo", "list"):
        cli(
            *("repo", "create", "docker-proxy", "hub"),
            *("--set", "proxy.remote_url=http://127.0.0.1:1", "--stdin", "http_client.password"),
            *("--set", "http_client.username=puller"),
            given=REMOTE_PASSWORD + "\n",
        )


def test_a_rotation_beside_a_running_server(cli, server, hub):
    old = (server.data / "keys" / "secrets.key").read_text()
    assert "secrets with a new key" in cli("secret", "rotate")
    new = (server.data / "keys" / "secrets.key").read_text()
    assert (len(new.split()), new == old) == (1, False)
    cli("repo", "set", "hub", "--set", "http_client.retries=0")
    cli("secret", "rotate")
    server.restart()
    listed = {each["name"]: each for each in json.loads(cli("repo", "list", "--json"))}
    assert listed["hub"]["problem"] is None
    assert listed["hub"]["settings"]["http_client"]["password"] == "**********"


def test_without_its_key_file_a_server_does_not_start(cli, server):
    path = server.data / "keys" / "secrets.key"
    key = path.read_bytes()
    server.stop()
    path.unlink()
    try:
        assert "Restore the key file that belongs to this database" in cli(
            "repo", "list", check=False
        )
        assert not path.exists()
    finally:
        path.write_bytes(key)
        path.chmod(0o600)
        server.start()


def test_no_secret_is_in_any_output_log_or_file(cli, server, said, ldap, hub):
    cli("repo", "list", "--json")
    cli("option", "show", "ldap", "--json")
    cli("option", "set", "ldap", "timeout=no", "--stdin", "bind_password", given="x", check=False)
    server.stop()
    texts = "".join(said) + server.log + server.output
    data = b"".join(path.read_bytes() for path in server.data.glob("repoman.db*"))
    server.start()
    for secret in (REMOTE_PASSWORD, READER_PASSWORD, ALICE):
        assert secret not in texts
        assert secret.encode() not in data
