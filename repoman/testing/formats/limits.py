"""What every format keeps to: the memory that a big file takes, and a disk that is full."""

import hashlib
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from io import RawIOBase
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from repoman.files import archives
from repoman.http.body import WSGI, Environ
from repoman.testing.factory import ADMIN
from repoman.testing.formats.base import FormatTests
from repoman.testing.formats.disk import full_disk, nearly_full_disks
from repoman.testing.formats.remote import remote_server
from repoman.testing.formats.site import RepositoryClient, Site, wait_until
from repoman.testing.processes import run_in_process

BIG_BYTES = 64 << 20
MEMORY_BYTES = 8 << 20  # What a request with a file of this size may take.
UNPACKED_BYTES = 32 << 20  # What a request may take whose archive unpacks to much more.


class LimitTests(FormatTests):
    """Tests of limits."""

    def test_limits_a_big_file_takes_little_memory(self, tmp_path: Path) -> None:
        assert run_in_process(self.move_a_big_file, tmp_path) == ""

    def move_a_big_file(self, directory: Path) -> None:
        """Store a big file and read it, from a hosted repository and through a proxy."""
        site, sample = self.start(directory), self.make_big(BIG_BYTES)
        assert len(sample.data) >= BIG_BYTES
        digest = hashlib.sha256(sample.data).hexdigest()
        client = site.client(site.create(f"{self.name}-hosted"))
        self.store(client, self.samples()[0])  # What is loaded at the first use is there.
        meter = Meter(client)
        answer = self.upload(client, sample)
        assert answer.status_code < 300, answer.status
        assert client.get(sample.path).status_code == 200
        assert meter.sent == digest
        with remote_server() as remote:
            remote.files = dict(self.remote([sample]))
            mirror = site.client(site.proxy(f"{self.name}-proxy", remote.url))
            meter.watch(mirror)
            assert mirror.get(sample.path).status_code == 200
            assert meter.sent == digest
        assert meter.peak < MEMORY_BYTES, f"{meter.peak} bytes were in use at once"

    def test_limits_a_disk_that_is_full_at_any_step_leaves_nothing_half(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        kept, sample, _ = self.samples(hosted)  # Nobody else has these bytes.
        self.store(client, kept)
        with full_disk(site.repoman.data / "blobs") as disk:
            for step in count():
                disk.fill_at(step)
                answer = self.upload(client, sample)
                if not disk.is_full:
                    break
                assert 400 <= answer.status_code < 600, (step, answer.status)
                assert answer.status_code != 500, step
                assert answer.data, "the client is told why"
                disk.clear()
                assert not self.is_named(client, sample), step
                assert self.is_named(client, kept), step
                assert site.unfinished() == [], step
        assert step >= len(("open", "write", "fsync", "rename"))
        assert answer.status_code < 300, answer.text
        assert self.is_named(client, sample)

    def test_limits_a_disk_that_is_nearly_full_takes_deletions(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        by_client, by_asset, by_component = self.samples()
        self.store(client, by_client, by_asset)
        with nearly_full_disks(site.repoman):
            assert self.upload(client, by_component).status_code == 507
        self.store(client, by_component)
        with nearly_full_disks(site.repoman):
            assert client.delete(by_client.path).status_code in (*range(200, 300), 404, 405)
            assets = site.assets(hosted)
            [id_] = [each["id"] for each in assets if each["path"].strip("/") == by_asset.path]
            assert site.http.delete(f"/service/rest/v1/assets/{id_}").status_code == 204
            for component in site.components(hosted):
                answer = site.http.delete(f"/service/rest/v1/components/{component['id']}")
                assert answer.status_code == 204, answer.text
            assert not any(self.is_named(client, each) for each in self.samples())
            assert site.components(hosted) == []

    def test_limits_an_archive_that_unpacks_to_very_much_is_refused(
        self, site: Site, hosted: str, client: RepositoryClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archives, "INFLATED_MAX_BYTES", 64 << 20)  # It takes seconds to reach
        monkeypatch.setattr(archives, "MEMBERS_MAX", 10_000)  # those of the product.
        sample, uploader = self.samples()[0], site.client(hosted)
        meter = Meter(uploader)
        for what, data in self.bombs(sample).items():
            answer = self.upload(uploader, replace(sample, data=data))
            assert 400 <= answer.status_code < 500, (what, answer.status)
            assert meter.peak < UNPACKED_BYTES, f"{what}: {meter.peak} bytes were in use at once"
            assert not self.is_named(client, sample), what
            assert site.unfinished() == [], what
        self.store(client, sample)

    def test_limits_a_body_is_not_read_where_nothing_may_be_stored(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        site.repoman.repositories.update(hosted, {"storage": {"write_policy": "deny"}})
        bodies: list[Unread] = []
        client.wrap(lambda app: partial(_send_unread, app, bodies))
        for login in (ADMIN, site.user()):
            answer = self.upload(client.as_user(login), self.samples()[0])
            assert 400 <= answer.status_code < 500, answer.status
            assert answer.data, "the client is told why"
        assert len(bodies) == 2
        assert not [each for each in bodies if each.is_read]

    def test_limits_a_proxy_serves_what_its_full_disk_cannot_keep(
        self, site: Site, mirror: str
    ) -> None:
        client, sample = site.client(mirror), self.samples()[0]
        with full_disk(site.repoman.data / "blobs") as disk:
            disk.fill_at(0)
            assert client.get(sample.path).data == sample.data
            wait_until(lambda: disk.is_full, "a write")
        self.keep(client, sample.path)
        assert self.is_named(client, sample)


class Unread(RawIOBase):
    """A body that tells whether anything was read of it."""

    def __init__(self) -> None:
        self.is_read = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, _: Any) -> int:
        """Note it, and have nothing."""
        self.is_read = True
        return 0


def _send_unread(
    app: WSGI, bodies: list[Unread], environ: Environ, start_response: Any
) -> Iterable[bytes]:
    bodies.append(Unread())
    return app({**environ, "wsgi.input": bodies[-1]}, start_response)


class Meter:
    """Measures the memory that the server allocates while it answers; drops what it sends.

    Attributes:
        peak: in bytes, of all requests so far.
        sent: the SHA-256 of the last body.
    """

    def __init__(self, client: RepositoryClient) -> None:
        self.peak = 0
        self.sent = ""
        self.watch(client)

    def watch(self, client: RepositoryClient) -> None:
        """Measure what this client asks for as well."""
        client.wrap(lambda app: partial(self._answer, app))

    def _answer(self, app: WSGI, environ: Environ, start_response: Any) -> Iterable[bytes]:
        sent = hashlib.sha256()
        tracemalloc.start()  # The body of the client is there already, so it is not counted.
        try:
            for each in app(environ, start_response):
                sent.update(each)
            self.peak = max(self.peak, tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        self.sent = sent.hexdigest()
        return []
