"""Remotes of Python packages that fail, lie, or lead elsewhere."""

import json
import threading

import pytest

from repoman.errors import Invalid, UpstreamError
from repoman.testing import HttpClient
from repoman_pypi import plugin
from tests.fakes.scripted import reply, scripted
from tests.functional.file_proxies.conftest import HTTP

JSON = "application/vnd.pypi.simple.v1+json"
NAME = "demo-1.0.tar.gz"
DATA = b"an archive" * 1000
PAGE = "/repository/mirror/simple/demo/"
FILE = f"/repository/mirror/packages/demo/1.0/{NAME}"
HTML = {"Content_Type": "text/html"}


def page_of(url: str, **keys):
    body = {"meta": {"api-version": "1.1"}, "files": [{"filename": NAME, "url": url, **keys}]}
    return reply(200, json.dumps(body).encode(), Content_Type=JSON)


class Remote:
    """Answers by path, as a test says; everything else is not there."""

    def __init__(self):
        self.answers = {}

    def __call__(self, asked):
        found = self.answers.get(asked.path, reply(404))
        return found(asked) if callable(found) else found


@pytest.fixture
def remote():
    return Remote()


@pytest.fixture
def make(repoman_factory, server):
    """Makes a proxy of a path of the remote, and returns a client of it."""

    def make(path="", **settings):
        repoman = repoman_factory({"pypi": plugin})
        http = {**HTTP, "username": "amy", "password": "a password"}
        proxy = {"remote_url": server.url + path}
        given = {"proxy": proxy, "http_client": http, "pypi": settings}
        repoman.repositories.create("mirror", "pypi-proxy", given)
        return HttpClient(repoman)

    return make


@pytest.fixture
def client(make):
    return make()


def links(client):
    answer = client.get(PAGE, headers={"Accept": JSON})
    assert answer.status_code == 200, answer.text
    return json.loads(answer.data)["files"]


def arrives(client) -> bool:
    """Whether a client gets the whole file: it sees an error, or the connection ends before."""
    try:
        answer = client.get(FILE)
    except UpstreamError:
        return False
    return answer.status_code == 200 and answer.data == DATA


@pytest.mark.parametrize(
    ("path", "settings", "asked"),
    [
        ("", {}, "/simple/demo/"),
        ("/", {}, "/simple/demo/"),
        ("/simple", {}, "/simple/demo/"),
        ("/simple/", {}, "/simple/demo/"),
        ("/root/dev", {"index_path": "+simple/"}, "/root/dev/+simple/demo/"),
        ("/index", {"index_path": ""}, "/index/demo/"),
    ],
)
def test_the_index_is_found(make, remote, path, settings, asked):
    client = make(path, **settings)
    remote.answers[asked] = page_of("/files/x")
    assert [each["filename"] for each in links(client)] == [NAME]


@pytest.mark.parametrize("path", ["a?b/", "/x", "x", "a//b/"])
def test_the_path_of_an_index_is_checked(make, path):
    with pytest.raises(Invalid, match="index_path"):
        make("", index_path=path)


@pytest.mark.parametrize("url", ["../../files/x", "/files/x", "{0}/files/x", "//{1}/files/x"])
@pytest.mark.parametrize("is_html", [True, False])
def test_links_may_be_relative_and_absolute(client, remote, server, url, is_html):
    url = url.format(server.url, server.url.removeprefix("http://"))
    html = reply(200, f'<a href="{url}">{NAME}</a>'.encode(), **HTML)
    remote.answers |= {"/simple/demo/": html if is_html else page_of(url)}
    remote.answers["/files/x"] = reply(200, DATA)
    assert client.get(FILE).data == DATA
    assert server.url not in client.get(PAGE).text


