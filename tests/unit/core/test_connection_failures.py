"""What is said of connections that fail, over real sockets, and which certificates are trusted."""

import socket
import ssl
import threading
import time
from contextlib import ExitStack, closing, contextmanager

import pytest
import requests.adapters

from repoman.errors import Invalid, UpstreamTimeout, UpstreamUnavailable
from repoman.proxy import connections
from repoman.proxy.failures import without_secrets
from repoman.proxy.remote_health import RemoteHealth
from repoman.proxy.upstream import ClientOptions, UpstreamClient
from repoman.repositories.proxy_sections import HttpClientSection
from repoman.security.certificates import CertificateFiles, create_certificate
from tests.fakes.registry import Fault, fake_registry
from tests.live import free_port


@pytest.fixture(scope="module")
def make_files(tmp_path_factory):
    """Make certificates by authorities of their own."""

    def make(name, days=2):
        files = CertificateFiles.below(tmp_path_factory.mktemp("tls"))
        create_certificate(files, [name], days)
        return files

    return make


@pytest.fixture(scope="module")
def files(make_files):
    return make_files("127.0.0.1")


@pytest.fixture
def no_system(monkeypatch, tmp_path):
    """A machine that trusts nobody, apart from what a test names."""
    nobody = tmp_path / "none"
    nobody.mkdir()
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(nobody))
    monkeypatch.setattr(connections, "SYSTEM_BUNDLES", ())
    for name in (*connections.VARIABLES, *connections.OPENSSL_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    connections._make_context.cache_clear()
    yield monkeypatch
    connections._make_context.cache_clear()


@contextmanager
def secure(files, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with fake_registry(tls=context, **options) as registry:
        yield registry


@contextmanager
def asked(url, **options):
    options = {"retries": 0, "timeout": 5, **options}
    client = UpstreamClient(url, ClientOptions(**options), RemoteHealth(url, time.monotonic))
    try:
        yield client
    finally:
        client.close()


def failure(url, path="x", **options):
    """The error of a request, after which nothing else may be asked of the host."""
    with asked(url, **options) as client:
        with pytest.raises(UpstreamUnavailable) as caught:
            client.open("GET", path)
        return caught.value


# --- Reasons -------------------------------------------------------------------------------------


def test_a_refused_port():
    port = free_port()
    error = failure(f"http://127.0.0.1:{port}")
    assert str(error) == (
        f"The remote http://127.0.0.1:{port} cannot be reached: 127.0.0.1:{port} refused the "
        "connection; nothing listens on this port."
    )
    assert error.is_unreachable


def test_an_unknown_name():
    error = failure("https://registry.invalid")
    assert "the name registry.invalid cannot be resolved" in str(error)
    assert error.is_unreachable


def test_a_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
    assert isinstance(error, UpstreamTimeout)
    assert "no answer within 0.2 s" in str(error)


def test_plain_http_where_tls_was_expected():
    with fake_registry() as registry:
        url = registry.url.replace("http:", "https:")
        error = failure(url)
    assert f"127.0.0.1:{registry.port} speaks plain HTTP where TLS was expected" in str(error)
    assert error.is_unreachable


def test_tls_where_http_was_expected(files):
    with secure(files) as registry:
        error = failure(registry.url.replace("https:", "http:"))
    assert "TLS" in str(error)
    assert "https://" in str(error)


@contextmanager
def answering(data):
    """A server that answers whatever comes with these bytes."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


GO = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
NGINX = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 74\r\n\r\n"
    b"<html><body>The plain HTTP request was sent to HTTPS port</body></html>   "
)
ALERT = b"\x15\x03\x01\x00\x02\x02\x46"


@pytest.mark.parametrize("answer", [GO, NGINX, ALERT], ids=["go", "nginx", "alert"])
def test_how_servers_say_that_they_speak_tls(answer):
    with answering(answer) as url:
        error = failure(url)
    assert "requires TLS, but was contacted with plain HTTP; use https://" in str(error)
    assert error.is_unreachable


def test_another_400_is_for_the_format():
    with answering(b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno") as url, asked(url) as client:
        assert client.open("GET", "x").status == 400


def test_an_untrusted_certificate(files, no_system):
    with secure(files) as registry:
        error = failure(registry.url)
    assert "its certificate is signed by an unknown authority" in str(error)
    assert error.is_unreachable


def test_an_expired_certificate(make_files):
    files = make_files("127.0.0.1", 0)
    with secure(files) as registry:
        error = failure(registry.url, ca_bundle=str(files.authority))
    assert "its certificate has expired" in str(error)


def test_a_certificate_for_another_host(make_files):
    files = make_files("registry.example.com")
    with secure(files) as registry:
        error = failure(registry.url, ca_bundle=str(files.authority))
    assert "its certificate is not valid for the host 127.0.0.1" in str(error)


def test_the_host_that_failed_is_named():
    port = free_port()
    with fake_registry() as registry, asked(registry.url) as client:
        target = f"http://user:pass@127.0.0.1:{port}/y?signature=secret"
        registry.faults.append(Fault("/x", status=307, headers={"Location": target}))
        with pytest.raises(UpstreamUnavailable) as caught:
            client.open("GET", "x")
    text = str(caught.value)
    assert f"The host 127.0.0.1:{port}, to which the remote {registry.url} refers," in text
    assert caught.value.host == f"127.0.0.1:{port}"
    assert "secret" not in text
    assert "pass" not in text


def test_a_broken_http_proxy_is_told_from_the_remote(monkeypatch):
    port = free_port()
    monkeypatch.setenv("https_proxy", f"http://user:secret@127.0.0.1:{port}")
    error = failure("https://registry.invalid")
    assert f"the HTTP proxy 127.0.0.1:{port} does not work: 127.0.0.1:{port} refused" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (407, "with status 407 (authentication required)"),
        (403, "refused the request with status 403"),
    ],
)
def test_what_an_http_proxy_refuses(monkeypatch, status, text):
    with answering(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status) as url:
        monkeypatch.setenv("https_proxy", url)
        assert text in str(failure("https://registry.invalid"))


def test_an_http_proxy_that_wants_a_login_for_plain_http(monkeypatch):
    with answering(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n") as url:
        monkeypatch.setenv("http_proxy", url)
        error = failure("http://registry.invalid")
    assert "the HTTP proxy requires authentication (407)" in str(error)
    assert error.is_unreachable


def test_the_log_has_the_same_sentence(caplog):
    caplog.set_level("INFO")
    port = free_port()
    failure(f"http://127.0.0.1:{port}", "x?token=secret")
    assert f"GET http://127.0.0.1:{port}/x failed: 127.0.0.1:{port} refused the" in caplog.text
    assert "urllib3" not in "".join(each.getMessage() for each in caplog.records)
    assert "secret" not in caplog.text


def test_what_is_shown_of_an_address():
    assert without_secrets("https://u:p@host:1/a?b=c#d") == "https://host:1/a"


# --- Trust ---------------------------------------------------------------------------------------


def reaches(url, **options):
    with asked(url, allow_private=True, **options) as client, client.open("GET", "x") as response:
        return response.status == 200


def test_a_bundle_is_added_to_the_public_authorities(files, make_files, no_system):
    public = make_files("127.0.0.1")
    no_system.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(public.authority))
    with secure(files) as private, secure(public) as cdn:
        private.faults.append(Fault("/x", status=307, headers={"Location": f"{cdn.url}/y"}))
        assert reaches(private.url, ca_bundle=str(files.authority))
        assert cdn.lines() == ["GET /y"]


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_may_name_authorities(files, no_system, name):
    no_system.setenv(name, str(files.authority))
    with secure(files) as registry:
        assert reaches(registry.url)


def test_the_system_may_have_authorities(files, no_system):
    no_system.setattr(connections, "SYSTEM_BUNDLES", ("/nowhere", str(files.authority)))
    with secure(files) as registry:
        assert reaches(registry.url)


def test_one_context_serves_all_requests(files, no_system):
    made = []
    make = connections.create_urllib3_context
    no_system.setattr(
        connections, "create_urllib3_context", lambda **kw: made.append(1) or make(**kw)
    )
    with secure(files) as registry, ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(asked(registry.url, ca_bundle=str(files.authority)))
            for _ in range(3):
                client.open("GET", "x").close()
                client._session.adapters["https://"].poolmanager.clear()  # a new connection
        assert registry.connections == 6
    assert len(made) == 1


def test_a_changed_bundle_is_noticed(files, make_files, no_system, tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(make_files("127.0.0.1").authority.read_bytes())
    with secure(files) as registry, asked(registry.url, ca_bundle=str(bundle)) as client:
        with pytest.raises(UpstreamUnavailable, match="unknown authority"):
            client.open("GET", "x")
        client.status.reset()
        bundle.write_bytes(files.authority.read_bytes() + b"\n")
        assert client.open("GET", "x").status == 200
        bundle.unlink()  # while it is away, the former one counts
        client._session.adapters["https://"].poolmanager.clear()
        assert client.open("GET", "x").status == 200


def test_a_bundle_that_cannot_be_used_is_refused_when_it_is_set(tmp_path, files):
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("no certificate")
    for path, text in (
        (
            tmp_path / "missing.pem",
            r"http_client\.ca_bundle: the file .*missing\.pem does not exist",
        ),
        (damaged, r"damaged\.pem contains no certificates in PEM format"),
    ):
        section = HttpClientSection(ca_bundle=str(path))
        with pytest.raises(Invalid, match=text):
            section.check_names()
    HttpClientSection(ca_bundle=str(files.authority)).check_names()
    HttpClientSection(ca_bundle="/etc/ssl/certs").check_names()
