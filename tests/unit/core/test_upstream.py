"""The client of a remote over a real socket, and the judgement of where it may be sent."""

import socket
import threading
import time
from contextlib import closing, suppress

import pytest

from repoman.errors import (
    UpstreamBlocked,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from repoman.proxy.redirects import Targets, is_same_owner, network_of, origin_of
from repoman.proxy.remote_health import Condition, RemoteHealth
from repoman.proxy.upstream import ClientOptions, UpstreamClient
from repoman.testing import Clock
from tests.clock import LONG_S, WAIT_S
from tests.fakes.registry import Fault, fake_registry

BLOB = b"some bytes of a blob"


@pytest.fixture
def remote():
    with fake_registry() as registry:
        yield registry


@pytest.fixture
def waits():
    return []


@pytest.fixture
def client(remote, waits):
    status = RemoteHealth(remote.url, lambda: 0.0, auto_block=False)
    client = UpstreamClient(remote.url, ClientOptions(timeout=WAIT_S), status, sleep=waits.append)
    yield client
    client.close()


def get(client, path, **headers):
    with client.open("GET", path, headers) as response:
        return response.status, response.read_all(1000)


def test_bytes_come_as_they_are_on_the_wire(client, remote):
    body = b"\x1f\x8b not really gzip"
    remote.faults.append(Fault("/x", status=200, body=body, headers={"Content-Encoding": "gzip"}))
    assert get(client, "x") == (200, body)
    assert remote.log[0].headers["Accept-Encoding"] == "identity"


def test_failures_are_tried_again_with_pauses(client, remote, waits):
    remote.faults.append(Fault("/x", status=503, times=2))
    assert get(client, "x")[0] == 200
    assert waits == [0.2, 0.4]
    assert client.status.condition is Condition.AVAILABLE


def test_a_remote_that_keeps_failing(client, remote, waits):
    remote.faults.append(Fault("/x", status=502))
    with pytest.raises(UpstreamUnavailable, match=f"{remote.url} answered with the error 502"):
        client.open("GET", "x")
    assert len(remote.log) == 3
    client.status.check()  # it may be of this address alone


def test_what_is_not_idempotent_is_tried_once(client, remote):
    remote.stop()
    with pytest.raises(UpstreamUnavailable, match="refused the connection; nothing listens"):
        client.open("POST", "x")


def test_a_remote_that_does_not_answer(remote):
    status = RemoteHealth(remote.url, lambda: 0.0)
    client = UpstreamClient(remote.url, ClientOptions(retries=0, timeout=0.2), status)
    remote.gate.clear()
    with pytest.raises(UpstreamTimeout, match="sent no data"):
        get(client, f"v2/a/blobs/{remote.put_blob('a', BLOB)}")
    client.close()


@pytest.mark.parametrize("status", [401, 403, 404, 416])
def test_other_answers_are_for_the_format(client, remote, status):
    remote.faults.append(Fault("/x", status=status))
    assert get(client, "x")[0] == status
    assert len(remote.log) == 1
    assert client.status.condition is Condition.AVAILABLE


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", 7),
        ("0", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("nonsense", None),
        ("9" * 5000, None),
        (None, None),
    ],
)
def test_a_limit_of_requests(client, remote, header, expected):
    headers = {} if header is None else {"Retry-After": header}
    remote.faults.append(
        Fault("/x", status=429, headers=headers, body=b"\x1b[31mToo Many  Requests")
    )
    with pytest.raises(UpstreamRateLimited, match="Too Many Requests") as caught:
        client.open("GET", "x")
    assert caught.value.retry_after == expected
    assert str(caught.value).isprintable()
    assert len(remote.log) == 1


def test_a_length_that_nobody_can_mean_is_none(client, remote):
    length = {"Content-Length": "9" * 5000}
    remote.faults.append(Fault("/x", status=200, headers=length, body=b"some"))
    with client.open("GET", "x") as response:
        assert response.length is None


def test_bodies_have_a_limit(client, remote):
    remote.faults.append(Fault("/x", status=200, body=b"x" * 1001))
    with pytest.raises(UpstreamUnavailable, match="more than the 1000 bytes"):
        get(client, "x")


