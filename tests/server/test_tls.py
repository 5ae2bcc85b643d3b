"""TLS listeners."""

import contextlib
import hashlib
import ssl
import subprocess
import threading

import pytest

from repoman.errors import Invalid, NotFound
from repoman.server.tls_contexts import choose_by_name, load_context
from tests.clock import LONG_S, WAIT_S
from tests.server.apps import Files, Uploads, echo_connector, hello, stream
from tests.server.certificates import Certificate
from tests.server.conftest import eventually, wait_until_full

BIG = bytes(range(256)) * 16_000


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificates"), "localhost")


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificates"), "other.test", key="rsa")


@pytest.fixture
def secure(serve, connect, certificate):
    """Return a function that starts a TLS service; it returns that and a way to connect."""

    def start(application, **options):
        service = serve(application, tls=certificate.for_server(), **options)
        return service, lambda **more: connect(service, **{"tls": certificate.for_client(), **more})

    return start


def test_request(secure):
    _, connect = secure(echo_connector)
    client = connect()
    for _ in range(3):
        assert client.get("/").body == b"main https"
    assert client.socket.selected_alpn_protocol() in (None, "http/1.1")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(secure, certificate, version):
    _, connect = secure(hello)
    context = certificate.for_client(maximum_version=version, minimum_version=version)
    assert connect(tls=context).get("/").body == b"hello"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(secure, certificate):
    _, connect = secure(hello)
    context = certificate.for_client(minimum_version=ssl.TLSVersion.TLSv1)
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        connect(tls=context)


def test_http_and_https_listeners_side_by_side(secure, serve, connect):
    service, connect_tls = secure(echo_connector)
    plain = service.server.add_listener("plain", "127.0.0.1", 0)
    for _ in range(2):  # the same bytes
        assert connect_tls().get("/").body == b"main https"
        assert connect(service, port=plain.port).get("/").body == b"plain http"


def test_upload(secure):
    uploads = Uploads()
    _, connect = secure(uploads)
    client = connect()
    expected = hashlib.sha256(BIG).hexdigest().encode()
    assert client.put("/up", BIG).body == expected
    assert client.put("/up", [BIG[:100_000], BIG[100_000:]]).body == expected
    assert client.put("/buffered", BIG[:900_000]).body == BIG[:900_000]
    assert client.put("/refused", b"x" * 1000).status == 401
    assert client.get("/x").body == b"got /x"


def test_early_refusal_reaches_a_client_that_pushes(secure):
    _, connect = secure(Uploads())
    client = connect()
    client.send(b"PUT /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 40000000\r\n\r\n")
    for _ in range(5):
        client.send(b"\0" * 1_000_000)
    assert client.read().status == 401


