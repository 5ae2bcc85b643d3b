"""Files of a remote that may change, over real sockets: a raw proxy, and what servers answer."""

import gzip
import hashlib
import sqlite3
import threading
from contextlib import closing

import pytest
import requests

from repoman.clocks import DAY_S
from repoman.content import ContentStore
from repoman.files.format import File
from repoman.files.service import RemoteQuery
from repoman.proxy.cache import ProxyCache
from repoman.proxy.cached_files import LASTING_S
from repoman.repositories.model import check_nothing
from repoman.testing import ADMIN, HttpClient
from repoman_raw import plugin
from tests.clock import WAIT_S, wait_until
from tests.fakes.scripted import BREAK, Reply, reply, scripted
from tests.live import live_server

PATH = "dir/a file.txt"
URL = f"/repository/mirror/{PATH}"
DATA = bytes(range(256)) * 40


class Origin:
    """A file server: what it has and how it tells that it has not changed; tests change it."""

    def __init__(self):
        self.data = DATA
        self.headers = {"ETag": '"one"', "Content_Type": "text/plain; charset=utf-8"}

    def __call__(self, asked):
        if asked.path != "/files/dir/a%20file.txt":
            return reply(404)
        known = {name.lower(): value for name, value in asked.headers.items()}
        pairs = (("if-none-match", "ETag"), ("if-modified-since", "Last_Modified"))
        for name, header in pairs:
            if name in known and known[name] == self.headers.get(header):
                return reply(304, **self.headers)
        return reply(200, self.data, **self.headers)


@pytest.fixture
def remote():
    return Origin()


@pytest.fixture
def repoman(repoman_factory, clock):
    return repoman_factory({"raw": plugin}, clock)


@pytest.fixture
def make(repoman, server):
    def make(name="mirror", **sections):
        http = {"timeout": int(WAIT_S), "retries": 0, "auto_block": False}
        sections["http_client"] = {**http, **sections.get("http_client", {})}
        sections["proxy"] = {"remote_url": f"{server.url}/files", **sections.get("proxy", {})}
        return repoman.repositories.create(name, "raw-proxy", sections)

    return make


@pytest.fixture
def client(repoman, make):
    make()
    return HttpClient(repoman)


@pytest.fixture
def get(client, repoman):
    """Return the answer, once what was downloaded for it is kept."""

    def get(url=URL, **options):
        answer = client.get(url, **options)
        running = repoman.proxies.downloads._running
        wait_until(lambda: not any(each.is_complete for each in list(running.values())), what="end")
        return answer

    return get


def source(answer):
    return answer.headers["X-Repoman-Cache"]


def validators(server):
    """The conditional headers of the last request."""
    headers = server.log[-1].headers
    return headers.get("If-None-Match"), headers.get("If-Modified-Since")


def test_a_file_is_fetched_once_and_then_served_from_the_cache(get, server):
    cold, warm = get(), get()
    assert (cold.status_code, cold.data, source(cold)) == (200, DATA, "MISS")
    assert (warm.status_code, warm.data, source(warm)) == (200, DATA, "HIT")
    assert warm.headers["Content-Type"].startswith("text/plain")
    assert len(server.log) == 1
    assert validators(server) == (None, None)


def test_a_cached_file_has_the_checksums_of_an_uploaded_one(get, client):
    get()
    found = client.get("/service/rest/v1/search/assets?repository=mirror")
    [asset] = found.json["items"]
    assert asset["checksum"] == {
        each: hashlib.new(each, DATA).hexdigest() for each in ("md5", "sha1", "sha256", "sha512")
    }
    digest = asset["checksum"]["md5"]
    assert client.get(f"/service/rest/v1/search?md5={digest}").json["items"] != []


def test_what_has_not_changed_is_not_sent_again(get, server, clock):
    get()
    clock.jump(2 * DAY_S)
    again = get()
    assert (again.data, source(again)) == (DATA, "REVALIDATED")
    assert validators(server) == ('"one"', None)
    assert source(get()) == "HIT"
    assert len(server.log) == 2


def test_a_file_that_will_have_to_be_checked_in_a_moment_may_not_be_repeated(get, repoman, clock):
    def may_be_repeated():
        return repoman.repositories.find("mirror").service.get(File(PATH)).is_cacheable

    get()
    assert may_be_repeated()
    clock.jump(DAY_S - LASTING_S + 1)
    assert source(get()) == "HIT"
    assert not may_be_repeated()
    clock.jump(LASTING_S)
    assert source(get()) == "REVALIDATED"
    assert may_be_repeated()


