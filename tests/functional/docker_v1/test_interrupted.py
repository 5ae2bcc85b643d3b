"""Pushes by version 1 that break off: the client's end, and the server's."""

import json
import socket
from base64 import b64encode
from contextlib import closing

import pytest

from tests.clock import WAIT_S
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import digest_of
from tests.functional.docker.wires import Answer, Socket
from tests.functional.docker_v1.conftest import V1, engine_of
from tests.functional.docker_v1.driver import Engine, make_chain
from tests.live import LiveServer, wait_until

STEPS = ["repositories/{}/", "json", "layer", "checksum", "tags/1", "repositories/{}/images"]


class Died(Exception):
    """The server is no more."""


class Deadly(Socket):
    """A way to a server that is killed when it has answered one step."""

    def __init__(self, server: LiveServer, step: str) -> None:
        super().__init__(server.connector_port)
        self._server = server
        self._step = step

    def send(self, method, target, headers, body=None) -> Answer:
        answer = super().send(method, target, headers, body)
        if method == "PUT" and target.endswith(self._step):
            self._server.kill()
            raise Died
        return answer


@pytest.fixture
def own(server: LiveServer) -> Registry:
    """The repository of a server that the test may end."""
    [(key, value)] = V1.items()
    server.cli("repo", "set", "docker-hosted", "--set", f"{key}={str(value).lower()}")
    registry = Registry(Socket(server.connector_port), "", server.admin)
    wait_until(lambda: registry.wire.send("GET", "/v1/_ping", {}).status == 200)
    return registry


def begin_layer(registry: Registry, path: str, data: bytes, *, chunked: bool) -> socket.socket:
    """Send the head of a request, say that there is more than ``data``, and send that."""
    login = b64encode(":".join(registry.login or ()).encode()).decode()
    port = registry.wire.port
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {2 * len(data)}"
    lines = [
        f"PUT {registry.prefix}/v1/{path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Authorization: Basic {login}",
        framing,
    ]
    connection = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
    head = "\r\n".join([*lines, "", ""]).encode()
    connection.sendall(head + (b"%X\r\n%b" % (2 * len(data), data) if chunked else data))
    return connection


def arriving(server: LiveServer) -> list[object]:
    """The files of bodies that are on their way in."""
    return list((server.data / "blobs" / "default" / "uploads").iterdir())


@pytest.mark.parametrize("chunked", [True, False])
def test_a_layer_that_is_cut_is_no_layer(server, own, name, chunked):
    engine = engine_of(own, basic=True)
    [image] = make_chain(1)
    path = f"images/{image.id}"
    engine.put(f"repositories/{name}/", [{"id": image.id, "Tag": "1"}], is_first=True)
    assert engine.send("PUT", f"{path}/json", image.json).status == 200
    half = image.layer[: len(image.layer) // 2]
    with closing(begin_layer(own, f"{path}/layer", half, chunked=chunked)) as connection:
        wait_until(lambda: arriving(server), what="the first bytes")
        # An abrupt end, as when a client's machine goes down.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: not arriving(server), what="the end of the request")
    checksum = {"X-Docker-Checksum-Payload": image.payload}
    assert engine.send("PUT", f"{path}/checksum", b"", checksum).status == 409
    assert engine.get(f"{path}/json").status == 404
    assert engine.push(name, "1", [image]) == [image.id]
    assert engine.pull(name, "1") == [image]


def test_a_server_that_is_killed_in_the_middle_of_a_layer_takes_the_push_anew(server, own, name):
    engine = engine_of(own, basic=True)
    [image] = make_chain(1)
    engine.put(f"repositories/{name}/", [{"id": image.id, "Tag": "1"}], is_first=True)
    assert engine.send("PUT", f"images/{image.id}/json", image.json).status == 200
    with closing(begin_layer(own, f"images/{image.id}/layer", image.layer[:300], chunked=True)):
        wait_until(lambda: arriving(server), what="the first bytes")
        server.kill()
    server.start()
    assert arriving(server) == []
    assert engine.push(name, "1", [image]) == [image.id]
    assert engine.pull(name, "1") == [image]


def test_a_server_that_is_killed_after_a_step_has_done_it(server, own, name):
    for number, step in enumerate(STEPS):
        image = f"{name}-{number}"
        chain = make_chain()
        wire = Deadly(server, step.format(image))
        with pytest.raises(Died):
            Engine(wire, "", server.admin, basic=True).push(image, "1", chain)
        server.start()
        engine = engine_of(own, basic=True)
        if step == "checksum":
            assert engine.push(image, "1", chain) == [chain[1].id], "the first is complete"
        else:
            engine.push(image, "1", chain)
        assert engine.pull(image, "1") == chain
        layers = json.loads(own.pull(image, "1"))["layers"]
        assert [each["digest"] for each in layers] == [digest_of(each.layer) for each in chain]