@pytest.mark.parametrize(
    "begin",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"],
    ids=["header", "body"],
)
def test_a_remote_that_answers_by_drops_is_given_up(begin):
    is_given_up = threading.Event()

    def drip(listener):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(begin)
            while not is_given_up.wait(0.05):
                with suppress(OSError):
                    connection.sendall(b"x")

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        status = RemoteHealth(url, lambda: 0.0)
        client = UpstreamClient(url, ClientOptions(retries=0, timeout=0.2), status)
        begun = time.monotonic()
        with pytest.raises(UpstreamUnavailable):
            get(client, "x")
        assert time.monotonic() - begun > 0.8
        is_given_up.set()
        thread.join(WAIT_S)
        client.close()


def test_cookies_are_not_kept(client, remote):
    remote.faults.append(Fault("/x", status=200, headers={"Set-Cookie": "a=b"}, times=1))
    get(client, "x")
    get(client, "x")
    assert "Cookie" not in remote.log[1].headers


def test_a_redirect_keeps_the_range_and_drops_the_login(client, remote):
    digest = remote.put_blob("a", BLOB)
    remote.cdn = True
    status, body = get(client, f"v2/a/blobs/{digest}", Authorization="Basic eDp5", Range="bytes=5-")
    assert (status, body) == (206, BLOB[5:])
    assert [("Authorization" in each.headers) for each in remote.log] == [True, False]


def test_a_redirect_to_the_same_host_keeps_the_login(client, remote):
    remote.faults.append(Fault("/x", status=307, headers={"Location": "/y"}))
    assert get(client, "x", Authorization="Basic eDp5")[0] == 200
    assert [each.headers["Authorization"] for each in remote.log] == ["Basic eDp5"] * 2


def test_a_probe_tells_the_status(client, remote):
    remote.faults.append(Fault("GET /", status=500, times=1))
    client.examine()
    assert client.status.condition is Condition.UNAVAILABLE
    client.probe()
    assert client.status.condition is Condition.AVAILABLE


# --- Targets -------------------------------------------------------------------------------------