def test_a_date_is_a_validator_too(get, server, clock, remote):
    date = "Sat, 28 Nov 2026 10:00:00 GMT"
    remote.headers = {"Last_Modified": date}
    assert get().headers["Last-Modified"] == date
    clock.jump(2 * DAY_S)
    assert source(get()) == "REVALIDATED"
    assert validators(server) == (None, date)


def test_a_date_that_no_header_can_tell_is_left_out(get, remote):
    remote.headers = {"Last_Modified": "Fri, 31 Dec 9999 23:59:59 -1200"}  # 10000, in UTC
    for expected in ("MISS", "HIT"):
        answer = get()
        assert (answer.status_code, answer.data, source(answer)) == (200, DATA, expected)
        assert "Last-Modified" not in answer.headers


def test_what_has_changed_takes_the_place_of_the_copy(get, server, clock, remote):
    get()
    clock.jump(2 * DAY_S)
    remote.data, remote.headers = b"new", {"ETag": '"two"'}
    assert (get().data, get().data) == (b"new", b"new")
    clock.jump(2 * DAY_S)
    assert source(get()) == "REVALIDATED"
    assert validators(server) == ('"two"', None)


def test_validators_go_with_the_bytes_they_belong_to(get, server, clock, remote):
    get()
    clock.jump(2 * DAY_S)
    remote.data, remote.headers = b"new", {}
    get()
    clock.jump(2 * DAY_S)
    get()
    assert validators(server) == (None, None)


def test_many_readers_are_one_request(client, server, remote):
    gate = threading.Event()

    def wait(asked):
        assert gate.wait(WAIT_S)
        server.answer = remote
        return remote(asked)

    server.answer = wait
    answers = []
    readers = [
        threading.Thread(target=lambda: answers.append(client.get(URL).data)) for _ in range(8)
    ]
    for each in readers:
        each.start()
    wait_until(lambda: server.log, what="the request")
    gate.set()
    for each in readers:
        each.join(WAIT_S)
    assert answers == [DATA] * 8
    assert len(server.log) == 1


def test_a_download_that_has_just_begun_is_joined(repoman, client, server, monkeypatch):
    """Another reader begins it after this one looked for a download that runs."""
    gate, others = threading.Event(), [repoman.repositories.find("mirror").service]
    save = ContentStore.save_asset

    def save_later(content, new):
        assert gate.wait(WAIT_S)
        return save(content, new)

    def has_room(cache):
        if others:
            others.pop().get(File(PATH))
        return True

    monkeypatch.setattr(ContentStore, "save_asset", save_later)
    monkeypatch.setattr(ProxyCache, "has_room", has_room)
    try:
        assert client.get(URL).data == DATA
    finally:
        gate.set()
    assert len(server.log) == 1


def test_a_remote_that_fails_is_bridged_by_the_copy(get, clock, server):
    get()
    clock.jump(2 * DAY_S)
    for broken in (lambda _: reply(500), lambda _: BREAK, lambda _: reply(403)):
        server.answer = broken
        answer = get()
        assert (answer.status_code, answer.data, source(answer)) == (200, DATA, "STALE")
        assert answer.headers["Warning"].startswith("110")


@pytest.mark.parametrize(
    ("instead", "status"), [(lambda _: reply(500), 502), (lambda _: reply(401), 404)]
)
def test_without_a_copy_a_failure_is_told(get, instead, status, server):
    server.answer = instead
    assert get().status_code == status


def test_what_the_remote_does_not_have_is_remembered(get, server, clock):
    missing = "/repository/mirror/missing"
    assert [get(missing).status_code for _ in range(2)] == [404, 404]
    assert len(server.log) == 1
    clock.jump(DAY_S)
    get(missing)
    assert len(server.log) == 2


# --- Bodies whose end is to be found -------------------------------------------------------------


def test_chunks_have_an_end(get, server):
    server.answer = lambda _: Reply(200, DATA, is_chunked=True)
    assert (get().data, get().data) == (DATA, DATA)
    assert len(server.log) == 1


def test_a_connection_that_ends_is_the_end_where_no_length_was_told(get, server):
    server.answer = lambda _: Reply(200, DATA, is_old=True)
    assert (get().data, get().data) == (DATA, DATA)
    assert len(server.log) == 1


