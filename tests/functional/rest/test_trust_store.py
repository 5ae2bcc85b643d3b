"""The trust store, and what it makes trusted: real TLS connections with certificates of nobody."""

import json
import threading

import pytest

from repoman.testing import HttpClient
from repoman.trust_store import CERTIFICATES_MAX
from repoman_raw import plugin as raw
from tests.fakes.scripted import Scripted, reply
from tests.live import free_port
from tests.server.certificates import Certificate

STORE = "/service/rest/v1/security/ssl/truststore"
VIEW = {"expiresOn", "fingerprint", "id", "issuedOn", "issuerCommonName", "issuerOrganization"}
VIEW |= {"issuerOrganizationalUnit", "pem", "serialNumber", "subjectCommonName"}
VIEW |= {"subjectOrganization", "subjectOrganizationalUnit"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"), "localhost")


@pytest.fixture(scope="module")
def remote(certificate):
    server = Scripted(lambda asked: reply(200, asked.path.encode()), certificate.for_server())
    yield server
    server.stop()


@pytest.fixture
def repoman(repoman_factory):
    return repoman_factory({"raw": raw})


def add(client, pem, kind="application/json"):
    return client.request("POST", STORE, data=pem, content_type=kind)


def test_a_certificate_is_added_shown_and_removed(client, certificate):
    pem = certificate.path.read_text()
    added = add(client, pem)
    assert added.status_code == 201
    assert set(added.json) == VIEW
    assert added.json["subjectCommonName"] == "localhost"
    assert added.json["issuerOrganization"] is None
    assert added.json["pem"].replace("\n", "") == pem.replace("\n", "")
    assert added.json["issuedOn"] < added.json["expiresOn"]
    assert client.get(STORE).json == [added.json]
    again = add(client, pem)
    assert (again.status_code, again.data) == (409, b"")
    where = f"{STORE}/{added.json['id'].replace(':', '%3A').lower()}"
    assert client.delete(where).status_code == 204
    assert client.get(STORE).json == []
    assert client.delete(where).status_code == 404


def test_a_certificate_may_come_as_a_json_string_or_as_text(client, certificate):
    pem = certificate.path.read_text()
    added = add(client, json.dumps(pem))
    assert added.status_code == 201
    client.delete(f"{STORE}/{added.json['id']}")
    assert add(client, pem, "text/plain").status_code == 201


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        '"x',
        "-----BEGIN CERTIFICATE-----\n\u00e4\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
    ],
)
def test_what_is_no_certificate_is_refused(client, text):
    answer = add(client, text.encode())
    assert (answer.status_code, answer.json["id"]) == (400, "*")


def test_several_certificates_are_refused(client, certificate):
    answer = add(client, certificate.path.read_text() * 2)
    assert answer.status_code == 400
    assert "one at a time" in answer.json["message"]


def test_two_clients_add_a_certificate_once(repoman, certificate):
    pem, outcomes = certificate.path.read_text(), []

    def try_it():
        outcomes.append(add(HttpClient(repoman), pem).status_code)

    threads = [threading.Thread(target=try_it) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(outcomes) == [201, 409, 409, 409, 409, 409]


def test_the_store_has_a_limit(client, certificate, monkeypatch):
    assert CERTIFICATES_MAX > 1
    monkeypatch.setattr("repoman.trust_store.CERTIFICATES_MAX", 0)
    assert add(client, certificate.path.read_text()).status_code == 400


def test_the_certificate_of_a_server_is_fetched_and_not_trusted(client, remote, certificate):
    where = "/service/rest/v1/security/ssl"
    shown = client.get(f"{where}?host=localhost&port={remote.port}&protocolHint=https")
    assert shown.status_code == 200
    assert shown.json["pem"].replace("\n", "") == certificate.path.read_text().replace("\n", "")
    assert client.get(STORE).json == []
    for query in ("host=localhost&port=0", "port=443", f"host=localhost&port={remote.port}x"):
        assert client.get(f"{where}?{query}").status_code == 400
    for host in (f"localhost&port={free_port()}", "a%20b", "x" * 1000, "host.invalid", "%00"):
        answer = client.get(f"{where}?host={host}")
        assert (answer.status_code, answer.json["id"]) == (400, "*")


def test_a_server_without_tls_shows_no_certificate(client):
    plain = Scripted(lambda asked: reply(200))
    answer = client.get(f"/service/rest/v1/security/ssl?host=127.0.0.1&port={plain.port}")
    plain.stop()
    assert answer.status_code == 400
    assert "does not show a certificate" in answer.json["message"]


def test_a_proxy_trusts_the_store_if_it_is_told_to(client, repoman, remote, certificate):
    url = f"https://localhost:{remote.port}"
    for name, use in (("careful", False), ("trusting", True)):
        http = {"use_trust_store": use, "retries": 0, "auto_block": False}
        repoman.repositories.create(
            name, "raw-proxy", {"proxy": {"remote_url": url}, "http_client": http}
        )
    assert client.get("/repository/trusting/before").status_code == 502
    added = add(client, certificate.path.read_text()).json
    assert client.get("/repository/trusting/a").text == "/a"
    refused = client.get("/repository/careful/a")
    assert refused.status_code == 502
    assert "unknown authority" in refused.text
    client.delete(f"{STORE}/{added['id']}")
    assert client.get("/repository/trusting/b").status_code == 502


def test_the_store_is_there_after_a_restart(client, repoman_factory, certificate):
    added = add(client, certificate.path.read_text()).json
    assert HttpClient(repoman_factory({"raw": raw})).get(STORE).json == [added]


def test_changes_are_in_the_audit_log(client, repoman, certificate):
    id_ = add(client, certificate.path.read_text()).json["id"]
    client.delete(f"{STORE}/{id_}")
    events = repoman.audit.search({"domain": "certificate"}, since=0, limit=9, after=None)
    assert [(each["type"], each["target"]) for each in events] == [("remove", id_), ("add", id_)]
