"""Settings of repositories over REST that are wrong: each is named, and nothing changes."""

import json
import socket
from contextlib import closing

import pytest

from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.testing import HttpClient, RepomanFactory
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.functional.rest.repository_requests import (
    DOCKER,
    HOSTED,
    PROXY,
    SECRET,
    create,
    read,
    refused,
    replace,
    send,
    with_value,
)
from tests.live import free_port

HUB = "/docker/proxy/hub"
NEW = {**PROXY, "name": "new"}
STORES = {each: {"type": "file", "path": f"blobs/{each}"} for each in ("default", "other")}


@pytest.fixture(scope="module")
def repoman(tmp_path_factory):
    factory = RepomanFactory(tmp_path_factory.mktemp("wrong"))
    repoman = factory({"docker": docker, "raw": raw}, blob_stores=STORES)
    create(HttpClient(repoman), "/docker/proxy", PROXY)
    yield repoman
    factory.stop()


@pytest.fixture(scope="module")
def client(repoman):
    return HttpClient(repoman)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", ...),
        ("name", "_x"),
        ("name", "x" * 201),
        ("name", "a/b"),
        ("online", ...),
        ("online", None),
        ("storage", ...),
        ("storage", None),
        ("storage.blobStoreName", ...),
        ("storage.strictContentTypeValidation", ...),
        ("proxy", ...),
        ("proxy.remoteUrl", ...),
        ("proxy.remoteUrl", "ftp://a"),
        ("proxy.remoteUrl", "https://a b"),
        ("proxy.remoteUrl", "https://bob:secret@host"),
        ("proxy.contentMaxAge", -2),
        ("negativeCache", ...),
        ("negativeCache.timeToLive", -2),
        ("httpClient", ...),
        ("httpClient.connection.retries", 11),
        ("httpClient.connection.timeout", 0),
        ("httpClient.connection.timeout", 3601),
        ("httpClient.connection.userAgentSuffix", "a\nb"),
        ("httpClient.authentication.type", ...),
        ("httpClient.authentication.type", "digest"),
        ("docker", ...),
        ("docker.v1Enabled", ...),
        ("docker.forceBasicAuth", ...),
        ("docker.httpPort", 0),
        ("docker.httpPort", 65536),
        ("docker.subdomain", "images"),
        ("docker.pathEnabled", True),
        ("dockerProxy.indexType", "SOMEWHERE"),
        ("dockerProxy.indexUrl", "x"),
        ("dockerProxy.foreignLayerUrlWhitelist", ["("]),
        ("routingRule", "none"),
        ("cleanup.policyNames", ["none"]),
    ],
)
def test_a_wrong_field_is_named(client, path, value):
    before = read(client, HUB)
    for method, where, body in [("POST", "/docker/proxy", NEW), ("PUT", HUB, PROXY)]:
        told = refused(client, method, where, with_value(body, path, value))
        if path == "name" and method == "PUT" and value is not ...:
            assert told["id"] == "*"
            continue
        names = {each["id"].removeprefix("PARAMETER ") for each in told}
        assert path.rpartition(".")[2] in names, told
        assert SECRET not in json.dumps(told)
    assert read(client, HUB) == before


ODD_VALUES = [[], {}, "many", 1.5, [1], "9" * 5000, {"a": {"b": []}}, True, "\0", "\ud800"]


@pytest.mark.parametrize(
    "path",
    [
        "name",
        "online",
        "storage",
        "storage.blobStoreName",
        "proxy.contentMaxAge",
        "proxy.remoteUrl",
        "docker.httpPort",
        "httpClient.connection",
        "httpClient.connection.userAgentSuffix",
        "httpClient.authentication.password",
        "dockerProxy.foreignLayerUrlWhitelist",
    ],
)
def test_a_value_of_another_type_is_never_a_fault_of_the_server(client, path):
    for number, value in enumerate(ODD_VALUES):
        body = {**PROXY, "name": f"odd-{number}-{path.lower()}"}
        answer = send(client, "POST", "/docker/proxy", with_value(body, path, value))
        assert answer.status_code in (201, 400), (value, answer.text)
        if answer.status_code == 400:
            problems = answer.json if isinstance(answer.json, list) else [answer.json]
            assert all(set(each) == {"id", "message"} for each in problems)


