"""The mail server and HTTP proxies, as clients set them and as they are used."""

import json
import threading
from base64 import b64encode

import pytest

from repoman.testing import HttpClient
from repoman_raw import plugin as raw
from tests.clock import WAIT_S
from tests.fakes.scripted import Scripted, reply
from tests.fakes.smtp import MailServer
from tests.live import free_port
from tests.server.certificates import Certificate

EMAIL = {
    "enabled": True,
    "host": "127.0.0.1",
    "port": 25,
    "username": None,
    "password": None,
    "fromAddress": "repoman@example.org",
    "subjectPrefix": None,
    "startTlsEnabled": False,
    "startTlsRequired": False,
    "sslOnConnectEnabled": False,
    "sslServerIdentityCheckEnabled": False,
    "nexusTrustStoreEnabled": False,
}
NO_HTTP = {
    "userAgent": None,
    "timeout": None,
    "retries": None,
    "nonProxyHosts": [],
    "httpProxy": None,
    "httpsProxy": None,
}
PASSWORD = "not-to-be-seen"


@pytest.fixture
def repoman(repoman_factory):
    return repoman_factory({"raw": raw})


def ask(client, method, path, body=None):
    options = {}
    if body is not None:
        options = {"data": json.dumps(body), "content_type": "application/json"}
    return client.request(method, f"/service/rest/v1{path}", **options)


def set_email(client, **values):
    answer = ask(client, "PUT", "/email", {**EMAIL, **values})
    assert answer.status_code == 204, answer.text


def verify(client, address="ann@example.org"):
    answer = client.request(
        "POST", "/service/rest/v1/email/verify", data=address, content_type="application/json"
    )
    assert answer.status_code == 200
    return answer.json


# --- The mail server -----------------------------------------------------------------------------


def test_the_mail_server_is_given_back_without_its_password(client, repoman, repoman_factory):
    assert ask(client, "GET", "/email").json == {
        **EMAIL,
        "enabled": False,
        "host": None,
        "port": None,
        "fromAddress": None,
    }
    wanted = {"subjectPrefix": "[r]", "startTlsEnabled": True, "username": "robot"}
    set_email(client, password=PASSWORD, **wanted)
    assert ask(client, "GET", "/email").json == {**EMAIL, **wanted}
    set_email(client, **wanted)
    again = repoman_factory({"raw": raw})
    options = again.options._read("email")
    assert options.password.get_secret_value() == PASSWORD, "a PUT without one keeps it"
    client = HttpClient(again)
    for other in ({"username": "another"}, {"host": "evil.example.org"}, {"port": 2525}):
        set_email(client, password=PASSWORD, **wanted)
        set_email(client, **{**wanted, **other})
        assert again.options._read("email").password.get_secret_value() == "", other
    assert ask(client, "DELETE", "/email").status_code == 204
    assert ask(client, "GET", "/email").json["host"] is None
    assert PASSWORD.encode() not in b"".join(
        path.read_bytes() for path in again.data.glob("repoman.db*")
    )


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"host": None}, "PARAMETER host"),
        ({"host": ""}, "PARAMETER host"),
        ({"host": "a\nb"}, "PARAMETER host"),
        ({"port": 0}, "PARAMETER port"),
        ({"port": "x"}, "PARAMETER port"),
        ({"enabled": "perhaps"}, "PARAMETER enabled"),
        ({"fromAddress": "nobody"}, "PARAMETER email"),
        ({"fromAddress": None}, "PARAMETER email"),
    ],
    ids=str,
)
def test_what_is_wrong_with_the_mail_server_is_told_by_its_field(client, values, field):
    answer = ask(client, "PUT", "/email", {**EMAIL, **values})
    assert (answer.status_code, answer.json[0]["id"]) == (400, field)
    assert ask(client, "GET", "/email").json["enabled"] is False


@pytest.fixture
def mail(request, tmp_path):
    """A mail server; by a function of a certificate for localhost, or plain."""
    certificate = Certificate(tmp_path, "localhost")
    make = getattr(request, "param", lambda _: MailServer())
    server = make(certificate)
    server.certificate = certificate
    yield server
    server.stop()


def test_a_test_message_is_really_sent(client, mail):
    set_email(client, port=mail.port, enabled=False, subjectPrefix="[repoman]")
    assert verify(client) == {"success": True, "reason": None}
    assert verify(client, '"ann@example.org"')["success"]
    [message, _] = mail.messages
    assert "To: ann@example.org" in message
    assert "From: repoman@example.org" in message
    assert "Subject: [repoman] Verification" in message


