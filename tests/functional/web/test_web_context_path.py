"""Below a context path everything on the main port works as at the root, also behind proxies."""

import re

import pytest
from werkzeug.test import Client

from repoman.config import ServerSettings
from repoman.http.router import create_application
from repoman.testing import ADMIN, HttpClient
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.functional.web.conftest import Browser

# How requests come in: whether through a proxy, and the path that it puts in front.
WAYS = {
    "directly": (False, ""),
    "through a proxy that passes the path on": (True, ""),
    "through a proxy with a prefix of its own": (True, "/tools"),
}


def proxy(app, prefix):
    """Return what a proxy with TLS makes of an application: it takes the prefix away."""

    def forward(environ, start_response):
        path = environ["PATH_INFO"]
        assert path.startswith(prefix)
        told = {
            "REMOTE_ADDR": "10.0.0.1",
            "HTTP_X_FORWARDED_PROTO": "https",
            "HTTP_X_FORWARDED_HOST": "x.example.com",
            "HTTP_X_FORWARDED_PREFIX": prefix,
        }
        return app({**environ, **told, "PATH_INFO": path[len(prefix) :]}, start_response)

    return forward


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def visit(request, moved):
    """A browser on one of the ways, and the prefix that it sees."""
    is_proxied, prefix = request.param
    browser = Browser(moved)
    if is_proxied:
        browser.client.application = proxy(browser.client.application, prefix)
    return browser, prefix


@pytest.fixture
def moved(repoman_factory):
    settings = {"context_path": "/nexus", "trusted_proxies": ["10.0.0.1"]}
    repoman = repoman_factory({"raw": raw, "web": web}, server=settings)
    repoman.repositories.create("files", "raw-hosted", {})
    return repoman


def local_addresses(text):
    return re.findall(r'(?:href|src|action)="(/[^"#]*)', text)


def test_links_cookies_and_redirects_lead_below_the_path(visit):
    browser, prefix = visit
    root = f"{prefix}/nexus/"
    answer = browser.get(f"{root}account")
    assert (answer.status_code, answer.location) == (303, f"{root}login?next={root}account")
    page = browser.get(f"{root}login")
    found = local_addresses(page.text)
    assert len(found) > 3
    assert all(each.startswith(root) for each in found)
    login = {"name": ADMIN[0], "password": ADMIN[1], "next": f"{root}account"}
    answer = browser.post(f"{root}login", **login)
    assert (answer.status_code, answer.location) == (303, f"{root}account")
    for cookie in answer.headers.getlist("Set-Cookie"):
        assert f"Path={prefix}/nexus" in cookie.split("; ")
    assert browser.get(f"{root}account").status_code == 200
    for address in found:
        if "/static/" in address:
            assert browser.get(address).status_code == 200


def test_repositories_and_rest_are_below_the_path_too(moved):
    client = HttpClient(moved)
    assert client.put("/nexus/repository/files/a", b"x").status_code == 201
    assert client.get("/nexus/repository/files/a").data == b"x"
    assert client.get("/nexus/healthz").text == "ok\n"
    [found] = client.get("/nexus/service/rest/v1/repositories").json
    assert found["url"] == "http://localhost/nexus/repository/files"
    assets = client.get("/nexus/service/rest/v1/assets?repository=files").json
    assert assets["items"][0]["downloadUrl"] == "http://localhost/nexus/repository/files/a"


@pytest.mark.parametrize(
    "path",
    ["/login", "/service/rest/v1/repositories", "/repository/files/a", "/nexusa", "/nexus2/"],
)
def test_outside_the_path_is_nothing(moved, path):
    answer = HttpClient(moved).get(path)
    assert answer.status_code == 404
    assert "This server begins at /nexus/." in answer.text


@pytest.mark.parametrize("path", ["/", "/nexus"])
def test_the_root_leads_to_the_path(visit, path):
    browser, prefix = visit
    answer = browser.get(f"{prefix}{path}")
    assert (answer.status_code, answer.location) == (302, f"{prefix}/nexus/")
    assert browser.open("POST", f"{prefix}{path}").status_code == 404


def test_connectors_stay_at_the_root(moved):
    client = HttpClient(moved, connector="files")
    assert client.put("/a", b"x").status_code == 201
    assert client.get("/a").data == b"x"
    assert client.get("/nexus/a").status_code == 404


def test_the_log_tells_what_was_asked(moved):
    lines = []
    client = Client(create_application(moved, lines.append))
    for path in ("/nexus/login", "/login", "/nexus/healthz"):
        client.get(path)
    assert [re.search(r'"GET (\S+)" (\d+)', line).groups() for line in lines] == [
        ("/nexus/login", "200"),
        ("/login", "404"),
    ]


@pytest.mark.parametrize(
    ("given", "path"), [("", ""), ("/", ""), ("nexus", "/nexus"), ("/a/b-c.d/", "/a/b-c.d")]
)
def test_a_path_is_written_as_one_likes(given, path):
    assert ServerSettings(context_path=given).context_path == path


@pytest.mark.parametrize("given", ["/a b", "/a//b", "/../b", "/a?b", "/ä", "http://x/nexus", "/."])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(ValueError, match="must be a path of letters"):
        ServerSettings(context_path=given)
