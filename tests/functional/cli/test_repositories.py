"""Repositories by the command line, beside a running server and without one."""

import json
import socket
from contextlib import closing

import pytest

from repoman.config import load_settings
from repoman.core import Repoman
from repoman.repositories.proxy_sections import HttpClientSection
from tests.live import LiveServer, free_port, is_open, wait_until


def state_of(server, name):
    [found] = [
        each
        for each in json.loads(server.cli("repo", "list", "--json", check=False).stdout)
        if each["name"] == name
    ]
    return found["connectors"]


def test_a_new_connector_is_open_when_the_command_ends(server):
    port = free_port()
    server.cli("repo", "create", "docker-hosted", "team", "--set", f"docker.http_port={port}")
    assert is_open(port)
    url = f"http://127.0.0.1:{port}/"
    assert state_of(server, "team") == [{"url": url, "state": "open", "problem": ""}]


def test_a_connector_that_cannot_open_fails_the_command_that_asked_for_it(server):
    port = free_port()
    https = f"docker.https_port={port}"
    made = server.cli("repo", "create", "docker-hosted", "team", "--set", https, check=False)
    assert made.returncode == 1
    assert "The repository team was created." in made.stdout
    assert made.stderr.startswith(
        f"Error: The connector https://127.0.0.1:{port}/ of the repository team could not be "
        "opened: there is no TLS certificate at "
    )
    again = server.cli("repo", "set", "team", "--offline", check=False)
    assert (again.returncode, again.stderr) == (1, made.stderr)
    listed = server.cli("repo", "list", check=False)
    assert (listed.returncode, listed.stderr) == (1, made.stderr)
    [line] = [line for line in listed.stdout.splitlines() if line.startswith("team ")]
    assert line.split()[2] == "error"
    assert "there is no TLS certificate" in server.cli("repo", "show", "team").stdout
    server.cli("cert", "create", "localhost")
    wait_until(lambda: state_of(server, "team")[0]["state"] == "open", what="the open connector")
    assert server.cli("repo", "list").stderr == ""
    server.cli("repo", "set", "team", "--set", "docker.https_port=null")
    assert state_of(server, "team") == []


def test_a_port_that_somebody_took_while_the_server_was_down_is_told(server):
    assert server.stop() == 0
    assert [each["state"] for each in state_of(server, "docker-hosted")] == ["closed"]
    with closing(socket.socket()) as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", server.connector_port))
        stranger.listen()
        server.start()
        listed = server.cli("repo", "list", check=False)
        assert listed.returncode == 1
        assert f":{server.connector_port}/ of the repository docker-hosted could not" in (
            listed.stderr
        )
    wait_until(
        lambda: state_of(server, "docker-hosted")[0]["state"] == "open",
        what="the connector on the port that is free again",
    )


def test_a_server_that_was_killed_has_no_open_connectors(server):
    assert state_of(server, "docker-hosted")[0]["state"] == "open"
    server.kill()
    assert state_of(server, "docker-hosted")[0]["state"] == "closed"


def test_settings_can_be_read_without_their_secrets(server):
    settings = ("proxy.remote_url=https://registry.example.com", "http_client.username=reader")
    words = [word for setting in settings for word in ("--set", setting)]
    server.cli(
        *("repo", "create", "docker-proxy", "mirror", *words, "--stdin", "http_client.password"),
        given="hunter2 hunter2\n",
    )
    shown = server.cli("repo", "show", "mirror").stdout
    assert 'proxy.remote_url = "https://registry.example.com"' in shown.splitlines()
    assert 'http_client.username = "reader"' in shown.splitlines()
    assert 'http_client.password = "**********"' in shown.splitlines()
    as_json = server.cli("repo", "show", "MIRROR", "--json").stdout
    assert json.loads(as_json)["settings"]["http_client"]["username"] == "reader"
    assert "hunter2" not in shown + as_json
    absent = server.cli("repo", "show", "nothing", check=False)
    assert (absent.returncode, absent.stderr) == (
        1,
        "Error: There is no repository 'nothing'.\n",
    )


@pytest.fixture
def offline(tmp_path):
    """A data directory that no server runs on."""
    server = LiveServer(tmp_path / "offline")
    server.cli("init")
    return server


def test_without_a_server_nothing_is_waited_for(offline):
    port = free_port()
    made = offline.cli(
        "repo", "create", "docker-hosted", "team", "--set", f"docker.http_port={port}"
    )
    assert made.stderr == ""
    assert state_of(offline, "team")[0]["state"] == "closed"


KEY_FILE = '{\n  "type": "service_account",\n  "private_key": "-----BEGIN\\nabc\\n"\n}\n'


def password_of(data, name):
    """The password for the remote of a proxy, as the server would use it."""
    with Repoman(load_settings(data=data)) as repoman:
        config = repoman.repositories.get(name).config
        return config.section("http_client", HttpClientSection).password.get_secret_value()


