"""Files as responses."""

import gzip
import hashlib
import io
import os
import threading
import time

import pytest

from tests.clock import WAIT_S, cpu_limit
from tests.server.apps import Files, stream
from tests.server.conftest import eventually, open_files, wait_until_full

SIZE = 5_000_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(SIZE // 32)))
    return path


def wrapped(open_file, headers=()):
    def application(environ, start_response):
        start_response("200 OK", list(headers))
        return environ["wsgi.file_wrapper"](open_file())

    return application


def test_whole_file_and_the_connection_is_kept(serve, connect, file):
    client = connect(serve(Files(file)))
    for _ in range(3):
        response = client.get("/")
        assert response.body == file.read_bytes()
        assert not response.closes
    assert client.get("/small").body == b"hello"


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 1), (1, 100), (4_999_000, 1_000), (7, 65_536), (7, 65_537), (1_000_000, 3_000_000)],
)
def test_slice(serve, connect, file, offset, length):
    client = connect(serve(Files(file)))
    for _ in range(2):
        body = client.get(f"/?{offset},{length}").body
        assert body == file.read_bytes()[offset : offset + length]


def test_length_is_added_if_the_application_does_not_say_it(serve, connect, file):
    client = connect(serve(wrapped(lambda: file.open("rb"))))
    response = client.get("/")
    assert response.headers["content-length"] == str(file.stat().st_size)
    assert response.body == file.read_bytes()


def test_buffered_file_that_was_read_from(serve, connect, file):
    def open_file():
        opened = file.open("rb")
        assert len(opened.read(10)) == 10
        return opened

    assert connect(serve(wrapped(open_file))).get("/").body == file.read_bytes()[10:]


def test_empty_file(serve, connect, tmp_path):
    (tmp_path / "empty").touch()
    client = connect(serve(Files(tmp_path / "empty")))
    for _ in range(2):
        assert client.get("/").body == b""