def test_why_no_message_was_sent_is_told(client, mail):
    assert "No mail server is set" in verify(client)["reason"]
    set_email(client, port=free_port())
    assert "refused" in verify(client)["reason"]
    set_email(client, port=mail.port)
    long = "a@" + "b" * 300
    encoded = ("=?utf-8?q??=@0#+", ".=?utf-8?q?=0a.@=", "a@=?utf-8?q?b?=")
    for address in ("", "x", "a@b\r\nBcc: c@d", "a@b,c@d", "a b@c", '"a', "<a@b>", long, *encoded):
        assert verify(client, address)["success"] is False
    mail.refusal = "550 No such user here"
    assert "550 No such user here" in verify(client)["reason"]
    assert mail.messages == []


@pytest.mark.parametrize(
    "mail", [lambda _: MailServer(password=PASSWORD)], indirect=True, ids=["login"]
)
def test_a_login_is_sent_where_there_is_a_user(client, mail):
    set_email(client, port=mail.port, username="robot", password=PASSWORD)
    assert verify(client)["success"]
    set_email(client, port=mail.port, username="robot", password="wrong")
    refused = verify(client)
    assert "535 Wrong password" in refused["reason"]


def starttls(certificate):
    return MailServer(certificate.for_server())


def smtps(certificate):
    return MailServer(certificate.for_server(), from_start=True)


@pytest.mark.parametrize("mail", [starttls, smtps], indirect=True)
def test_tls_is_checked_against_the_trust_store(client, repoman, mail):
    from_start = mail.from_start
    values = {"port": mail.port, "startTlsEnabled": True, "sslOnConnectEnabled": from_start}
    set_email(client, host="localhost", **values)
    assert "certificate" in verify(client)["reason"].lower()
    repoman.trust_store.add(mail.certificate.path.read_text())
    assert verify(client)["success"] is False, "the trust store is not to be used yet"
    set_email(client, host="localhost", nexusTrustStoreEnabled=True, **values)
    assert verify(client)["success"]
    checked = {"nexusTrustStoreEnabled": True, "sslServerIdentityCheckEnabled": True, **values}
    set_email(client, host="127.0.0.1", **checked)
    assert verify(client)["success"] is False, "the certificate is that of localhost"
    set_email(client, host="localhost", **checked)
    assert verify(client)["success"]
    assert (len(mail.messages), mail.secured >= 2) == (2, True)


def test_a_mail_server_without_tls_gets_nothing_if_it_is_required(client, mail):
    set_email(client, port=mail.port, startTlsRequired=True)
    assert "STARTTLS" in verify(client)["reason"]
    set_email(client, port=mail.port, startTlsEnabled=True)
    assert verify(client)["success"]


# --- HTTP proxies --------------------------------------------------------------------------------


@pytest.fixture
def http_proxy():
    """An HTTP proxy that answers by itself what it is asked for."""
    server = Scripted(lambda asked: reply(200, asked.target.encode()))
    yield server
    server.stop()


def login(**values):
    ntlm = {"ntlmHost": None, "ntlmDomain": None}
    return {"enabled": True, "username": "robot", "password": None, **ntlm, **values}


