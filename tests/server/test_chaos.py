"""Everything at once, by clients of all kinds; whatever is answered must be right."""

import contextlib
import hashlib
import logging
import os
import random
import threading
import time

import pytest

from repoman.blobs.upload import BlobUpload
from repoman.http.body import receive_body
from tests.clock import wait_until
from tests.disk import file_store
from tests.server.apps import Files, Uploads
from tests.server.certificates import Certificate
from tests.server.conftest import eventually, open_files

ACTIONS = int(os.environ.get("CHAOS_ACTIONS", "150"))  # of each client
CLIENTS = 8
CONTENT = random.Random(1).randbytes(3_000_000)


class WatchedUpload(BlobUpload):
    """Counts how often it was closed."""

    closed = 0

    def close(self):
        super().close()
        self.closed += 1  # last: who waits for it looks for the file next


class Everything(Uploads):
    """Uploads into a real blob store by PUT, one file by GET."""

    def __init__(self, path, blobs):
        super().__init__()
        self.files = Files(path)
        self.blobs = blobs

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] == "GET":
            return self.files(environ, start_response)
        return super().__call__(environ, start_response)

    def route(self, environ):
        if environ["PATH_INFO"] != "/up":
            return super().route(environ)
        with receive_body(environ, self.open) as upload:
            return "201 Created", upload.commit().digest.encode()

    def open(self):
        self.sinks.append(WatchedUpload(self.blobs))
        return self.sinks[-1]


