"""Users by the command line: the rules for passwords, and the first password of admin."""

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