@pytest.mark.parametrize("size", [1000, 200_000])
def test_file_that_only_python_can_read(serve, connect, size):
    content = bytes(range(200)) * (size // 200)
    client = connect(serve(wrapped(lambda: io.BytesIO(content))))
    for _ in range(2):
        assert client.get("/").body == content


def test_gzip_file_arrives_unpacked(serve, connect, tmp_path):
    content = bytes(range(256)) * 1000
    (tmp_path / "x.gz").write_bytes(gzip.compress(content))
    application = wrapped(lambda: gzip.GzipFile(tmp_path / "x.gz"))
    assert connect(serve(application)).get("/").body == content


@pytest.mark.parametrize("query", ["", "?0,100"])
def test_head_sends_nothing_of_the_file_and_closes_it(serve, connect, file, query):
    client = connect(serve(Files(file)))
    for _ in range(3):
        client.request("HEAD", f"/{query}")
        response = client.read(head_only=True)
        assert response.status == 200
        assert client.buffer == b""
    eventually(lambda: not any(name == str(file) for _, name in open_files()))


def test_file_is_closed_by_a_worker(serve, connect, file):
    closers = []

    class File(io.FileIO):
        def close(self):
            closers.append(threading.current_thread().name)
            super().close()

    connect(serve(wrapped(lambda: File(file)))).get("/")
    eventually(lambda: closers)
    assert all(name.startswith("worker") for name in closers)


def test_cut_download_closes_the_file(serve, connect, file):
    client = connect(serve(Files(file)), receive_buffer=1 << 17)
    client.request("GET", "/")
    client.read_exactly(100_000)
    client.reset()
    eventually(lambda: not any(name == str(file) for _, name in open_files()))


def test_the_kernel_sends_files_by_itself(serve, connect, file, monkeypatch):
    sent = []
    real = os.sendfile

    def sendfile(out, source, offset, count):
        sent.append(real(out, source, offset, count))
        return sent[-1]

    monkeypatch.setattr(os, "sendfile", sendfile)
    assert connect(serve(Files(file))).get("/").body == file.read_bytes()
    eventually(lambda: sum(sent) == SIZE)  # the client may be the first to know


def test_file_that_becomes_shorter_ends_the_connection(serve, connect, tmp_path, caplog):
    path = tmp_path / "sparse"
    with path.open("wb") as sparse:
        sparse.truncate(50_000_000)
    client = connect(serve(Files(path)), receive_buffer=1 << 17)
    client.request("GET", "/")
    client.read_exactly(100_000)
    with path.open("r+b") as sparse:
        sparse.truncate(200_000)
    assert len(client.read_rest()) < 49_000_000
    assert "Cut off the response to 127.0.0.1: The file is shorter" in caplog.text


def test_client_that_leaves_is_no_news(serve, connect, tmp_path, caplog):
    path = tmp_path / "sparse"
    with path.open("wb") as sparse:
        sparse.truncate(50_000_000)
    service = serve(Files(path))
    client = connect(service, receive_buffer=1 << 17)
    client.request("GET", "/")
    client.read_exactly(100_000)
    client.reset()
    eventually(lambda: not service.listener.connections)
    assert caplog.text == ""


@pytest.mark.parametrize("there", [0, 1, 49_999, 99_999])
def test_file_shorter_than_its_response_says_is_an_error_before_the_header(
    serve, connect, tmp_path, caplog, there
):
    path = tmp_path / "truncated"
    path.write_bytes(b"x" * there)
    application = wrapped(lambda: path.open("rb", buffering=0), [("Content-Length", "100000")])
    response = connect(serve(application)).get("/")
    assert response.status == 500
    assert f"The file has {there} bytes where its response says 100000" in caplog.text


def test_downloads_do_not_starve_small_requests(serve, connect, tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as sparse:
        sparse.truncate(1 << 32)
    service = serve(Files(path))
    stop = threading.Event()

    def download():
        client = service.connect()
        client.request("GET", "/")
        while not stop.is_set():
            client.socket.recv(1 << 20)
        client.close()

    threads = [threading.Thread(target=download) for _ in range(3)]
    for thread in threads:
        thread.start()
    client = connect(service)
    try:
        with cpu_limit(10, time.process_time):  # more than 50 on a loop that one download occupies
            for _ in range(50):
                assert client.get("/small").status == 200
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_slow_readers_hold_no_worker(serve, connect, file):
    service = serve(Files(file), threads=2)
    slow = [connect(service, receive_buffer=1 << 17) for _ in range(10)]
    for client in slow:
        client.request("GET", "/")
    assert connect(service).get("/small").status == 200
    for client in slow:
        assert client.read().body == file.read_bytes()


def test_little_waits_in_the_kernel_for_a_slow_reader(serve, connect, file):
    service = serve(Files(file))
    client = connect(service, receive_buffer=1 << 15)
    client.request("GET", "/")
    assert wait_until_full(service) < SIZE / 5
    assert client.read().body == file.read_bytes()


def test_generator_waits_for_a_slow_reader(serve, connect):
    produced = []

    def application(environ, start_response):
        start_response("200 OK", [])
        for number in range(200):
            produced.append(number)
            yield b"x" * 100_000

    service = serve(application)
    client = connect(service, receive_buffer=1 << 17)
    client.request("GET", "/")
    client.read_until(b"\r\n\r\n")
    wait_until_full(service)
    assert len(produced) < 150  # what the kernel's buffers and one high water mark hold
    assert len(client._read_chunks()) == 20_000_000


def test_client_that_leaves_ends_the_generator(serve, connect):
    closed = threading.Event()

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            while True:
                yield b"x" * 100_000
        finally:
            closed.set()

    client = connect(serve(application))
    client.request("GET", "/")
    client.read_exactly(1000)
    client.reset()
    assert closed.wait(WAIT_S)


def test_generator_of_many_small_pieces(serve, connect):
    client = connect(serve(stream(5000, 100)))
    for _ in range(2):
        assert len(client.get("/").body) == 500_000


def test_pipelined_downloads(serve, connect, file):
    client = connect(serve(Files(file)))
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /small HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    for _ in range(3):
        assert client.read().body == file.read_bytes()
        assert client.read().body == b"hello"


def test_error_before_the_file_leaves_nothing_open(serve, connect, file):
    def application(environ, start_response):
        opened = environ["wsgi.file_wrapper"](file.open("rb"))
        try:
            start_response("200 OK", [("Connection", "close")])  # not an application's to say
        except BaseException:
            opened.close()
            raise
        return opened

    assert connect(serve(application)).get("/").status == 500


def test_file_with_a_status_without_body(serve, connect, file):
    def application(environ, start_response):
        start_response("304 Not Modified", [])
        return environ["wsgi.file_wrapper"](file.open("rb"))

    client = connect(serve(application))
    assert client.get("/").status == 304
    assert client.get("/").status == 304


def test_hello_after_download_on_a_bulk_loop(serve, connect, file):
    service = serve(Files(file), bulk_threads=1)
    clients = [connect(service) for _ in range(4)]
    for client in clients:
        client.request("GET", "/")
    for client in clients:
        assert client.read().body == file.read_bytes()
        assert client.get("/small").body == b"hello"