def test_another_host_gets_no_login(client, remote, server):
    with scripted(lambda _: reply(200, DATA)) as other:
        remote.answers["/simple/demo/"] = page_of(f"{other.url}/x")
        answer = client.get(FILE)
        assert answer.status_code in (
            200,
            403,
            502,
        )  # private hosts: a setting
        assert all(each.authorization is None for each in other.log)
    assert all(each.authorization for each in server.log)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/hostname",
        "ftp://127.0.0.1/x",
        "javascript:alert(1)",
        "data:,x",
        "http:///x",
        r"\\x\y",
        "http://a b/",
        "http://127.0.0.1:99999/x",
        "//[::1]x/",
    ],
)
def test_other_addresses_are_an_error_of_the_remote(client, remote, url):
    remote.answers["/simple/demo/"] = page_of(url)
    answer = client.get(FILE)
    assert answer.status_code in (404, 502), answer.text
    assert url not in client.get(PAGE).text


def test_redirects_of_pages_and_files_are_followed(client, remote):
    remote.answers["/simple/demo/"] = reply(302, Location="/new/demo/")
    remote.answers["/new/demo/"] = page_of("x")
    remote.answers["/new/demo/x"] = reply(301, Location="/files/x")
    remote.answers["/files/x"] = reply(200, DATA)
    assert client.get(FILE).data == DATA


@pytest.mark.parametrize(
    "digest", [{"sha256": "0" * 64}, {"md5": "0" * 32}, {"sha256": "not hex"}, {"sha256": ""}]
)
def test_bytes_with_another_digest_are_never_whole(client, remote, digest):
    remote.answers |= {"/simple/demo/": page_of("/x", hashes=digest), "/x": reply(200, DATA)}
    assert not arrives(client)


def test_many_readers_of_a_page_ask_once(client, remote, server):
    remote.answers["/simple/demo/"] = page_of("/x")
    threads = [threading.Thread(target=client.get, args=(PAGE,)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert len(server.asked("/simple/demo/")) == 1


def test_a_huge_page_is_served(client, remote):
    files = [
        {"filename": f"demo-{n}.tar.gz", "url": f"/f/{n}", "hashes": {"sha256": f"{n:064}"}}
        for n in range(5000)
    ]
    body = {"meta": {"api-version": "1.0"}, "files": files}
    remote.answers["/simple/demo/"] = reply(200, body, Content_Type=JSON)
    assert len(links(client)) == 5000


def test_what_a_remote_writes_is_shown_as_text(client, remote):
    nasty = '"><script>alert(1)</script>'
    hashes = {"sha256": f"ab{nasty}"}
    keys = {"requires-python": nasty, "yanked": nasty, "core-metadata": {"sha256": nasty}}
    remote.answers["/simple/demo/"] = page_of(nasty, hashes=hashes, **keys)
    text = client.get(PAGE).text
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "default-src 'none'" in client.get(PAGE).headers.get("Content-Security-Policy", "")


def test_files_of_other_projects_and_odd_names_are_left_out(client, remote):
    names = ["other-1.0.tar.gz", "../demo-1.0.tar.gz", "dёmo-1.0.tar.gz", "x\n-1.tar.gz", NAME]
    files = [{"filename": each, "url": "/x"} for each in names]
    body = {"meta": {"api-version": "1.0"}, "files": files}
    remote.answers["/simple/demo/"] = reply(200, body, Content_Type=JSON)
    assert [each["filename"] for each in links(client)] == [NAME]


@pytest.mark.parametrize("is_html", [True, False])
def test_an_address_that_leads_nowhere_takes_no_others_with_it(client, remote, is_html):
    bad = {"demo-1.1.tar.gz": "http://[bad/demo-1.1.tar.gz", "demo-1.2.tar.gz": "//[::1"}
    urls = {**bad, NAME: "/files/x"}
    html = "".join(f'<a href="{url}">{name}</a>\n' for name, url in urls.items())
    files = [{"filename": name, "url": url} for name, url in urls.items()]
    body = html if is_html else json.dumps({"meta": {"api-version": "1.1"}, "files": files})
    media_type = "text/html" if is_html else JSON
    remote.answers |= {
        "/simple/demo/": reply(200, body.encode(), Content_Type=media_type),
        "/files/x": reply(200, DATA),
    }
    assert [each["filename"] for each in links(client)] == [NAME]
    assert client.get(FILE).data == DATA