ADDRESSES = {
    "hub.example": ["93.184.216.34"],
    "cdn.example": ["93.184.216.35"],
    "evil.example": ["93.184.216.36", "127.0.0.1"],
    "inside.example": ["10.1.2.3"],
    "lan.example": ["192.168.0.7"],
    "metadata.example": ["169.254.169.254"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "six.example": ["fd00::1"],
    "both.example": ["93.184.216.37", "10.1.2.4"],
}


def targets(remote, **options):
    return Targets(remote, resolve=lambda host: ADDRESSES.get(host, [host]), **options)


@pytest.mark.parametrize(
    ("remote", "target", "is_allowed"),
    [
        ("https://hub.example", "https://cdn.example/x", True),
        ("https://hub.example", "http://cdn.example/x", False),
        ("http://hub.example", "http://cdn.example/x", True),
        ("https://hub.example", "https://evil.example/x", False),
        ("https://hub.example", "https://inside.example/x", False),
        ("https://hub.example", "https://metadata.example/x", False),
        ("https://hub.example", "https://mapped.example/x", False),
        ("https://hub.example", "https://six.example/x", False),
        ("https://hub.example", "https://0.0.0.0/x", False),
        ("https://hub.example", "https://hub.example:8443/x", True),
        ("https://hub.example", "ftp://cdn.example/x", False),
        ("https://hub.example", "https:///x", False),
        ("https://inside.example", "https://lan.example/x", True),
        ("https://inside.example", "https://metadata.example/x", False),
        ("https://inside.example", "https://127.0.0.1/x", False),
        ("http://127.0.0.1:5000", "http://127.0.0.1:6000/x", True),
        ("https://inside.example", "https://0.0.0.0/x", False),
        ("https://inside.example", "https://100.64.1.1/x", False),
        ("https://both.example", "https://inside.example/x", False),
        ("https://both.example", "https://both.example/x", True),
    ],
)
def test_where_a_remote_may_send_us(remote, target, is_allowed):
    if is_allowed:
        targets(remote).check(target, remote)
    else:
        with pytest.raises(UpstreamUnavailable, match="which is refused"):
            targets(remote).check(target, remote)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("93.184.216.34", ""),
        ("2606:2800:220:1::1", ""),
        ("127.0.0.1", "loopback"),
        ("127.8.8.8", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "loopback"),
        ("0.1.2.3", "loopback"),
        ("::", "loopback"),
        ("10.0.0.1", "private"),
        ("172.31.0.1", "private"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "private"),
        ("fd00::1", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("100.64.0.1", "shared"),
        ("224.0.0.1", "reserved"),
        ("ff02::1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:93.184.216.34", ""),
        ("2002:7f00:1::", "loopback"),
        ("2002:a00:1::1", "private"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b::5db8:d822", ""),
        ("64:ff9b:1::7f00:1", "reserved"),
        ("::ffff:0:7f00:1", "loopback"),
        ("2001:0:0:0:0:0:80ff:fffe", "loopback"),
    ],
)
def test_the_network_of_an_address(address, kind):
    assert network_of(address) == kind


def test_where_the_remote_is_is_found_out_once():
    answers = {"hub.example": ["93.184.216.34"]}
    judged = Targets("https://hub.example", resolve=answers.get)
    assert judged.addresses("hub.example") == ["93.184.216.34"]
    answers["hub.example"] = ["127.0.0.1"]
    with pytest.raises(UpstreamUnavailable, match="a loopback address"):
        judged.addresses("hub.example")


def test_of_the_addresses_of_a_host_only_the_good_ones_are_connected_to():
    assert targets("https://hub.example").addresses("evil.example") == ["93.184.216.36"]
    assert targets("https://both.example").addresses("both.example") == ADDRESSES["both.example"]
    assert Targets("https://hub.example", resolve=lambda _: []).addresses("hub.example") == []


@pytest.fixture
def rebound(remote):
    """A client of a name that led to the public network, and leads to loopback since."""
    status = RemoteHealth(remote.url, lambda: 0.0, auto_block=False)
    client = UpstreamClient(
        f"http://hub.example:{remote.port}", ClientOptions(timeout=WAIT_S, retries=0), status
    )
    answers = iter([["93.184.216.34"]])
    client.targets._resolve = lambda _: next(answers, ["127.0.0.1"])
    client.targets._allowed("hub.example")
    yield client
    client.close()


def test_a_name_that_leads_to_loopback_since_is_not_followed(rebound, remote):
    with pytest.raises(UpstreamUnavailable, match="a loopback address"):
        get(rebound, "x")
    assert remote.log == []


def test_a_connection_goes_to_the_address_that_was_judged(remote):
    asked = []

    def resolve(host):
        asked.append(host)
        return ["127.0.0.1"]

    status = RemoteHealth(remote.url, lambda: 0.0)
    client = UpstreamClient(f"http://only.in.this.test:{remote.port}", ClientOptions(), status)
    client.targets._resolve = resolve
    assert get(client, "x")[0] == 200
    assert set(asked) == {"only.in.this.test"}
    assert remote.log[0].headers["Host"] == f"only.in.this.test:{remote.port}"
    client.close()


def test_an_administrator_may_allow_private_addresses():
    targets("https://hub.example", allow_private=True).check(
        "https://inside.example/x", "https://hub.example"
    )


@pytest.mark.parametrize(
    ("remote", "realm", "is_trusted"),
    [
        ("https://registry-1.hub.example.net", "https://auth.hub.example.net/token", True),
        ("https://ghcr.io", "https://ghcr.io/token", True),
        ("https://registry.example.com", "https://example.com/jwt", True),
        ("https://registry.example.com", "https://example.org/jwt", False),
        ("https://registry.example.com", "http://registry.example.com/jwt", False),
        ("https://a.co.uk", "https://b.co.uk/token", False),
        ("https://x.a.co.uk", "https://y.a.co.uk/token", True),
        ("https://10.0.0.1", "https://11.0.0.1/token", False),
        ("http://localhost:5000", "http://localhost:5001/token", True),
        ("http://localhost:5000", "http://other/token", False),
    ],
)
def test_who_may_have_the_credentials(remote, realm, is_trusted):
    assert targets(remote).may_have_credentials(realm) is is_trusted


def test_origins():
    assert origin_of("HTTPS://Example.com/x") == ("https", "example.com", 443)
    assert origin_of("http://[::1]:7/x") == ("http", "::1", 7)
    assert is_same_owner("localhost", "localhost")
    assert not is_same_owner("localhost", "other")


# --- Connections ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 302, 401, 404, 429, 503])
def test_a_connection_is_used_again_after_a_small_answer(client, remote, status):
    headers = {"Location": f"{remote.url}/y"} if status == 302 else {}
    remote.faults.append(Fault("/x", status=status, body=b"some words", headers=headers))
    for method in ("HEAD", "GET"):
        with suppress(UpstreamRateLimited, UpstreamUnavailable):
            client.open(method, "x").close()
    assert len(remote.log) >= 2
    assert remote.connections == 1


def test_a_connection_is_not_kept_for_a_large_answer(client, remote):
    path = f"v2/a/blobs/{remote.put_blob('a', bytes(10_000_000))}"
    for _ in range(2):
        client.open("GET", path).close()
    assert remote.connections == 2


def test_words_that_do_not_come_are_not_waited_for():
    ended, waited = threading.Event(), []

    def answer(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 429 Enough\r\nContent-Length: 99\r\n\r\n")
            waited.append(ended.wait(WAIT_S))

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        options = ClientOptions(timeout=LONG_S)
        client = UpstreamClient(url, options, RemoteHealth(url, lambda: 0.0))
        with pytest.raises(UpstreamRateLimited, match="limits the rate of our requests"):
            client.open("GET", "x")
        ended.set()
        thread.join(WAIT_S)
        assert waited == [True]
        client.close()


def test_the_environment_counts_as_it_is(client, remote, monkeypatch):
    with fake_registry() as relay:
        for name, value, asked in (
            ("http_proxy", relay.url, 1),
            ("no_proxy", "127.0.0.1", 1),
            ("no_proxy", "", 2),
            ("http_proxy", "", 2),
        ):
            monkeypatch.setenv(name, value)
            get(client, "x")
            assert len(relay.log) == asked
    assert len(remote.log) == 2


def test_a_query_is_not_logged(remote, caplog):
    remote.stop()
    status = RemoteHealth(remote.url, lambda: 0.0)
    client = UpstreamClient(remote.url, ClientOptions(retries=0), status)
    caplog.set_level("INFO")
    with pytest.raises(UpstreamUnavailable):
        client.open("GET", "x?signature=secret")
    assert "/x failed" in caplog.text
    assert "secret" not in caplog.text
    client.close()


def test_a_missing_bundle_is_named(remote, tmp_path):
    options = ClientOptions(retries=0, ca_bundle=str(tmp_path / "ca.pem"))
    url = remote.url.replace("http:", "https:")
    client = UpstreamClient(url, options, RemoteHealth(url, lambda: 0.0))
    with pytest.raises(
        UpstreamUnavailable, match=r"http_client\.ca_bundle: the file .*ca\.pem does not exist"
    ):
        client.open("GET", "x")
    client.close()


def test_all_addresses_of_a_host_share_the_time_for_a_connection(monkeypatch):
    addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    asked = []

    def connect(address, timeout, **_):
        asked.append((address[0], round(timeout)))
        raise TimeoutError("nobody is there")

    monkeypatch.setattr("repoman.proxy.connections.create_connection", connect)
    url = "http://hub.test:5000"
    client = UpstreamClient(
        url, ClientOptions(retries=0, timeout=30), RemoteHealth(url, lambda: 0.0)
    )
    monkeypatch.setattr(client.targets, "addresses", lambda _: addresses)
    with pytest.raises(UpstreamTimeout, match="no answer within 30 s"):
        client.open("GET", "x")
    assert asked == [("127.0.0.1", 10), ("127.0.0.2", 15), ("127.0.0.3", 30)]
    client.close()


def test_a_remote_that_is_slow_to_fail_is_not_tried_again(remote, waits):
    status = RemoteHealth(remote.url, lambda: 0.0, auto_block=False)
    options = ClientOptions(timeout=0.3, retries=5)
    client = UpstreamClient(remote.url, options, status, sleep=waits.append)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(UpstreamTimeout):
            client.open("GET", address)
    assert waits == []
    client.close()


@pytest.mark.parametrize("ask", ["open", "attempt"])
def test_a_trial_that_leads_to_a_host_that_fails_keeps_nobody_from_the_remote(remote, ask):
    clock = Clock(0.0)
    status = RemoteHealth(remote.url, clock)
    client = UpstreamClient(remote.url, ClientOptions(timeout=WAIT_S), status)
    for host in ("", "cdn:443"):
        error = UpstreamUnavailable("It does not answer.")
        error.host, error.is_unreachable = host, True
        status.note_failure(error)
        clock.jump(39)
    to_cdn = {"Location": "https://cdn:443/x"}
    remote.faults.append(Fault("/x", status=307, headers=to_cdn))
    client.targets = Targets(remote.url, allow_private=True)
    with closing(client), pytest.raises(UpstreamBlocked, match="cdn:443"):
        getattr(client, ask)("GET", "x")
    status.check()