CUT = {
    "length": Reply(200, DATA[:-9], (("Content-Length", str(len(DATA))),), is_old=True),
    "chunks": Reply(
        200, b"64\r\n" + DATA[:100] + b"\r\n", (("Transfer-Encoding", "chunked"),), is_old=True
    ),
    "chunk": Reply(200, b"64\r\n" + DATA[:50], (("Transfer-Encoding", "chunked"),), is_old=True),
    "gzip": Reply(200, gzip.compress(DATA)[:-9], (("Content-Encoding", "gzip"),), is_old=True),
}


@pytest.mark.parametrize("cut", CUT.values(), ids=CUT)
def test_a_body_that_is_cut_off_is_never_kept(get, remote, client, cut, server):
    server.answer = lambda _: cut
    try:
        answer = get()
    except Exception:  # noqa: BLE001 - the connection of a client breaks in the middle
        answer = None
    assert answer is None or answer.status_code == 502
    server.answer = remote
    assert get().data == DATA


@pytest.mark.parametrize("status", [206, 304, 204])
def test_an_answer_that_was_not_asked_for_is_no_file(get, remote, status, server):
    server.answer = lambda _: reply(status, b"part" if status == 206 else b"")
    assert get().status_code == 502
    server.answer = remote
    assert get().data == DATA


def test_a_changed_file_that_is_cut_off_leaves_the_copy(get, clock, server):
    get()
    clock.jump(2 * DAY_S)
    server.answer = lambda _: CUT["chunks"]
    answer = get()
    assert (answer.data, source(answer)) == (DATA, "STALE")


