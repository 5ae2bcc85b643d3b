"""Answers from the server's memory of whole responses: as fast as that, and never a wrong one."""

import re
import secrets
import socket
from base64 import b64encode

import pytest

from tests.functional.docker.driver import Registry
from tests.functional.docker.images import make_image
from tests.functional.docker.sites import LiveSite
from tests.functional.docker.wires import Socket
from tests.live import LiveServer, wait_until

FROM_MEMORY = re.compile(r"^.* docker-hosted admin .* 0\.0 ms .*$", re.MULTILINE)


@pytest.fixture
def registry(live: LiveSite) -> Registry:
    return live.registry


def repeated(server: LiveServer, path: str) -> int:
    """How many answers to a path came from memory, as the log tells."""
    return sum(path in line for line in FROM_MEMORY.findall(server.log))


def ask_until_repeated(server: LiveServer, registry: Registry, path: str) -> None:
    """Send the same GET until the server answers it from memory."""

    def is_repeated() -> bool:
        assert registry.get(path).status == 200
        return repeated(server, f"/v2/{path} ") > 0 or repeated(server, f'/v2/{path}"') > 0

    wait_until(is_repeated, 10, f"a repeated answer to {path}")


@pytest.fixture
def tagged(registry, name, shared_server) -> str:
    """A tag whose manifest the server answers from memory."""
    registry.push(name, "1", make_image())
    path = f"{name}/manifests/1"
    ask_until_repeated(shared_server, registry, path)
    return path


def test_a_repeated_answer_is_the_first_one_but_for_its_date(registry, name):
    image = make_image()
    registry.push(name, "1", image)
    answers = [registry.get(f"{name}/manifests/1") for _ in range(5)]
    for answer in answers:
        assert answer.body == image.manifest
        headers = {key.lower(): value for key, value in answer.headers.items()}
        first = {key.lower(): value for key, value in answers[0].headers.items()}
        assert headers.pop("date")
        assert headers == {key: value for key, value in first.items() if key != "date"}


def test_a_moved_tag_is_seen_by_the_next_request(registry, name, tagged):
    for _ in range(10):
        image = make_image()
        registry.push(name, "1", image)
        assert registry.get(tagged).body == image.manifest


def test_a_deleted_tag_is_gone_for_the_next_request(registry, tagged):
    assert registry.delete(tagged).status == 202
    assert registry.get(tagged).status == 404


def test_another_password_is_not_answered_from_memory(registry, tagged):
    assert registry.as_user(("admin", "wrong")).get(tagged).status == 401
    assert registry.as_user(None).get(tagged).status == 401


def test_another_header_is_another_request(registry, tagged):
    etag = registry.get(tagged).headers["ETag"]
    assert registry.get(tagged, headers={"If-None-Match": etag}).status == 304
    assert registry.get(tagged, headers={"Range": "bytes=0-9"}).status == 206
    assert registry.get(tagged).status == 200


def test_a_changed_password_counts_at_once_or_nearly(server):
    registry = Registry(Socket(server.connector_port), "", server.admin)
    registry.push("app", "1", make_image())
    ask_until_repeated(server, registry, "app/manifests/1")
    server.cli("user", "password", "admin", "--password-stdin", given=secrets.token_hex(8) + "\n")
    wait_until(lambda: registry.get("app/manifests/1").status == 401, 2, "the end of the password")


def test_a_repository_taken_offline_answers_no_more(server):
    registry = Registry(Socket(server.connector_port), "", server.admin)
    registry.push("app", "1", make_image())
    ask_until_repeated(server, registry, "app/manifests/1")
    server.cli("repo", "update", "docker-hosted", "--offline")
    wait_until(lambda: registry.get("app/manifests/1").status == 503, 2, "the end of service")


def test_requests_in_one_packet_are_answered_in_order(shared_server, registry, name):
    images = [make_image() for _ in range(3)]
    for number, image in enumerate(images):
        registry.push(name, str(number), image)
    token = b64encode(":".join(shared_server.admin).encode()).decode()
    requests = [
        f"GET /v2/{name}/manifests/{number % 3} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Basic {token}\r\n\r\n"
        for number in range(9)
    ]
    with socket.create_connection(("127.0.0.1", shared_server.connector_port), 10) as connection:
        connection.sendall("".join(requests).encode())
        received = b""
        while received.count(b"HTTP/1.1 200") < 9 or not received.endswith(images[2].manifest):
            data = connection.recv(65536)
            assert data
            received += data
    bodies = [part.partition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [images[number % 3].manifest for number in range(9)]
