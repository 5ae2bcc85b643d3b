import ipaddress

import pytest
from werkzeug.test import EnvironBuilder

from repoman.doctor.sightings import ProxySightings
from repoman.http.hosts import Forwarded

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1")]


def seen(peer: str, headers: dict[str, str], proxies=PROXIES) -> dict:
    """Return the environment that the application behind the middleware gets."""
    result = {}

    def app(environ, _start_response):
        result.update(environ)
        return []

    environ = EnvironBuilder(path="/v2/", headers=headers).get_environ()
    environ["REMOTE_ADDR"] = peer
    Forwarded(app, proxies, ProxySightings())(environ, lambda *_: None)
    return result


ALL = {
    "X-Forwarded-For": "198.51.100.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "registry.example.com",
    "X-Forwarded-Prefix": "/tools",
}


def test_a_known_proxy_is_believed():
    environ = seen("10.1.2.3", ALL)
    assert environ["REMOTE_ADDR"] == "198.51.100.1"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "registry.example.com"
    assert environ["SCRIPT_NAME"] == "/tools"


def test_a_known_proxy_is_known_on_a_socket_for_both_kinds_of_addresses():
    assert seen("::ffff:10.1.2.3", ALL)["REMOTE_ADDR"] == "198.51.100.1"


def test_anybody_else_is_not_and_the_headers_go():
    environ = seen("198.51.100.9", ALL)
    assert environ["REMOTE_ADDR"] == "198.51.100.9"
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["SCRIPT_NAME"] == ""
    assert not [key for key in environ if key.startswith("HTTP_X_FORWARDED")]


def test_without_known_proxies_nobody_is_believed():
    assert seen("127.0.0.1", ALL, proxies=[])["REMOTE_ADDR"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("hops", "client"),
    [
        ("198.51.100.1, 10.0.0.2", "198.51.100.1"),  # two proxies of ours in a row
        ("6.6.6.6, 198.51.100.1", "198.51.100.1"),  # the client invented the first
        ("10.9.9.9", "10.9.9.9"),  # a client inside the proxies' network
        ("", "10.1.2.3"),
        ("<script>", "10.1.2.3"),
        ("198.51.100.1, nonsense", "10.1.2.3"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("198.51.100.1, ::ffff:10.0.0.2", "198.51.100.1"),
        ("fe80::1%eth0 GET", "10.1.2.3"),  # a zone may hold anything
        ("2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxy(hops, client):
    assert seen("10.1.2.3", {"X-Forwarded-For": hops})["REMOTE_ADDR"] == client


def test_a_port_in_the_host_is_not_doubled():
    headers = {"X-Forwarded-Host": "r.example.com:5000", "X-Forwarded-Port": "5000"}
    assert seen("::1", headers)["HTTP_HOST"] == "r.example.com:5000"