@pytest.mark.parametrize("body", [b"null", b"1", b'"x"', b"[]", b"[{}]", b"{", b"", b"\xff"])
def test_a_body_that_is_no_object_is_refused(client, body):
    path = "/service/rest/v1/repositories/docker/proxy"
    for method, where in [("POST", path), ("PUT", f"{path}/hub")]:
        answer = client.request(method, where, data=body, content_type="application/json")
        assert answer.status_code == 400


def test_messages_speak_of_fields_as_requests_have_them(client):
    body = with_value(NEW, "dockerProxy.indexType", "CUSTOM")
    [told] = refused(client, "POST", "/docker/proxy", body)
    assert told["id"] == "PARAMETER dockerProxy"
    assert "indexUrl" in told["message"]
    assert "index_url" not in told["message"]


def test_a_name_is_taken_in_any_case(client):
    told = refused(client, "POST", "/docker/proxy", {**PROXY, "name": "HUB"})
    assert [each["id"] for each in told] == ["PARAMETER name"]


def with_ports(name, **ports):
    return {**PROXY, "name": name, "docker": {**DOCKER, **ports}}


def test_ports_in_use_are_named(client, repoman):
    port, twice = free_port(), free_port()
    create(client, "/docker/proxy", with_ports("first", httpPort=port))
    for ports, wrong in [
        ({"httpPort": port}, "httpPort"),
        ({"httpsPort": port}, "httpsPort"),
        ({"httpPort": repoman.settings.server.port}, "httpPort"),
        ({"httpPort": twice, "httpsPort": twice}, "httpsPort"),
    ]:
        told = refused(client, "POST", "/docker/proxy", with_ports("second", **ports))
        assert [each["id"] for each in told] == [f"PARAMETER {wrong}"]
    create(client, "/docker/proxy", with_ports("second"))
    told = refused(client, "PUT", "/docker/proxy/second", with_ports("second", httpPort=port))
    assert [each["id"] for each in told] == ["PARAMETER httpPort"]


def test_a_port_of_another_program_is_named(client):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        ports = {"httpsPort": listener.getsockname()[1]}
        told = refused(client, "POST", "/docker/proxy", with_ports("third", **ports))
    assert [each["id"] for each in told] == ["PARAMETER httpsPort"]


def test_a_blob_store_must_exist_and_stays(client):
    store = "storage.blobStoreName"
    told = refused(client, "POST", "/docker/proxy", with_value(NEW, store, "none"))
    assert told["id"] == "*"
    assert refused(client, "PUT", HUB, with_value(PROXY, store, "other"))["id"] == "*"


def test_the_trust_store_needs_tls(client):
    http = {"connection": {"useTrustStore": True}}
    body = {**NEW, "httpClient": http, "proxy": {"remoteUrl": "http://r.example.com"}}
    assert refused(client, "POST", "/docker/proxy", body)["id"] == "*"


def test_a_repository_is_not_renamed(client):
    assert refused(client, "PUT", HUB, {**PROXY, "name": "other"})["id"] == "*"
    replace(client, HUB.replace("hub", "HUB"), {**PROXY, "name": "Hub"})
    assert read(client, HUB)["name"] == "hub"


def test_a_cleanup_policy_is_for_its_format(client, repoman):
    for name, format_ in (("of-raw", "raw"), ("of-docker", "docker"), ("of-any", "*")):
        repoman.cleanup_policies.create(CleanupPolicy(name, format_))
    for name in ("of-docker", "OF-ANY"):
        body = with_value(PROXY, "cleanup.policyNames", [name])
        assert send(client, "PUT", HUB, body).status_code == 204
    body = with_value(PROXY, "cleanup.policyNames", ["of-any", "of-raw"])
    told = refused(client, "PUT", HUB, body)
    assert [each["id"] for each in told] == ["PARAMETER policyNames"]
    assert "raw" in told[0]["message"]
    assert send(client, "PUT", HUB, PROXY).status_code == 204


def test_null_is_what_is_not_set(client):
    """Clients send null for what they do not set."""
    base = {"name": "nulls", "online": True, "storage": HOSTED, "docker": DOCKER}
    for body in (
        with_value(base, "storage.latestPolicy", None),
        with_value(base, "docker.subdomain", None),
    ):
        create(client, "/docker/hosted", body)
        found = read(client, "/docker/hosted/nulls")
        assert found["storage"]["latestPolicy"] is False
        assert found["docker"]["subdomain"] is None
        assert client.delete("/service/rest/v1/repositories/nulls").status_code == 204
