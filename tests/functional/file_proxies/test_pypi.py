"""Proxies and groups of Python packages: pages, files, and remotes that fail or lie."""

import hashlib
import json

import pytest

from repoman.clocks import DAY_S
from repoman.files.format import NewFile
from repoman_pypi import plugin
from repoman_pypi.paths import file_of
from tests.clock import wait_until
from tests.fakes.scripted import reply

JSON = "application/vnd.pypi.simple.v1+json"
DATA = b"a wheel" * 1000
NAME = "demo-1.0-py3-none-any.whl"
URL = "/repository/mirror"
FILE = f"{URL}/packages/demo/1.0/{NAME}"


class Index:
    """A remote index in JSON or HTML with files beside it; tests change what it says."""

    def __init__(self):
        self.files = {NAME: DATA}
        self.lies = {}
        self.is_html = False
        self.tag = '"one"'

    def __call__(self, asked):
        if asked.path == "/simple/demo/":
            if asked.headers.get("If-None-Match") == self.tag:
                return reply(304, ETag=self.tag)
            return self.page()
        name = asked.path.rpartition("/")[2]
        if asked.path.startswith("/files/") and name in self.files:
            return reply(200, self.files[name])
        return reply(404)

    def page(self):
        digests = {
            name: self.lies.get(name) or hashlib.sha256(data).hexdigest()
            for name, data in self.files.items()
        }
        if self.is_html:
            links = [f'<a href="/files/{n}#sha256={d}">{n}</a>' for n, d in digests.items()]
            return reply(200, "\n".join(links).encode(), ETag=self.tag, Content_Type="text/html")
        files = [
            {"filename": n, "url": f"../../files/{n}", "hashes": {"sha256": d}, "yanked": "why"}
            for n, d in digests.items()
        ]
        body = {"meta": {"api-version": "1.0"}, "name": "demo", "files": files}
        return reply(200, json.dumps(body).encode(), ETag=self.tag, Content_Type=JSON)


@pytest.fixture
def plugins():
    return {"pypi": plugin}


@pytest.fixture
def remote():
    return Index()


@pytest.fixture
def page(client):
    def read(repository="mirror", name="demo", status=200):
        path = f"/repository/{repository}/simple/{name}/"
        answer = client.get(path, headers={"Accept": JSON})
        assert answer.status_code == status, answer.text
        return answer

    return read


def names(answer):
    return [each["filename"] for each in json.loads(answer.data)["files"]]


@pytest.mark.parametrize("is_html", [False, True])
def test_a_page_is_asked_for_once_and_its_links_lead_here(page, client, remote, server, is_html):
    remote.is_html = is_html
    first, again = page(), page()
    assert first.headers["X-Repoman-Cache"] == "MISS"
    assert again.headers["X-Repoman-Cache"] == "HIT"
    assert first.data == again.data
    assert server.paths() == ["/simple/demo/"]
    [file] = json.loads(first.data)["files"]
    assert file["url"] == f"../../packages/demo/1.0/{NAME}"
    html = client.get(f"{URL}/simple/demo/")
    assert html.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"packages/demo/1.0/{NAME}#sha256=" in html.text
    assert len(server.paths()) == 1


def test_a_file_is_fetched_by_its_page_and_kept(client, server):
    assert client.get(FILE).data == DATA  # as a lock file has it: nobody has asked for the page
    assert client.get(FILE).data == DATA
    assert server.paths() == ["/simple/demo/", f"/files/{NAME}"]


