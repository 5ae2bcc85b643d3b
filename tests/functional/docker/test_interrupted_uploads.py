"""Uploads that break off: what has arrived stays, and the server tells truly how much that is."""

import secrets
import signal
import socket
from base64 import b64encode
from contextlib import closing

import pytest

from tests.clock import WAIT_S
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import digest_of
from tests.functional.docker.wires import Socket
from tests.live import LiveServer, wait_until

SIZE = 3_000_000
CUT = 1_234_567  # bytes that get through before the connection breaks


@pytest.fixture
def registry(live) -> Registry:
    """The shared server's repository."""
    return live.registry


@pytest.fixture
def own(server: LiveServer) -> Registry:
    """The repository of a server that the test may end."""
    return Registry(Socket(server.connector_port), "", server.admin)


@pytest.fixture
def data() -> bytes:
    """Bytes that no other test has stored."""
    return secrets.token_bytes(SIZE)


def send_head(registry: Registry, method: str, target: str, *headers: str) -> socket.socket:
    """Send the head of a request and return the socket."""
    login = b64encode(":".join(registry.login or ()).encode()).decode()
    port = registry.wire.port
    lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"Authorization: Basic {login}", *headers]
    connection = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def offset(registry: Registry, location: str) -> int:
    """How many bytes the server says it has; the session must be free again."""
    first, _, last = registry.get(location).headers["Range"].partition("-")
    assert first == "0"
    return int(last) + 1


def wait_for_offset(registry: Registry, location: str, wanted: int) -> None:
    """Wait until the server has that many bytes of the upload."""
    wait_until(lambda: offset(registry, location) == wanted, what=f"offset {wanted}")


def send_and_cut(registry, method, location, data, *, chunked=False):
    """Send ``data``, say that more will follow, and break the connection."""
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {SIZE}"
    with closing(send_head(registry, method, location, framing)) as connection:
        body = b"%X\r\n%b" % (SIZE, data) if chunked else data
        connection.sendall(body)
        wait_for_offset(registry, location, len(data))
        # An abrupt end, as when a client's machine goes down.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def resume(registry, location, data, start):
    """Send the rest of ``data``, once the server has noticed that the first client is gone."""

    def append():
        answer = registry.append(location, data[start:], start)
        assert answer.status in (202, 409), answer.body
        return answer.status == 202

    wait_until(append, what="the end of the first request")
    assert registry.finish(location, digest_of(data)).status == 201
    assert registry.get(f"{location.partition('/uploads/')[0]}/{digest_of(data)}").body == data


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_stream_that_breaks_off_is_resumed_where_it_broke(registry, name, data, chunked):
    location = registry.begin(name)
    send_and_cut(registry, "PATCH", location, data[:CUT], chunked=chunked)
    resume(registry, location, data, CUT)


def test_a_put_that_breaks_off_is_resumed(registry, name, data):
    location = registry.begin(name)
    digest = digest_of(data)
    framing = f"Content-Length: {SIZE}"
    target = registry.target(location, {"digest": digest})
    with closing(send_head(registry, "PUT", target, framing)) as connection:
        connection.sendall(data[:CUT])
        wait_for_offset(registry, location, CUT)
    assert not registry.has_blob(name, digest)
    assert not registry.has_blob(name, digest_of(data[:CUT]))
    resume(registry, location, data, CUT)


def test_a_body_shorter_than_announced_is_refused(registry, name, data):
    location = registry.begin(name)
    target = registry.target(location, {"digest": digest_of(data[:CUT])})
    with closing(send_head(registry, "PUT", target, f"Content-Length: {SIZE}")) as connection:
        connection.sendall(data[:CUT])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert not registry.has_blob(name, digest_of(data[:CUT]))
    resume(registry, location, data, CUT)


def test_a_post_that_breaks_off_leaves_nothing(registry, live, name, data):
    uploads = live.data / "blobs/default/uploads"
    target = registry.target(f"{name}/blobs/uploads/", {"digest": digest_of(data)})
    before = set(uploads.iterdir())
    with closing(send_head(registry, "POST", target, f"Content-Length: {SIZE}")) as connection:
        connection.sendall(data[:CUT])

        def is_received():
            return [f for f in set(uploads.iterdir()) - before if f.stat().st_size == CUT]

        [file] = wait_until(is_received, what="the bytes")
    wait_until(lambda: not file.exists(), what="the end of the file")
    assert not registry.has_blob(name, digest_of(data))


def test_an_upload_may_break_off_again_and_again(registry, name, data):
    location = registry.begin(name)
    for start in range(0, SIZE, 500_000):
        rest = f"Content-Length: {SIZE - start}"
        until = start + 400_000
        with closing(send_head(registry, "PATCH", location, rest)) as connection:
            connection.sendall(data[start:until])
            wait_for_offset(registry, location, until)

        def append(start=until):
            chunk = data[start : start + 100_000]
            return registry.append(location, chunk, start).status == 202

        wait_until(append, what="the end of the request")
    assert registry.finish(location, digest_of(data)).status == 201


def test_an_upload_in_use_is_not_open_to_another_request(registry, name, data):
    location = registry.begin(name)
    with closing(send_head(registry, "PATCH", location, f"Content-Length: {SIZE}")) as connection:
        connection.sendall(data[:CUT])
        wait_for_offset(registry, location, CUT)
        for answer in (
            registry.append(location, b"x", CUT),
            registry.finish(location, digest_of(data[:CUT])),
            registry.delete(location),
        ):
            assert (answer.status, answer.code) == (409, "BLOB_UPLOAD_INVALID")
        connection.sendall(data[CUT:])
        assert connection.recv(1000).startswith(b"HTTP/1.1 202 ")
    assert registry.finish(location, digest_of(data)).status == 201


@pytest.mark.parametrize("end", ["stopped", "killed"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_upload_goes_on_after_a_restart(server, own, name, data, end, algorithm):
    location = own.append(own.begin(name), data[:CUT], 0).headers["Location"]
    if end == "killed":
        server.kill()
        server.start()
    else:
        server.restart()
    assert offset(own, location) == CUT
    assert own.append(location, data[CUT + 1 :], CUT + 1).status == 416
    assert own.append(location, data[CUT:2_000_000], CUT).headers["Range"] == "0-1999999"
    digest = digest_of(data, algorithm)
    assert own.finish(location, digest, data[2_000_000:], 2_000_000).status == 201
    assert own.get(f"{name}/blobs/{digest}").body == data


def test_what_came_before_a_crash_counts_and_no_byte_more(server, own, name, data):
    location = own.begin(name)
    with closing(send_head(own, "PATCH", location, f"Content-Length: {SIZE}")) as connection:
        connection.sendall(data[:CUT])
        wait_for_offset(own, location, CUT)
        server.signal(signal.SIGSTOP)
        connection.sendall(data[CUT : CUT + 5000])  # reaches the machine, but not the server
        server.kill()
    server.start()
    assert offset(own, location) == CUT
    resume(own, location, data, CUT)


def test_a_session_without_a_byte_survives_a_restart(server, own, name, data):
    location = own.begin(name)
    server.kill()
    server.start()
    assert own.get(location).headers["Range"] == "0-0"
    assert own.finish(location, digest_of(data), data).status == 201


def test_a_finished_upload_is_over_after_a_crash_too(server, own, name, data):
    location = own.begin(name)
    assert own.finish(location, digest_of(data), data).status == 201
    server.kill()
    server.start()
    assert own.get(location).code == "BLOB_UPLOAD_UNKNOWN"
    assert own.get(f"{name}/blobs/{digest_of(data)}").body == data