@pytest.mark.parametrize("password", ["12345678", KEY_FILE, '"quoted"', "true", "null", "a,b"])
def test_a_password_is_taken_as_it_is_written(offline, password):
    words = ("--set", "proxy.remote_url=https://registry.example.com")
    offline.cli(
        *("repo", "create", "docker-proxy", "mirror", *words),
        *("--set", f"http_client.password={password}"),
    )
    assert password_of(offline.data, "mirror") == password


def test_standard_input_is_taken_whole_but_for_one_newline(offline):
    words = ("--set", "proxy.remote_url=https://registry.example.com")
    offline.cli("repo", "create", "docker-proxy", "mirror", *words)
    update = ("repo", "set", "mirror", "--stdin", "http_client.password")
    offline.cli(*update, given=KEY_FILE + "\n")
    assert password_of(offline.data, "mirror") == KEY_FILE
    offline.cli(*update, "--stdin", "http_client.username", given="secret\nreader\n")
    assert password_of(offline.data, "mirror") == "secret"
    refused = offline.cli(*update, "--stdin", "http_client.username", given=KEY_FILE, check=False)
    assert (refused.returncode, password_of(offline.data, "mirror")) == (1, "secret")
    assert "Standard input has 4 lines for 2 values" in refused.stderr


@pytest.mark.parametrize("members", ["one,two", "one, two", '["one", "two"]'])
def test_members_of_a_group_are_a_list_of_names(offline, members):
    for name in ("one", "two"):
        offline.cli("repo", "create", "docker-hosted", name)
    offline.cli("repo", "create", "docker-group", "all", "--set", f"group.members={members}")
    shown = json.loads(offline.cli("repo", "show", "all", "--json").stdout)
    assert shown["settings"]["group"]["members"] == ["one", "two"]


@pytest.mark.parametrize("nothing", ["null", "", "[]"])
def test_a_list_is_emptied(offline, nothing):
    words = ("--set", 'docker.immutable_tags=["v*"]')
    offline.cli("repo", "create", "docker-hosted", "team", *words)
    offline.cli("repo", "set", "team", "--set", f"docker.immutable_tags={nothing}")
    shown = json.loads(offline.cli("repo", "show", "team", "--json").stdout)
    assert shown["settings"]["docker"]["immutable_tags"] == []


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        (
            "docker.http_port=many",
            "docker.http_port: must be a whole number "
            "(Port of the HTTP connector; none: no connector).",
        ),
        ("docker.http_prot=5000", "docker.http_prot: unknown key; did you mean http_port?"),
        ("dokcer.http_port=5000", "dokcer: there is no such section; choose one of: access,"),
    ],
)
def test_a_wrong_setting_is_named_in_words(offline, assignment, said):
    made = offline.cli("repo", "create", "docker-hosted", "a", "--set", assignment, check=False)
    assert made.returncode == 1
    assert made.stderr.startswith(f"Error: {said}")


def test_a_variable_that_should_be_json_is_named(offline):
    offline.environment["REPOMAN_SERVER__TRUSTED_PROXIES"] = "10.0.0.1"
    listed = offline.cli("repo", "list", check=False)
    assert listed.returncode == 1
    assert listed.stderr == (
        "Error: The environment variable REPOMAN_SERVER__TRUSTED_PROXIES must be JSON, "
        'such as ["10.0.0.0/8"] for a list.\n'
    )


def test_a_certificate_that_is_not_there_can_be_made(offline):
    shown = offline.cli("cert", "show", check=False)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith("Error: There is no certificate at ")
    assert "repoman cert create" in shown.stderr
    offline.cli("cert", "create", "localhost")
    assert "localhost" in offline.cli("cert", "show").stdout


def test_an_update_without_settings_changes_nothing_and_says_so(offline):
    offline.cli("repo", "create", "docker-hosted", "team")
    updated = offline.cli("repo", "set", "team", check=False)
    assert (updated.returncode, updated.stdout) == (1, "")
    assert updated.stderr.startswith("Error: There is nothing to change: give --set ")


def test_addresses_for_clients_are_the_external_ones(offline):
    port = free_port()
    offline.environment["REPOMAN_SERVER__EXTERNAL_URL"] = "https://repoman.example.com/tools"
    http = f"docker.http_port={port}"
    made = offline.cli("repo", "create", "docker-hosted", "team", "--set", http).stdout
    assert f"team https://repoman.example.com:{port}" not in made
    assert f"team http://repoman.example.com:{port}" in made
    external = "docker.external_url=https://registry.example.com"
    changed = offline.cli("repo", "set", "team", "--set", external).stdout
    assert changed.splitlines()[1] == "team https://registry.example.com"
    assert "https://registry.example.com" in offline.cli("repo", "list").stdout
    without = offline.cli("repo", "set", "team", "--set", "docker.http_port=").stdout
    assert without.splitlines() == ["The repository team was changed."]
    assert "https://registry.example.com" not in offline.cli("repo", "list").stdout