class Chaos:
    """One client: a random mixture of good and bad behaviour over many connections.

    Args:
        age: ages the connection of a client until the server has lost its patience.
    """

    def __init__(self, seed, connect, age):
        self.random = random.Random(seed)
        self.connect = connect
        self.age = age
        self.verified = 0

    def run(self, count):
        while count > 0:
            with contextlib.closing(self.connect()) as client:
                for _ in range(self.random.randrange(1, 6)):
                    count -= 1
                    action = self.random.choice(self.ACTIONS)
                    if action(self, client) is False:
                        break

    def piece(self):
        start = self.random.randrange(len(CONTENT))
        longest = self.random.choice([10, 5_000, 70_000, len(CONTENT)])
        return start, min(self.random.randrange(1, longest + 1), len(CONTENT) - start)

    def download(self, client):
        start, length = self.piece()
        response = client.get(f"/?{start},{length}")
        assert response.body == CONTENT[start : start + length]
        self.verified += 1

    def download_slowly(self, client):
        client.request("GET", f"/?0,{len(CONTENT)}")
        client.read_until(b"\r\n\r\n")
        time.sleep(self.random.random() / 20)
        assert client.read_exactly(len(CONTENT)) == CONTENT
        self.verified += 1

    def download_in_part(self, client):
        client.request("GET", f"/?0,{len(CONTENT)}")
        client.read_exactly(self.random.randrange(100, 1_000_000))
        return self.leave(client)

    def upload(self, client):
        start, length = self.piece()
        body = CONTENT[start : start + length]
        path = self.random.choice(["/up", "/up", "/buffered" if length <= 1_000_000 else "/up"])
        headers = ["Expect: 100-continue"] if self.random.random() < 0.2 else []
        response = client.put(path, self.in_chunks(body), headers=headers)
        if response.status == 100:
            response = client.read()
        if path == "/up":
            assert response.body == hashlib.sha256(body).hexdigest().encode()
        else:
            assert response.body == body
        self.verified += 1

    def upload_in_part(self, client):
        size = self.random.randrange(2, 1_000_000)
        client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        client.send(CONTENT[: self.random.randrange(size)])
        return self.leave(client)

    def upload_bad_chunks(self, client):
        client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"5;ext\r\nhello\r\n" * self.random.randrange(5))
        client.send(self.random.choice([b"zz\r\n", b"5\r\nhelloworld", b"0\r\nbad\r\n\r\n"]))
        assert client.read().status == 400
        return False

    def upload_refused(self, client):
        size = self.random.choice([1, 1_000, 60_000, 500_000])
        response = client.put("/refused", CONTENT[:size])
        assert response.status == 401
        return not response.closes

    def pipeline(self, client):
        pieces = [self.piece() for _ in range(self.random.randrange(2, 6))]
        requests = [f"GET /?{a},{n} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for a, n in pieces]
        body = CONTENT[:100]
        put = b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + body
        client.send(b"".join(requests) + put)
        for start, length in pieces:
            assert client.read().body == CONTENT[start : start + length]
        assert client.read().body == hashlib.sha256(body).hexdigest().encode()
        self.verified += 1

    def upload_by_the_byte(self, client):
        body = CONTENT[: self.random.randrange(1, 60)]
        client.request("PUT", "/up", headers=["Transfer-Encoding: chunked"])
        for byte in body:
            client.send(b"1\r\n%c\r\n" % byte)
        for byte in b"0\r\n\r\n":
            client.send(bytes([byte]))
        assert client.read().body == hashlib.sha256(body).hexdigest().encode()
        self.verified += 1

    def stall(self, client):
        """Go silent in the middle of something; the server ends it."""
        begin = self.random.choice(
            [
                b"GET /?5,5 HTTP/1.1\r\nHost:",
                b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + CONTENT[:5000],
                b"PUT /buffered HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
            ]
        )
        client.send(begin)
        client.socket.settimeout(0.05)
        wait_until(lambda: self.is_closed(client), "the end of a silent connection")
        return False

    def is_closed(self, client):
        self.age(client)
        with contextlib.suppress(TimeoutError):
            assert client.is_closed()
            return True

    def drip(self, client):
        for byte in b"GET /?5,5 HTTP/1.1\r\nHost: x\r\n\r\n":
            client.send(bytes([byte]))
        assert client.read().body == CONTENT[5:10]
        self.verified += 1

    def garbage(self, client):
        client.send(
            self.random.choice([b"\x16\x03\x01", b"\0" * 50, b"GET\r\n\r\n", b"{}\r\n\r\n"])
        )
        assert client.read().status == 400
        return False

    def leave(self, client):
        if self.random.random() < 0.5:
            client.reset()
        return False

    def in_chunks(self, body):
        if self.random.random() < 0.5:
            return body
        step = self.random.choice([1_000, 32_768, 100_000])
        return [body[at : at + step] for at in range(0, len(body), step)]

    ACTIONS = (
        *(download, download, download_slowly, download_in_part),
        *(upload, upload, upload_in_part, upload_bad_chunks, upload_refused),
        *(upload_by_the_byte, pipeline, drip, garbage, stall),
    )


@pytest.mark.timeout(300 + 10 * ACTIONS)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_chaos(serve, tmp_path, tmp_path_factory, secure, caplog):
    caplog.set_level(logging.WARNING)
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    application = Everything(path, file_store(tmp_path / "blobs"))
    certificate = secure and Certificate(tmp_path_factory.mktemp("certificate"), "localhost")
    tls = certificate.for_server() if secure else None
    service = serve(application, tls=tls)
    context = certificate.for_client() if secure else None
    before = len(open_files())

    def age(client):
        port = client.socket.getsockname()[1]
        service.age(
            connections=[
                each for each in list(service.listener.connections) if each.addr[1] == port
            ]
        )

    clients = [Chaos(seed, lambda: service.connect(tls=context), age) for seed in range(CLIENTS)]
    failures = []

    def run(client):
        try:
            client.run(ACTIONS)
        except Exception as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert sum(client.verified for client in clients) > 2 * ACTIONS
    eventually(lambda: not service.listener.connections)
    eventually(lambda: {sink.closed for sink in application.sinks} == {1})
    assert list((tmp_path / "blobs" / "uploads").iterdir()) == []
    for blob in (tmp_path / "blobs" / "sha256").glob("*/*"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    eventually(lambda: len(open_files()) <= before)
    assert [record.getMessage() for record in caplog.records] == []