def test_a_file_never_changes_so_the_remote_is_not_asked_again(client, server, clock):
    client.get(FILE)
    wait_until(lambda: client.head(FILE).headers["X-Repoman-Cache"] == "HIT", what="the copy")
    clock.jump(30 * DAY_S)
    found = client.get(FILE)
    assert (found.data, found.headers["X-Repoman-Cache"]) == (DATA, "HIT")
    assert len(server.paths("/files/")) == 1


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_page_that_a_client_has_is_not_sent_again(client, remote, encoding):
    remote.files = {f"demo-1.{number}.tar.gz": DATA for number in range(20)}
    headers = {"Accept": JSON, "Accept-Encoding": encoding}
    first = client.get(f"{URL}/simple/demo/", headers=headers)
    tag = first.headers["ETag"]
    assert ("Content-Encoding" in first.headers) == tag.endswith('-gzip"') == (encoding == "gzip")
    again = client.get(f"{URL}/simple/demo/", headers={**headers, "If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["Vary"] == first.headers["Vary"]


def test_a_page_is_asked_for_again_once_its_project_is_invalidated(page, client):
    page()
    for name, source in (("Demo", "REVALIDATED"), ("other", "HIT")):
        invalidate = f"/service/rest/v1/repositories/mirror/invalidate-cache?name={name}"
        assert client.request("POST", invalidate).status_code == 204
        assert page().headers["X-Repoman-Cache"] == source


def test_a_page_over_age_is_checked_with_its_validators(page, remote, clock):
    page()
    clock.jump(2 * DAY_S)
    assert page().headers["X-Repoman-Cache"] == "REVALIDATED"
    remote.files["demo-1.1.tar.gz"], remote.tag = b"more", '"two"'
    clock.jump(2 * DAY_S)
    found = page()
    assert found.headers["X-Repoman-Cache"] == "MISS"
    assert names(found) == [NAME, "demo-1.1.tar.gz"]


def test_a_file_that_the_kept_page_lacks_is_looked_for_once_more(page, client, remote, clock):
    page()
    remote.files["demo-1.1.tar.gz"], remote.tag = b"more", '"two"'
    clock.jump(120)
    assert client.get(f"{URL}/packages/demo/1.1/demo-1.1.tar.gz").data == b"more"


def test_what_is_not_there_is_asked_for_once(client, server):
    for _ in range(3):
        assert client.get(f"{URL}/packages/demo/9/demo-9.tar.gz").status_code == 404
    assert len(server.paths()) <= 2
    for _ in range(3):
        assert client.get(f"{URL}/simple/none/").status_code == 404
    assert len(server.paths("/simple/none/")) == 1


def test_old_pages_and_files_bridge_a_remote_that_fails(page, client, clock, server):
    page()
    client.get(FILE)
    clock.jump(2 * DAY_S)
    server.answer = lambda _: reply(500)
    found = page()
    assert (found.headers["X-Repoman-Cache"], names(found)) == ("STALE", [NAME])
    assert "110" in found.headers["Warning"]
    assert client.get(FILE).data == DATA
    assert client.get(f"{URL}/simple/other/").status_code == 502


def test_a_page_that_cannot_be_read_replaces_no_good_one(page, remote, clock, server):
    page()
    clock.jump(2 * DAY_S)
    server.answer = lambda _: reply(200, b"{", Content_Type=JSON)
    assert names(page()) == [NAME]
    server.answer = remote
    assert page().headers["X-Repoman-Cache"] == "REVALIDATED"


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 50_000, b'{"meta": {"api-version": "2.0"}}'])
def test_a_page_that_cannot_be_read_is_an_error_of_the_remote(page, body, server):
    server.answer = lambda _: reply(200, body, Content_Type=JSON)
    assert "cannot be read" in page(status=502).text


def test_what_is_wrong_with_a_page_is_said_in_one_sentence(page, server):
    files = b'{"meta": {"api-version": "1.1"}, "files": [{"filename": "demo-1.0.tar.gz"}]}'
    for body, problem in ((files, "files.0.url: "), (b"{", "Invalid JSON")):
        server.answer = lambda _, body=body: reply(200, body, Content_Type=JSON)
        told = page(status=502).text
        assert f"cannot be read: {problem}" in told
        assert "pydantic" not in told
        assert "\n" not in told.strip()


# Groups -------------------------------------------------------------------------------------------


def test_a_group_has_what_its_members_have(page, client):
    assert names(page("all")) == [NAME]
    assert client.get(f"/repository/all/packages/demo/1.0/{NAME}").data == DATA


def test_a_name_of_our_own_is_never_looked_for_elsewhere(page, client, repoman, server):
    store(repoman, "own", "demo-0.1.tar.gz", b"ours")
    assert names(page("all")) == ["demo-0.1.tar.gz"]
    assert client.get(f"/repository/all/packages/demo/1.0/{NAME}").status_code == 404
    assert server.paths() == []


def test_a_group_says_what_it_could_not_ask_for(page, repoman, server):
    server.answer = lambda _: reply(500)
    store(repoman, "own", "other-0.1.tar.gz", b"ours")
    assert names(page("all", "other")) == ["other-0.1.tar.gz"]
    assert page("all", "demo", status=502)


def test_a_project_that_is_pinned_to_a_member_that_is_offline_is_not_there(page, repoman):
    repoman.repositories.update("all", {"group": {"pins": {"demo": ["mirror"]}}})
    assert names(page("all")) == [NAME]
    repoman.repositories.update("mirror", {}, is_online=False)
    assert "No member" in page("all", status=404).text


def store(repoman, repository, filename, data):
    """Store a source distribution past the routes."""
    service = repoman.repositories.get(repository).service
    file = file_of(filename)
    with service.open_upload(file) as upload:
        upload.write(data)
        service.save((NewFile(file, "application/x-tar"), upload), check=lambda *_: None)
