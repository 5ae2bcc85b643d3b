"""Files over HTTP: put, get, head, delete."""

import hashlib
import sqlite3
from contextlib import closing
from email.utils import parsedate_to_datetime

import pytest

from repoman.plugin import Coordinate
from repoman.testing import HttpClient
from repoman_raw import plugin

URL = "/repository/files"
DATA = b"0123456789" * 100_000


def test_what_is_put_is_got(client):
    stored = client.put(f"{URL}/folder/hello.bin", DATA, content_type="application/x-hello")
    assert (stored.status_code, stored.data) == (201, b"")
    got = client.get(f"{URL}/folder/hello.bin")
    assert (got.status_code, got.data) == (200, DATA)
    assert got.headers["Content-Type"] == "application/x-hello"
    assert got.headers["Content-Length"] == str(len(DATA))
    assert got.headers["ETag"] == f'"{hashlib.sha256(DATA).hexdigest()}"'
    assert parsedate_to_datetime(got.headers["Last-Modified"])


def test_checksums_are_kept_by_other_algorithms(repoman, client):
    client.put(f"{URL}/hello.bin", DATA)
    with closing(sqlite3.connect(repoman.data / "repoman.db")) as database:
        kept = dict(database.execute("select algorithm, value from blob_checksum"))
    assert kept == {each: hashlib.new(each, DATA).hexdigest() for each in ("md5", "sha1", "sha512")}


def test_head_tells_what_get_sends_without_the_bytes(client):
    client.put(f"{URL}/a.txt", b"hello")
    got, head = client.get(f"{URL}/a.txt"), client.head(f"{URL}/a.txt")
    assert (head.status_code, head.data) == (200, b"")
    assert dict(head.headers) == dict(got.headers)


def test_a_second_put_replaces_the_file(client):
    assert client.put(f"{URL}/a.txt", b"one").status_code == 201
    assert client.put(f"{URL}/a.txt", b"two").status_code == 204
    assert client.get(f"{URL}/a.txt").data == b"two"


def test_an_empty_file_is_a_file(client):
    assert client.put(f"{URL}/empty", b"").status_code == 201
    got = client.get(f"{URL}/empty")
    assert (got.status_code, got.data, got.headers["Content-Length"]) == (200, b"", "0")


def test_delete_removes_the_file_and_only_that(client):
    client.put(f"{URL}/a/b", b"gone")
    client.put(f"{URL}/a/c", b"kept")
    assert client.delete(f"{URL}/a/b").status_code == 204
    assert client.get(f"{URL}/a/b").status_code == 404
    assert client.get(f"{URL}/a/c").data == b"kept"
    assert client.delete(f"{URL}/a/b").status_code == 404


def test_files_survive_a_restart(repoman_factory, repoman, client):

    client.put(f"{URL}/a.txt", b"hello")
    again = HttpClient(repoman_factory({"raw": plugin}))
    assert again.get(f"{URL}/a.txt").data == b"hello"


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("page.html", "text/html"),
        ("data.json", "application/json"),
        ("app.tar.gz", "application/octet-stream"),
        ("README", "application/octet-stream"),
    ],
)
def test_the_media_type_is_guessed_where_the_client_gives_none(client, path, media_type):
    client.put(f"{URL}/{path}", b"hello")
    assert client.get(f"{URL}/{path}").headers["Content-Type"] == media_type


def test_the_media_type_keeps_its_parameters(client):
    client.put(f"{URL}/a", b"hello", content_type="text/plain; charset=latin-1")
    assert client.get(f"{URL}/a").headers["Content-Type"] == "text/plain; charset=latin-1"


def test_a_page_cannot_act_for_the_user_who_looks_at_it(client):
    client.put(f"{URL}/page.html", b"<script>alert(1)</script>")
    headers = client.get(f"{URL}/page.html").headers
    assert "sandbox" in headers["Content-Security-Policy"].split("; ")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_page_may_run_scripts_at_a_connector_if_the_administrator_wants_it(repoman, client):
    client.put(f"{URL}/page.html", b"<script>alert(1)</script>")
    connector = HttpClient(repoman, connector="files")
    assert "sandbox" in connector.get("/page.html").headers["Content-Security-Policy"]
    repoman.repositories.update("files", {"raw": {"scripts": True}})
    assert "sandbox" not in connector.get("/page.html").headers["Content-Security-Policy"]
    assert "sandbox" in client.get(f"{URL}/page.html").headers["Content-Security-Policy"]