def test_download(secure, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(BIG)
    _, connect = secure(Files(path))
    client = connect()
    for _ in range(2):
        assert client.get("/").body == BIG
        assert client.get("/?1000,2000000").body == BIG[1000:2_001_000]
        assert client.get("/small").body == b"hello"


def test_download_by_a_slow_reader(secure, tmp_path):
    """Full socket buffers: OpenSSL must be asked again for the same bytes."""
    path = tmp_path / "file"
    path.write_bytes(BIG * 2)
    service, connect = secure(Files(path))
    client = connect(receive_buffer=1 << 16)
    client.request("GET", "/")
    client.read_until(b"\r\n\r\n")
    wait_until_full(service)
    assert client.read_exactly(2 * len(BIG)) == BIG * 2


def test_large_response_from_memory_to_a_slow_reader(secure):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", str(len(BIG)))])
        return [BIG]

    service, connect = secure(application)
    client = connect(receive_buffer=1 << 16)
    client.request("GET", "/")
    client.read_until(b"\r\n\r\n")
    wait_until_full(service)
    assert client.read_exactly(len(BIG)) == BIG


def test_generator_to_a_slow_reader(secure):
    service, connect = secure(stream(100, 33_333))
    client = connect(receive_buffer=1 << 16)
    client.request("GET", "/")
    wait_until_full(service)
    body = client.read().body
    assert len(body) == 3_333_300
    assert (
        hashlib.sha256(body).digest()
        == hashlib.sha256(b"".join(bytes([n]) * 33_333 for n in range(100))).digest()
    )


def test_pipelined_requests_in_one_record(secure):
    _, connect = secure(hello)
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    for _ in range(20):
        assert client.read().body == b"hello"


def test_plain_http_is_told_so(secure, connect):
    service, _ = secure(hello)
    client = connect(service)
    client.request("GET", "/")
    response = client.read()
    assert (response.status, response.closes) == (400, True)
    assert b"HTTPS" in response.body
    assert client.is_closed()


@pytest.mark.parametrize("data", [b"\x00\x01\x02", b"\x16garbage that is no hello", b"\x80" * 50])
def test_garbage_is_closed(secure, connect, data):
    service, _ = secure(hello)
    client = connect(service)
    client.send(data)
    with contextlib.suppress(ConnectionError):
        while client.socket.recv(1000):  # perhaps a TLS alert
            pass


def test_client_that_leaves_before_the_handshake(secure, connect):
    service, connect_tls = secure(hello)
    for _ in range(5):
        connect(service).close()
        connect(service).reset()
    client = connect(service)
    client.send(b"\x16\x03")
    client.reset()
    assert connect_tls().get("/").body == b"hello"
    eventually(lambda: len(service.listener.connections) == 1)


@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01"])
def test_handshake_that_takes_too_long(secure, connect, data):
    service, _ = secure(hello, handshake_timeout=0.5)
    client = connect(service)
    client.send(data)
    assert client.is_closed()


def test_a_handshake_that_is_over_is_not_timed_any_more(secure):
    service, connect = secure(hello, handshake_timeout=LONG_S, idle_timeout=10 * LONG_S)
    client = connect()
    eventually(lambda: [each.is_idle for each in service.listener.connections] == [True])
    service.age(2 * LONG_S)
    assert client.get("/").body == b"hello"


def test_handshake_in_pieces_of_one_byte(secure, connect, certificate):
    service, _ = secure(hello)
    raw = connect(service).socket
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = certificate.for_client()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def send_out():
        for byte in outgoing.read():
            raw.send(bytes([byte]))

    def until_done(function, *args):
        while True:
            try:
                return function(*args)
            except ssl.SSLWantReadError:
                send_out()
                incoming.write(raw.recv(65536))

    until_done(tls.do_handshake)
    tls.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    send_out()
    assert b"200 OK" in until_done(tls.read, 1000)


def test_end_of_the_connection_is_announced(secure):
    _, connect = secure(hello)
    client = connect()
    client.socket.suppress_ragged_eofs = False
    client.request("GET", "/", headers=["Connection: close"])
    assert client.read_rest().endswith(b"hello")  # no SSLEOFError


def test_swapped_certificate_is_used_for_new_connections(secure, certificate, other):
    service, connect = secure(hello)
    client = connect()
    assert client.get("/").status == 200
    service.server.swap_tls("main", other.for_server())
    assert client.get("/").status == 200
    assert connect(tls=other.for_client(), name="other.test").get("/").status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        connect()


def test_certificate_by_name(serve, connect, certificate, other):
    context = choose_by_name(certificate.for_server(), {"Other.test": other.for_server()})
    service = serve(hello, tls=context)
    assert connect(service, tls=certificate.for_client()).get("/").status == 200
    client = connect(service, tls=other.for_client(), name="other.test")
    assert client.get("/").status == 200


def test_swap_needs_a_tls_listener(serve, certificate):
    service = serve(hello)
    with pytest.raises(Invalid, match="does not use TLS"):
        service.server.swap_tls("main", certificate.for_server())
    with pytest.raises(NotFound):
        service.server.swap_tls("other", certificate.for_server())


def test_wrong_files_are_invalid(certificate, other, tmp_path):
    with pytest.raises(Invalid, match="Cannot read"):
        load_context(tmp_path / "missing", certificate.key_path)
    with pytest.raises(Invalid, match="not a certificate and its key"):
        load_context(certificate.path, other.key_path)


def test_encrypted_key_is_invalid_and_asks_nobody(certificate):
    with pytest.raises(Invalid, match="is encrypted"):
        load_context(certificate.path, certificate.encrypt_key())


def test_renegotiation_is_refused(secure):
    service, _ = secure(hello)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{service.port}", "-tls1_2"]
    done = subprocess.run(command, input=b"R\n", capture_output=True, timeout=WAIT_S, check=False)
    assert b"RENEGOTIATING" in done.stdout + done.stderr
    assert b"no renegotiation" in done.stderr


def test_cut_upload(secure):
    uploads = Uploads()
    _, connect = secure(uploads)
    client = connect()
    client.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n" + BIG[:500_000])
    eventually(lambda: uploads.sinks and uploads.sinks[0].size == 500_000)
    client.reset()
    eventually(lambda: uploads.sinks[0].closed == 1)


def test_removal_closes_idle_connections(secure):
    service, connect = secure(hello)
    client = connect()
    assert client.get("/").status == 200
    gone = service.server.remove_listener("main")
    assert client.socket.recv(1) == b""
    assert gone.wait(WAIT_S)


def test_removal_does_not_wait_for_handshakes(secure, connect):
    service, _ = secure(hello, handshake_timeout=LONG_S, drain_timeout=LONG_S)
    client = connect(service)
    eventually(lambda: len(service.listener.connections) == 1)
    assert service.server.remove_listener("main").wait(WAIT_S)
    assert client.is_closed()


def test_many_clients_at_once(secure):
    _, connect = secure(hello)
    results = []

    def work():
        for _ in range(5):
            client = connect()
            results.append(client.get("/").body)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [b"hello"] * 20
