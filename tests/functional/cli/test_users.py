"""Users by the command line: the rules for passwords, and the first password of admin."""

import json

import pytest
import requests

from tests.live import LiveServer

NEW = "correct horse battery staple"


@pytest.fixture
def offline(tmp_path):
    """A data directory that no server runs on."""
    server = LiveServer(tmp_path / "offline")
    server.cli("init")
    return server


@pytest.mark.parametrize("given", ["", "\n", "short\n", "seven77\n", "first line\nsecond line\n"])
def test_a_password_on_standard_input_keeps_the_rules_of_the_page(offline, given):
    for words in (("user", "create", "ana"), ("user", "password", "admin")):
        done = offline.cli(*words, "--password-stdin", given=given, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: password: must ")
    assert "ana" not in offline.cli("user", "list").stdout
    assert (offline.data / "admin.password").exists()


def test_the_file_with_the_first_password_goes_with_it(server):
    page = f"{server.main_url}/account"
    file = server.data / "admin.password"
    old = server.admin
    server.cli("user", "create", "ana", "--password-stdin", given=NEW)
    server.cli("user", "password", "ana", "--password-stdin", given=NEW + "!")
    assert file.exists(), "of another user"
    server.cli("user", "password", "admin", "--password-stdin", given=NEW)
    assert not file.exists()
    assert requests.get(page, auth=("admin", NEW), timeout=10).status_code == 200
    assert requests.get(page, auth=old, timeout=10).status_code == 401


def test_the_file_goes_with_the_user(offline):
    offline.cli("user", "create", "ana", "--role", "nx-admin", "--password-stdin", given=NEW)
    offline.cli("user", "delete", "admin", "--yes")
    assert not (offline.data / "admin.password").exists()
    offline.cli("user", "list")
    assert not (offline.data / "admin.password").exists(), "made anew"


def test_the_user_who_may_not_go_keeps_the_file(offline):
    assert offline.cli("user", "delete", "admin", "--yes", check=False).returncode == 1
    assert (offline.data / "admin.password").exists()


def test_a_misspelled_realm_is_told_at_once(offline):
    done = offline.cli("option", "set", "realms", "active=ldpa,local")
    assert done.stderr == (
        "There is no realm ldpa, so nobody can log in with it. "
        "Available realms: ldap, local, token.\n"
    )
    assert offline.cli("option", "set", "realms", "active=ldap,local").stderr == ""


def test_all_that_is_known_of_a_user_is_set_and_shown(offline):
    words = ("--first-name", "Ana", "--email", "ana@example.org", "--status", "changepassword")
    offline.cli("user", "create", "ana", *words, "--password-stdin", given=NEW)
    offline.cli("user", "set", "ana", "--last-name", "Lee", "--role", "nx-developer")
    shown = json.loads(offline.cli("user", "show", "ana", "--json").stdout)
    expected = {
        "name": "ana",
        "status": "changepassword",
        "first_name": "Ana",
        "last_name": "Lee",
        "email": "ana@example.org",
        "roles": ["nx-developer"],
    }
    assert {key: shown[key] for key in expected} == expected
    assert "hash" not in str(shown)
    assert shown in json.loads(offline.cli("user", "list", "--json").stdout)
    assert "status: changepassword\n" in offline.cli("user", "show", "ana").stdout
    for word, status in (("--disable", "disabled"), ("--enable", "active")):
        offline.cli("user", "set", "ana", word)
        assert f"status: {status}\n" in offline.cli("user", "show", "ana").stdout
    refused = offline.cli("user", "set", "ana", "--enable", "--status", "locked", check=False)
    assert refused.stderr == "Error: Give either --status or --enable or --disable.\n"


def test_a_privilege_of_each_type_is_made_changed_and_shown(offline):
    for kind, words in (
        ("wildcard", ("--pattern", "nexus:users:read")),
        ("application", ("--domain", "users", "--action", "read")),
        ("repository-view", ("--action", "read")),
        ("repository-admin", ("--format", "docker", "--action", "*")),
        ("script", ("--script", "set-up", "--action", "run")),
    ):
        offline.cli("privilege", "create", kind, f"my-{kind}", *words)
        offline.cli("privilege", "set", f"my-{kind}", "--description", "Of mine.")
        shown = json.loads(offline.cli("privilege", "show", f"my-{kind}", "--json").stdout)
        assert (shown["type"], shown["description"]) == (kind, "Of mine.")
    offline.cli("privilege", "set", "my-application", "--action", "create", "--action", "start")
    assert offline.cli("privilege", "show", "my-application").stdout == (
        "my-application: Of mine.\n"
        "type application\n"
        "domain users\n"
        "actions create start\n"
        "permission nexus:users:create,start\n"
    )