def test_a_part_is_sent_where_a_part_is_asked_for(client):
    client.put(f"{URL}/a", DATA)
    part = client.get(f"{URL}/a", headers={"Range": "bytes=999990-"})
    assert (part.status_code, part.data) == (206, b"0123456789")
    assert part.headers["Content-Range"] == "bytes 999990-999999/1000000"


def test_a_file_that_the_client_has_is_not_sent_again(client):
    client.put(f"{URL}/a", b"hello")
    etag = client.get(f"{URL}/a").headers["ETag"]
    assert client.get(f"{URL}/a", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("path", ["", "/", "/folder", "/folder/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_directories_are_not_there(client, method, path):
    client.put(f"{URL}/folder/hello.txt", b"hello")
    assert client.request(method, URL + path).status_code == 404
    assert client.get(f"{URL}/folder/hello.txt").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["", "/", "/a//b", "/a/", "/a/%2e%2e/b", "/./a", "/a%0Ab", "/%FF", "/" + "x" * 1025],
)
def test_a_path_that_will_not_do_stores_nothing(client, repoman, stored_paths, path):
    refused = client.put(f"{URL}{path}", b"hello")
    assert refused.status_code == 400
    assert refused.text.startswith("The path ")
    assert stored_paths() == []
    assert list((repoman.data / "blobs/default/uploads").iterdir()) == []


@pytest.mark.parametrize("path", ["/a//b", "/a/%2e%2e/b", "/a%0Ab", "/%FF"])
def test_nothing_is_got_from_a_path_that_will_not_do(client, path):
    assert client.get(f"{URL}{path}").status_code == 400


def test_paths_are_unicode(client, stored_paths):
    client.put(f"{URL}/ä/日本%20🐟", b"fish")
    assert stored_paths() == ["ä/日本 🐟"]
    assert client.get(f"{URL}/%C3%A4/日本%20🐟").data == b"fish"


def test_slashes_at_the_beginning_are_one(client, stored_paths):
    client.put(f"{URL}//a", b"hello")
    assert stored_paths() == ["a"]


def test_a_part_of_a_file_is_not_stored_as_a_file(client):
    refused = client.put(f"{URL}/a", b"lo", headers={"Content-Range": "bytes 3-4/5"})
    assert refused.status_code == 400
    assert client.get(f"{URL}/a").status_code == 404


def test_other_methods_are_refused_with_the_ones_there_are(client):
    refused = client.request("POST", f"{URL}/a", data=b"hello")
    assert refused.status_code == 405
    assert {"GET", "HEAD", "PUT", "DELETE"} <= set(refused.allow)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_login_is_needed(client, method):
    refused = client.request(method, f"{URL}/a", login=False)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic")


def test_equal_files_share_their_bytes(client, repoman):
    client.put(f"{URL}/a", DATA)
    client.put(f"{URL}/b", DATA)
    blobs = list((repoman.data / "blobs/default/sha256").glob("*/*"))
    assert [blob.name for blob in blobs] == [hashlib.sha256(DATA).hexdigest()]


def test_a_file_that_has_lost_its_bytes_is_absent_until_it_is_put_again(client, repoman):
    client.put(f"{URL}/lost", DATA)
    digest = hashlib.sha256(DATA).hexdigest()
    (repoman.data / "blobs/default/sha256" / digest[:2] / digest).unlink()
    for method in ("HEAD", "GET"):
        assert client.request(method, f"{URL}/lost").status_code == 404
    assert client.put(f"{URL}/lost", DATA).status_code == 201
    assert client.get(f"{URL}/lost").data == DATA


def test_files_are_deleted_by_the_core_as_by_clients(repoman, client):
    client.put(f"{URL}/folder/a.txt", b"a")
    client.put(f"{URL}/b.txt", b"b")
    capabilities = repoman.repositories.get("files").capabilities
    capabilities.delete_component(Coordinate("file", "folder/a.txt", namespace="folder"))
    capabilities.delete_asset("b.txt", lambda _path: None)
    assert client.get(f"{URL}/folder/a.txt").status_code == 404
    assert client.get(f"{URL}/b.txt").status_code == 404
