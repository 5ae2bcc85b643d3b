"""Commands on LDAP servers, the trust store, e-mail and options, beside a running server."""

import json
import shlex

import pytest
import requests

from tests.architecture import ROOT
from tests.clock import wait_until
from tests.fakes.smtp import MailServer
from tests.live import LiveServer, free_port
from tests.server.certificates import Certificate

SECRET = "the reader's own"

# These commands ask servers that do not exist.
ASKING = {("truststore", "fetch"), ("ldap", "test"), ("ldap", "users"), ("email", "test")}


@pytest.fixture
def offline(tmp_path):
    """A data directory that no server runs on."""
    server = LiveServer(tmp_path / "offline")
    server.cli("init")
    return server


def test_ldap_servers_are_created_changed_ordered_and_deleted(offline):
    settings = ["host=ldap.example.org", "port=636", "search_base=dc=org", "protocol=ldaps"]
    login = ["auth_scheme=simple", "auth_username=cn=reader", "--stdin", "auth_password"]
    offline.cli("ldap", "create", "one", *settings, *login, given=SECRET)
    offline.cli("ldap", "create", "two", *settings, "auth_scheme=NONE")
    assert offline.cli("ldap", "list").stdout == (
        "one  ldaps://ldap.example.org:636\ntwo  ldaps://ldap.example.org:636\n"
    )
    assert offline.cli("ldap", "order", "two").stdout == "The order is two, one.\n"
    offline.cli("ldap", "set", "one", "port=389", "user_subtree=true")
    shown = offline.cli("ldap", "show", "one").stdout
    assert "port = 389" in shown
    assert "user_subtree = true" in shown
    listed = offline.cli("ldap", "list", "--json").stdout
    assert json.loads(listed)[1]["auth_password"] == "**********"
    assert SECRET not in shown + listed
    offline.cli("ldap", "set", "one", "auth_password=**********", "port=390")
    done = offline.cli("ldap", "test", "ann", "--server", "one", "--no-password", check=False)
    assert "ldaps://ldap.example.org:390 cannot be used" in done.stdout
    offline.cli("ldap", "delete", "two", "--yes")
    assert offline.cli("ldap", "list").stdout.startswith("one ")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("create", "x", "port=1"), "protocol: is required"),
        (("set", "none", "port=1"), "There is no LDAP server 'none'"),
        (("set", "none"), "nothing to change"),
        (("order", "none"), "There is no LDAP server 'none'"),
        (("test", "ann", "--no-password"), "name an LDAP server with --server"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_ldap_server_is_said(offline, words, text):
    done = offline.cli("ldap", *words, check=False)
    assert done.returncode == 1
    assert text in done.stderr


def test_certificates_are_added_beside_a_running_server(server, tmp_path):
    certificate = Certificate(tmp_path, "localhost")
    where = f"{server.main_url}/service/rest/v1/security/ssl/truststore"

    def stored():
        return requests.get(where, auth=server.admin, timeout=10).json()

    added = server.cli("truststore", "add", str(certificate.path)).stdout
    [shown] = stored()
    assert added == f"Added the certificate {shown['id']} (localhost).\n"
    assert server.cli("truststore", "list").stdout.startswith(f"{shown['id']}  20")
    assert json.loads(server.cli("truststore", "list", "--json").stdout)[0]["pem"] == shown["pem"]
    one = server.cli("truststore", "show", shown["id"].lower(), "--json").stdout
    assert json.loads(one)["pem"] == shown["pem"]
    again = server.cli("truststore", "add", "-", given=shown["pem"], check=False)
    assert "is in the trust store already" in again.stderr
    missing = server.cli("truststore", "add", str(tmp_path / "none"), check=False)
    assert "cannot be read" in missing.stderr
    server.cli("truststore", "remove", shown["id"].lower())
    wait_until(lambda: stored() == [], what="the server to notice")


def test_a_test_message_is_sent_and_options_are_reset(offline):
    mail = MailServer()
    values = ["host=127.0.0.1", f"port={mail.port}", "from_address=repoman@example.org"]
    offline.cli("option", "set", "email", *values, "--stdin", "password", given=SECRET)
    sent = offline.cli("email", "test", "ann@example.org")
    assert sent.stdout == "Sent a test message to ann@example.org.\n"
    assert len(mail.messages) == 1
    mail.stop()
    failed = offline.cli("email", "test", "ann@example.org", check=False)
    assert failed.returncode == 1
    assert "refused" in failed.stderr
    offline.cli("option", "reset", "email", "--yes")
    assert "host = null" in offline.cli("option", "show", "email").stdout
    assert "No mail server is set" in offline.cli("email", "test", "a@b", check=False).stderr


def documented(page, section):
    """The commands of a section, as lists of words; what they read is left out."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    part = text.split(f"# {section}\n")[1].split("\n#")[0].replace("\\\n", " ")
    lines = [line for line in part.split("\n") if line.startswith("repoman ")]
    return [shlex.split(line.partition(" <")[0].partition(" >")[0])[1:] for line in lines]


@pytest.mark.parametrize(
    ("page", "section"),
    [
        ("ldap.md", "Several directories"),
        ("operations.md", "The trust store"),
        ("operations.md", "HTTP proxies"),
        ("operations.md", "E-mail"),
    ],
)
def test_documented_commands_work(offline, tmp_path, page, section):
    certificate = Certificate(tmp_path, "localhost")
    proxy = ("docker-proxy", "mirror", "--set", "proxy.remote_url=https://a.example.org")
    offline.cli("repo", "create", *proxy)
    words = documented(page, section)
    assert words
    for each in words:
        if each[:2] in (
            ["truststore", "fetch"],
            ["ldap", "test"],
            ["ldap", "users"],
            ["email", "test"],
        ):
            continue  # These ask a server that does not exist.
        found = [str(certificate.path) if word == "registry.pem" else word for word in each]
        offline.cli(*found, given="a password\n")


def test_no_server_shows_no_certificate(offline):
    done = offline.cli("truststore", "fetch", "127.0.0.1", str(free_port()), check=False)
    assert "does not show a certificate" in done.stderr


def test_all_tokens_are_revoked(offline):
    for name in "ab":
        offline.cli("token", "create", "admin", name)
    assert offline.cli("token", "revoke-all", "--yes").stdout == "Revoked 2 tokens.\n"
    assert offline.cli("token", "list").stdout == ""


@pytest.mark.parametrize("host", ["proxy.example.org:3128", "[::1]:3128"])
def test_the_host_of_an_http_proxy_has_no_port(offline, host):
    words = ("option", "set", "http_proxy", f"host={host}", "port=3128")
    done = offline.cli(*words, check=False)
    assert done.stderr.startswith("Error: host: must be a host name or address without a port")
