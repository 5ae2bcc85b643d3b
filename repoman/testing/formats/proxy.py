"""What proxies of every format do: fetch once, keep, check again, outlast a remote that fails."""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial

import pytest
from werkzeug.test import TestResponse

from repoman.proxy.cache import ProxyCache
from repoman.testing.formats.base import LONG_S, FormatTests
from repoman.testing.formats.remote import RemoteServer
from repoman.testing.formats.site import Site, wait_until

READERS = 8
LATE_S = 300.0  # A reader is held for so long at most: longer than all others are waited for.
REFUSALS = (401, 403)  # Many remotes say so of what they do not have.


class ProxyTests(FormatTests):
    """Tests of proxies."""

    @pytest.mark.parametrize("way", ["main", "connector"])
    def test_proxy_a_file_is_fetched_once(
        self, site: Site, mirror: str, remote_files: RemoteServer, way: str
    ) -> None:
        client = site.client(mirror, way)
        first, second, absent = self.samples()
        assert self.is_named(client, first)
        assert self.is_named(client, second)
        assert not self.is_named(client, absent)
        self.keep(client, first.path)
        before = len(remote_files.asked)
        assert self.is_named(client, first)
        assert len(remote_files.asked) == before, remote_files.asked[before:]
        part = client.get(first.path, headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.data) == (206, first.data[1:4])

    def test_proxy_a_file_of_a_lock_file_is_found_without_its_documents(
        self, site: Site, mirror: str
    ) -> None:
        first, second, _ = self.samples()
        assert site.client(mirror).get(second.path).data == second.data
        assert site.client(mirror).get(first.path).data == first.data

    def test_proxy_head_is_get_without_the_bytes(self, site: Site, mirror: str) -> None:
        client, sample = site.client(mirror), self.samples()[0]
        self.keep(client, sample.path)
        for path in (sample.path, *self.documents(sample)):
            got, head = client.get(path), client.head(path)
            assert (head.status_code, head.data) == (200, b"")
            assert head.headers.get("ETag") == got.headers.get("ETag")
        for path in self.tagged(sample):
            got = client.get(path)
            tagged = client.get(path, headers={"If-None-Match": got.headers["ETag"]})
            assert tagged.status_code == 304

    def test_proxy_many_readers_are_one_request(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        sample = self.samples()[0]
        for path in self.documents(sample):
            site.client(mirror).get(path)
        remote_files.gate.clear()
        remote_files.asked.clear()
        answers: list[bytes] = []

        def read() -> None:
            answers.append(site.client(mirror).get(sample.path).data)

        readers = [threading.Thread(target=read) for _ in range(READERS)]
        for each in readers:
            each.start()
        wait_until(lambda: remote_files.asked, "a request")
        remote_files.gate.set()
        for each in readers:
            each.join(30)
        assert answers == [sample.data] * READERS
        assert len(remote_files.asked) == len(set(remote_files.asked)), remote_files.asked

    def test_proxy_a_late_reader_asks_nothing_again(
        self,
        site: Site,
        mirror: str,
        remote_files: RemoteServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client, (first, _, absent) = site.client(mirror), self.samples()
        was_late = []
        for path in (*self.documents(first), first.path, absent.path):
            with _late(monkeypatch, partial(client.get, path)) as (reader, is_held):
                if path == absent.path:
                    assert 400 <= client.get(path).status_code < 500
                else:
                    self.keep(client, path)
                before = len(remote_files.asked)
            late, now = reader.result(), client.get(path)
            assert late.status_code == now.status_code, path
            assert late.data == now.data or path == absent.path
            assert remote_files.asked[before:] == [], path
            was_late.append(is_held)
        assert any(was_late)

    def test_proxy_what_is_old_is_checked_and_what_is_new_is_seen(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        client, (first, _, added) = site.client(mirror), self.samples()
        assert self.is_named(client, first)
        self.keep(client, first.path)
        site.clock.jump(LONG_S)
        assert self.is_named(client, first)
        remote_files.files = dict(self.remote(self.samples()))
        site.clock.jump(LONG_S)
        assert self.is_named(client, added)

    @pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
    def test_proxy_copies_bridge_a_remote_that_fails(
        self, site: Site, mirror: str, remote_files: RemoteServer, status: int
    ) -> None:
        client, (first, second, _) = site.client(mirror), self.samples()
        assert self.is_named(client, first)
        self.keep(client, first.path)
        site.clock.jump(LONG_S)
        remote_files.status = status
        assert self.is_named(client, first)
        for path in self.documents(first):
            _check_stale(client.get(path), path)
        answer = client.get(second.path)
        assert 400 <= answer.status_code < 600, answer.status
        assert answer.status_code not in (200, 500), answer.status
        assert answer.status_code != 404 or status in REFUSALS
        remote_files.status = 0
        assert client.get(second.path).data == second.data

    def test_proxy_copies_bridge_a_remote_that_is_silent(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        client, (first, second, _) = site.client(mirror), self.samples()
        assert self.is_named(client, first)
        self.keep(client, first.path)
        site.repoman.repositories.update(mirror, {"http_client": {"timeout": 1}})
        site.clock.jump(LONG_S)
        remote_files.gate.clear()
        with ThreadPoolExecutor() as pool:  # Each waits for a second at least.
            unknown = pool.submit(client.get, second.path)
            known = pool.submit(client.get, first.path)
            documents = {each: pool.submit(client.get, each) for each in self.documents(first)}
        assert known.result().data == first.data
        for path, text in self.documents(first).items():
            answer = documents[path].result()
            assert (answer.status_code, text in answer.text) == (200, True), path
            _check_stale(answer, path)
        assert unknown.result().status_code in (502, 503, 504), unknown.result().status
        remote_files.gate.set()
        assert client.get(second.path).data == second.data

    def test_proxy_outlasts_a_remote_that_lacks_everything_once(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        client, (first, second, _) = site.client(mirror), self.samples()
        assert self.is_named(client, first)
        self.keep(client, first.path)
        site.clock.jump(LONG_S)
        remote_files.status = 404
        assert client.get(first.path).data == first.data, "copies stay"
        assert client.get(second.path).status_code == 404
        remote_files.status = 0
        site.clock.jump(LONG_S)
        assert self.is_named(client, first)
        assert self.is_named(client, second)

    def test_proxy_what_is_not_there_is_not_asked_for_again(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        client = site.client(mirror)
        absent = self.make("absent", "1.0.0")
        paths = (absent.path, *self.documents(absent))
        for path in paths:
            client.get(path)
        asked = len(remote_files.asked)
        for path in paths:
            answer = client.get(path)
            assert answer.status_code == 404 or absent.data not in answer.data
        assert len(remote_files.asked) == asked, remote_files.asked
        remote_files.files |= self.remote([absent])
        site.clock.jump(LONG_S)
        assert client.get(absent.path).data == absent.data

    def test_proxy_a_document_that_cannot_be_read_is_not_kept(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        client, sample = site.client(mirror), self.samples()[0]
        documents = self.documents(sample)
        assert self.is_named(client, sample)
        good = remote_files.files
        site.clock.jump(LONG_S)
        remote_files.files = {
            path: type(each)(b"\xff{[<not what it says", each.media_type)
            for path, each in good.items()
        }
        for path, text in documents.items():
            answer = client.get(path)
            assert (answer.status_code, text in answer.text) == (200, True), answer.text
        remote_files.files = good
        site.clock.jump(LONG_S)
        assert all(text in client.get(path).text for path, text in documents.items())

    def test_proxy_a_routing_rule_keeps_names_from_the_remote(
        self, site: Site, remote_files: RemoteServer
    ) -> None:
        sample = self.samples()[0]
        remote_files.files = dict(self.remote([sample]))
        rules = {"matchers": [f"/?{re.escape(sample.rule_name)}"]}
        mirror = site.proxy(f"{self.name}-proxy", remote_files.url, routing=rules)
        answer = site.client(mirror).get(sample.path)
        assert 400 <= answer.status_code < 500
        for asked in remote_files.asked:
            assert sample.rule_name not in asked

    def test_proxy_a_blocked_remote_is_not_asked(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        client, (first, second, _) = site.client(mirror), self.samples()
        assert self.is_named(client, first)
        self.keep(client, first.path)
        site.repoman.repositories.update(mirror, {"http_client": {"blocked": True}})
        site.clock.jump(LONG_S)
        remote_files.asked.clear()
        assert client.get(first.path).data == first.data
        answer = client.get(second.path)
        assert 400 <= answer.status_code < 600, answer.status
        assert answer.status_code != 500
        assert remote_files.asked == []

    def test_proxy_nothing_can_be_written(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        client, (first, _, third) = site.client(mirror), self.samples()
        self.keep(client, first.path)
        for sample in (first, third):
            answer = self.upload(client, sample)
            assert 400 <= answer.status_code < 500, answer.status
        assert 400 <= client.delete(first.path).status_code < 500
        assert self.is_named(client, first)
        assert not self.is_named(client, third)

    def test_proxy_serves_in_read_only_mode(self, site: Site, mirror: str) -> None:
        client, (first, second, _) = site.client(mirror), self.samples()
        self.keep(client, first.path)
        site.repoman.database.freeze("suite")
        try:
            assert client.get(first.path).data == first.data
            assert client.get(second.path).data == second.data
            assert self.is_named(client, first)
        finally:
            site.repoman.database.release()

    def test_proxy_a_deleted_copy_is_fetched_again(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        client, sample = site.client(mirror), self.samples()[0]
        self.keep(client, sample.path)
        for each in site.components(mirror):
            found = site.http.delete(f"/service/rest/v1/components/{each['id']}")
            assert found.status_code == 204
        assert site.components(mirror) == []
        remote_files.asked.clear()
        assert client.get(sample.path).data == sample.data
        assert remote_files.asked

    def test_proxy_copies_outlast_a_restart(
        self, site: Site, remote_files: RemoteServer, tmp_path: object
    ) -> None:
        """As others' downloads, those of a copy of the process need threads of its own."""
        mirror = site.proxy(f"{self.name}-proxy", remote_files.url)
        sample = self.samples()[0]
        remote_files.files = dict(self.remote([sample]))
        self.keep(site.client(mirror), sample.path)
        for path in self.documents(sample):
            assert site.client(mirror).get(path).status_code == 200
        site.repoman.repositories.update(mirror, {"proxy": {"content_max_age": -1}})
        remote_files.status = 500
        assert self.is_named(site.client(mirror), sample)


def _check_stale(answer: TestResponse, path: str) -> None:
    """Check that an answer is told to be a copy that could not be checked."""
    assert answer.headers["X-Repoman-Cache"] == "STALE", path
    assert "Warning" in answer.headers


@contextmanager
def _late(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], TestResponse]
) -> Iterator[tuple["Future[TestResponse]", bool]]:
    """Begin to read, and hold the reader during the block, before it asks on behalf of others.

    Yields the reader, and whether it is held: it is done already if it has nothing to ask for.
    """
    once = ProxyCache.once
    arrived, may_ask = threading.Event(), threading.Event()
    readers: list[int] = []

    def hold(cache: ProxyCache, key: str, work: Callable[[], object]) -> object:
        if threading.get_ident() in readers:
            arrived.set()
            assert may_ask.wait(LATE_S)
        return once(cache, key, work)

    def work() -> TestResponse:
        readers.append(threading.get_ident())
        return read()

    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(ProxyCache, "once", hold)
        reader = pool.submit(work)
        try:
            wait_until(lambda: arrived.is_set() or reader.done(), "a reader")
            yield reader, arrived.is_set()
        finally:
            may_ask.set()
            wait([reader], LATE_S)