def test_a_break_is_mended_where_the_etag_is_the_same(get, server):
    def answer(asked):
        start = int(asked.headers.get("Range", "bytes=0-")[6:-1])
        headers = (("ETag", '"one"'), ("Content-Length", str(len(DATA) - start)))
        if not start:
            return Reply(200, DATA[:5000], headers, is_old=True)
        part = ("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        return Reply(206, DATA[start:], (*headers, part))

    server.answer = answer
    assert get().data == DATA
    assert [each.headers.get("Range") for each in server.log] == [None, "bytes=5000-"]


def test_a_body_that_is_compressed_unasked_is_unpacked(get, server):
    packed = gzip.compress(DATA)
    server.answer = lambda _: reply(200, packed, Content_Encoding="gzip", Content_Type="a/b")
    cold, warm = get(), get()
    assert (cold.data, warm.data) == (DATA, DATA)
    assert warm.headers["Content-Type"] == "a/b"
    assert "Content-Encoding" not in warm.headers


@pytest.mark.parametrize("name", ["demo.tgz", "demo.tar.gz", "demo.svgz"])
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_an_archive_stays_compressed_whatever_its_server_says(get, server, name, encoding):
    packed = gzip.compress(DATA)
    server.answer = lambda _: reply(200, packed, Content_Encoding=encoding, ETag='"one"')
    for _ in range(2):
        answer = get(f"/repository/mirror/dir/{name}")
        assert (answer.data, "Content-Encoding" in answer.headers) == (packed, False)


def test_a_kill_in_the_middle_leaves_nothing_half(tmp_path, server, remote):
    headers = (("Content-Length", str(len(DATA))),)
    server.answer = lambda _: Reply(200, DATA[:5000], headers)  # and then nothing
    with live_server(tmp_path / "live") as live:
        setting = f"proxy.remote_url={server.url}/files"
        live.cli("repo", "create", "raw-proxy", "mirror", "--set", setting)
        url = f"{live.main_url}{URL}"
        with requests.get(url, auth=live.admin, stream=True, timeout=WAIT_S) as answer:
            assert answer.raw.read(4000) == DATA[:4000]
            live.kill()
        server.answer = remote
        live.start()
        with closing(sqlite3.connect(live.data / "repoman.db")) as database:
            assert database.execute("SELECT count(*) FROM asset").fetchone() == (0,)
        assert list((live.data / "blobs/default/uploads").iterdir()) == []
        found = [requests.get(url, auth=live.admin, timeout=WAIT_S) for _ in range(2)]
        assert [each.content for each in found] == [DATA, DATA]


# --- The rules of a proxy ------------------------------------------------------------------------


def test_a_login_is_sent_to_the_remote(repoman, make, server):
    make("private", http_client={"username": "me", "password": "secret-word"})
    HttpClient(repoman).get(f"/repository/private/{PATH}")
    assert server.log[-1].authorization == "Basic bWU6c2VjcmV0LXdvcmQ="


def test_a_routing_rule_forbids_paths(repoman, make, server):
    make("ruled", routing={"matchers": ["dir/.*"]})
    answer = HttpClient(repoman).get(f"/repository/ruled/{PATH}")
    assert answer.status_code == 404
    assert "routing rule" in answer.text
    assert server.log == []


def test_nothing_can_be_written(client):
    assert client.put(URL, b"x").status_code == 405
    assert client.delete(URL).status_code == 405


def test_a_file_that_cannot_be_kept_is_served_all_the_same(get, monkeypatch):
    monkeypatch.setattr(ProxyCache, "has_room", lambda _: False)
    assert [source(get()) for _ in range(2)] == ["MISS", "MISS"]
    assert get(headers={"Range": "bytes=10-19"}).data == DATA[10:20]


def test_the_cache_can_be_refreshed(repoman, get):
    get()
    remote = repoman.repositories.get("mirror").capabilities.remote
    remote.refresh(PATH)
    assert source(get()) == "REVALIDATED"
    remote.invalidate()
    assert source(get()) == "REVALIDATED"
    assert remote.check().condition == "Remote Available"


def test_caches_are_held_to_their_limits(repoman, make, get):
    get()
    assert repoman.proxies.trim_caches() == {}
    repoman.repositories.update("mirror", {"proxy": {"cache_limit": 100}})
    [(name, trimmed)] = repoman.proxies.trim_caches().items()
    assert (name, trimmed.files, trimmed.size) == ("mirror", 1, len(DATA))
    assert repoman.repositories.get("mirror").capabilities.remote.check()
    assert source(get()) == "MISS"


def test_a_deleted_file_is_fetched_again(repoman, get):
    get()
    repoman.repositories.get("mirror").capabilities.delete_asset(PATH, check_nothing)
    assert source(get()) == "MISS"


# --- Groups --------------------------------------------------------------------------------------


def test_a_group_reads_from_its_members_and_writes_to_one(repoman, client, get):
    repoman.repositories.create("own", "raw-hosted", {})
    repoman.repositories.create(
        "all", "raw-group", {"group": {"members": ["own", "mirror"], "writable_member": "own"}}
    )
    found = get(f"/repository/all/{PATH}")
    assert (found.data, found.headers["X-Repoman-Member"]) == (DATA, "mirror")
    assert client.put(f"/repository/all/{PATH}", b"own").status_code == 201
    found = get(f"/repository/all/{PATH}")
    assert (found.data, found.headers["X-Repoman-Member"]) == (b"own", "own")
    asked = f"/api/v1/repositories/all/trace?path=/{PATH}"
    outcomes = [each["outcome"] for each in client.get(asked, login=ADMIN).json["members"]]
    assert outcomes == ["found", "not asked"]
    assert client.delete(f"/repository/all/{PATH}").status_code == 204
    assert get(f"/repository/all/{PATH}").data == DATA
    assert client.get("/repository/all/missing").status_code == 404


def test_a_directory_is_not_found_in_a_repository_of_any_type(repoman, client):
    repoman.repositories.create("own", "raw-hosted", {})
    repoman.repositories.create(
        "all", "raw-group", {"group": {"members": ["own", "mirror"], "writable_member": "own"}}
    )
    for name in ("own", "mirror", "all"):
        found = client.get(f"/repository/{name}/dir/")
        assert (found.status_code, "Directories are not listed" in found.text) == (404, True)
    assert client.delete("/repository/all/dir/").status_code == 404


def test_in_read_only_mode_files_are_served_and_not_stored(get, make, repoman, clock):
    get()
    make("cold")
    repoman.database.freeze("ann")
    assert source(get()) == "HIT"
    clock.jump(2 * DAY_S)
    assert get().data == DATA
    url = URL.replace("mirror", "cold")
    for _ in range(2):
        answer = get(url)
        assert (answer.status_code, answer.data, source(answer)) == (200, DATA, "MISS")
    repoman.database.release()
    wait_until(lambda: source(get(url)) == "HIT", what="the file is stored")


def test_only_the_remote_is_told_the_login_of_a_query(make, server):
    login = {"authentication": "username", "username": "amy", "password": "secret"}
    service = make(http_client=login).service
    server.answer = lambda _: reply(200, b"its own")
    assert service.ask_remote(RemoteQuery("search?q=x")) == b"its own"
    assert server.log[-1].path == "/files/search"
    assert server.log[-1].authorization is not None
    with scripted(lambda _: reply(200, b"another")) as other:
        assert service.ask_remote(RemoteQuery(f"{other.url}/search")) == b"another"
        assert [each.authorization for each in other.log] == [None]