def test_http_settings_are_given_back_without_passwords(client, repoman, repoman_factory):
    assert ask(client, "GET", "/http").json == NO_HTTP
    proxy = {"enabled": True, "host": "proxy.example.org", "port": "3128", "authInfo": None}
    wanted = {
        "userAgent": "corp",
        "timeout": 30,
        "retries": 3,
        "nonProxyHosts": ["*.example.org", "other"],
        "httpProxy": {**proxy, "authInfo": login()},
        "httpsProxy": {**proxy, "enabled": False},
    }
    sent = {**wanted, "httpProxy": {**proxy, "port": 3128, "authInfo": login(password=PASSWORD)}}
    assert ask(client, "PUT", "/http", sent).status_code == 204
    assert ask(client, "GET", "/http").json == wanted
    assert ask(client, "PUT", "/http", wanted).status_code == 204
    again = repoman_factory({"raw": raw})
    assert again.options._read("http_proxy").password.get_secret_value() == PASSWORD
    client = HttpClient(again)
    for other in ({"host": "evil.example.org"}, {"port": "8080"}):
        elsewhere = {**wanted, "httpProxy": {**wanted["httpProxy"], **other}}
        for body in (sent, elsewhere, wanted):
            assert ask(client, "PUT", "/http", body).status_code == 204
        assert again.options._read("http_proxy").password.get_secret_value() == "", other
    assert ask(client, "GET", "/http").json == wanted
    assert ask(client, "PUT", "/http", {}).status_code == 204
    assert ask(client, "GET", "/http").json == NO_HTTP
    ask(client, "PUT", "/http", wanted)
    assert ask(client, "DELETE", "/http").status_code == 204
    assert ask(client, "GET", "/http").json == NO_HTTP


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"timeout": 0}, "PARAMETER timeout"),
        ({"retries": 11}, "PARAMETER retries"),
        ({"userAgent": "a\nb"}, "PARAMETER userAgent"),
        ({"httpProxy": {"host": "a b", "port": "1"}}, "PARAMETER host"),
        ({"httpProxy": {"host": "a", "port": "x"}}, "PARAMETER port"),
        ({"httpProxy": {"host": "a", "port": "70000"}}, "PARAMETER port"),
        ({"httpProxy": {"host": "a"}}, "PARAMETER port"),
        ({"nonProxyHosts": "x"}, "nonProxyHosts"),
    ],
    ids=str,
)
def test_wrong_http_settings_change_nothing(client, body, field):
    answer = ask(client, "PUT", "/http", {"userAgent": "new", **body})
    assert (answer.status_code, answer.json[0]["id"]) == (400, field)
    assert ask(client, "GET", "/http").json == NO_HTTP


def test_requests_leave_through_the_http_proxy(client, repoman, http_proxy, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    address = {"enabled": True, "host": "127.0.0.1", "port": str(http_proxy.port)}
    auth = login(username="ro:bot", password="p@ss/word")
    ask(client, "PUT", "/http", {"userAgent": "corp", "httpProxy": {**address, "authInfo": auth}})
    remote = {"proxy": {"remote_url": "http://files.invalid"}}
    repoman.repositories.create("far", "raw-proxy", {**remote, "http_client": {"retries": 0}})
    assert client.get("/repository/far/a").text == "http://files.invalid/a"
    [asked] = http_proxy.asked("/a")
    sent = asked.headers["Proxy-Authorization"]
    assert sent == f"Basic {b64encode(b'ro:bot:p@ss/word').decode()}"
    assert asked.headers["User-Agent"].endswith(" corp")


@pytest.mark.parametrize(("own", "tries"), [({}, 2), ({"retries": 0}, 1)], ids=["common", "own"])
def test_proxies_that_set_no_retries_have_the_common_ones(client, repoman, own, tries):
    remote = Scripted(lambda asked: reply(503))
    settings = {"proxy": {"remote_url": remote.url}, "http_client": {"auto_block": False, **own}}
    repoman.repositories.create("near", "raw-proxy", settings)
    ask(client, "PUT", "/http", {"retries": 1})
    assert client.get("/repository/near/a").status_code == 502
    # Whether the remote is there at all may be asked besides, at its root.
    assert [each.path for each in remote.log].count("/a") == tries
    remote.stop()


def test_proxies_that_set_no_timeout_have_the_common_one(client, repoman):
    is_over = threading.Event()

    def never(_):
        is_over.wait(WAIT_S)

    remote = Scripted(never)
    settings = {"proxy": {"remote_url": remote.url}, "http_client": {"retries": 0}}
    repoman.repositories.create("near", "raw-proxy", settings)
    ask(client, "PUT", "/http", {"timeout": 1})
    answer = client.get("/repository/near/a")
    is_over.set()
    assert answer.status_code == 504
    assert "no answer within 1 s" in answer.text
    remote.stop()


def test_some_hosts_are_contacted_directly(client, repoman, http_proxy):
    remote = Scripted(lambda asked: reply(200, b"direct"))
    address = {"enabled": True, "host": "127.0.0.1", "port": str(http_proxy.port)}
    settings = {"proxy": {"remote_url": remote.url}}
    repoman.repositories.create("near", "raw-proxy", settings)
    ask(client, "PUT", "/http", {"httpProxy": address, "nonProxyHosts": ["127.0.*"]})
    assert client.get("/repository/near/a").text == "direct"
    ask(client, "PUT", "/http", {"httpProxy": address, "nonProxyHosts": ["10.*"]})
    assert client.get("/repository/near/b").text == f"{remote.url}/b"
    ask(client, "PUT", "/http", {"httpProxy": {**address, "enabled": False}})
    assert client.get("/repository/near/c").text == "direct"
    remote.stop()
