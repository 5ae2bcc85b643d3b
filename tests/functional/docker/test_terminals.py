"""Control characters that somebody sends, and what terminals and logs get of them."""

import sqlite3
from base64 import b64encode
from contextlib import closing
from urllib.parse import quote, urlencode

import pytest

from repoman.db.database import FILE
from repoman.errors import UpstreamUnavailable
from repoman_docker.layout import image as image_component
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from tests.functional.docker.images import make_image, manifest_of, to_json
from tests.functional.docker.wires import Socket
from tests.live import wait_until

EVIL = "nice\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\x7fend"
DESCRIPTION = "org.opencontainers.image.description"


def has_orders(text: str) -> bool:
    """Whether a terminal that is shown this would do more than show it."""
    return not text.replace("\n", "").isprintable()


@pytest.fixture
def searched(site):
    return site.create({"docker.v1_enabled": True})


def find(registry, term: str) -> str:
    query = urlencode({"q": term})
    target = f"{registry.prefix}/v1/search?{query}"
    login = b64encode(":".join(registry.login).encode()).decode()
    answer = registry.wire.send("GET", target, {"Authorization": f"Basic {login}"}, None)
    [result] = answer.json()["results"]
    return str(result["description"])


def test_a_description_among_annotations_is_made_printable(searched, name):
    searched.push(name, "1", make_image(annotations={DESCRIPTION: EVIL}))
    assert find(searched, name).startswith("nice [2J ]0;owned")
    assert not has_orders(find(searched, name))


def test_a_description_among_labels_is_made_printable(searched, name):
    config = to_json({"config": {"Labels": {DESCRIPTION: EVIL}}, "rootfs": {}})
    for blob in (config, b"layer"):
        searched.push_blob(name, blob)
    searched.push_manifest(name, "1", manifest_of(config, (b"layer",)))
    assert not has_orders(find(searched, name))


def test_a_description_that_is_stored_as_it_was_is_shown_printable(in_process, name):
    registry = in_process.create({"docker.v1_enabled": True})
    registry.push(name, "1", make_image())
    content = in_process.repoman.repositories.find(registry.repository).service.lists._content
    content.describe_component(image_component(name), EVIL)
    assert not has_orders(find(registry, name))


def test_an_error_of_the_registry_is_printable():
    assert not has_orders(RegistryError(ErrorCode.UNKNOWN, EVIL + "\r\n").message)


def test_an_error_with_the_words_of_a_remote_is_printable(in_process, name, monkeypatch):
    registry = in_process.create()
    service = in_process.repoman.repositories.find(registry.repository).service

    def fail(*_: object) -> None:
        raise UpstreamUnavailable(f"The remote said {EVIL}.")

    monkeypatch.setattr(type(service.manifests), "get", fail)
    answer = registry.get(f"{name}/manifests/1")
    assert (answer.status, "owned" in answer.message) == (502, True)
    assert not has_orders(answer.message)


def test_commands_show_no_orders(shared_server):
    """Names, descriptions, and what was typed wrong."""
    shared_server.cli("selector", "create", "evil", f'path == "/v2/{EVIL}"')
    refused = shared_server.cli("role", "create", "evil", "--description", EVIL, check=False)
    assert refused.stderr.startswith("Error: description: ")
    shared_server.cli("role", "create", "evil", "--description", "good")
    with closing(sqlite3.connect(shared_server.data / FILE)) as connection, connection:
        # Earlier versions have stored such descriptions.
        connection.execute("UPDATE role SET description = ? WHERE id = 'evil'", [EVIL])
    for command in (("selector", "list"), ("role", "list"), ("role", "show", "evil")):
        shown = shared_server.cli(*command).stdout
        assert "owned\\x07" in shown
        assert not has_orders(shown)
    failed = shared_server.cli("repo", "delete", EVIL, "--yes", check=False).stderr
    assert "owned" in failed
    assert not has_orders(failed)


def test_logs_and_the_audit_log_show_no_orders(shared_server, name):
    wire = Socket(shared_server.connector_port)
    login = b64encode(f"{EVIL}:wrong".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "User-Agent": "agent\x9b31m"}
    target = f"/v2/{quote(EVIL)}/{name}/manifests/1"
    assert wire.send("GET", target, headers, None).status == 401

    def listed(*more):
        return shared_server.cli("audit", "list", "--type", "failed", *more).stdout

    wait_until(lambda: "owned" in listed(), what="the entry of the audit log")
    for more in ((), ("--json",)):
        assert "owned" in listed(*more)
        assert not has_orders(listed(*more))
    wait_until(lambda: '"agent?31m"' in shared_server.log, what="the line of the access log")
    assert not has_orders(shared_server.log)
