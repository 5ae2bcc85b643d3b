"""What proxies of every format do where the remote sends other bytes than it should, or deletes."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from repoman.testing.formats.base import LONG_S, FormatTests
from repoman.testing.formats.remote import RemoteServer
from repoman.testing.formats.samples import Sample
from repoman.testing.formats.site import RepositoryClient, Site, wait_until

WRONG: dict[str, Callable[[bytes], bytes]] = {
    "changed": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "longer": lambda data: data + b"more",
    "shorter": lambda data: data[:-1],
}


class FaultTests(FormatTests):
    """Tests of proxies whose remote is at fault."""

    @pytest.mark.parametrize("fault", WRONG)
    def test_fault_bytes_with_another_digest_are_never_whole_at_a_client(
        self, site: Site, mirror: str, remote_files: RemoteServer, fault: str
    ) -> None:
        if not self.has_digests:
            return  # The format knows of no digest that a file of the remote should have.
        client, sample = site.client(mirror), self.samples(mirror)[0]
        good, bad = dict(self.remote([sample])), WRONG[fault](sample.data)
        remote_files.files = {
            path: replace(each, data=bad) if each.data == sample.data else each
            for path, each in good.items()
        }
        assert read_whole(client, sample) is None
        self.check_nothing_is_kept(site, mirror, sample, bad)
        remote_files.files = good
        wait_for(client, sample)
        assert self.is_named(client, sample)

    def test_fault_a_body_that_ends_early_is_not_kept(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        client, sample = site.client(mirror), self.samples(mirror)[0]  # Nobody has these bytes.
        remote_files.files = dict(self.remote([sample]))
        for path in self.documents(sample):
            assert client.get(path).status_code == 200
        remote_files.is_short = True
        assert read_whole(client, sample) is None
        self.check_nothing_is_kept(site, mirror, sample, sample.data)
        remote_files.is_short = False
        wait_for(client, sample)
        wait_until(lambda: site.unfinished() == [], "the end of the first download")

    def test_fault_a_document_that_ends_early_is_not_kept(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        client, sample = site.client(mirror), self.samples()[0]
        remote_files.is_short = True
        for path in self.documents(sample):
            assert client.get(path).status_code in (502, 504), path
        assert site.rows(mirror) == 0
        remote_files.is_short = False
        assert self.is_named(client, sample)

    def test_fault_what_follows_a_body_is_no_part_of_it_and_no_answer(
        self, site: Site, mirror: str, remote_files: RemoteServer
    ) -> None:
        client, (first, second, _) = site.client(mirror), self.samples()
        remote_files.excess = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        for sample in (first, second):
            for path in self.documents(sample):
                assert client.get(path).status_code in (200, 502), path
            assert read_whole(client, sample) in (None, sample.data)
        remote_files.excess = b""
        for sample in (first, second):
            wait_for(client, sample)
        assert self.is_named(client, first)

    @pytest.mark.parametrize("follows", [False, True])
    def test_fault_what_the_remote_deletes_stays_or_goes(
        self, site: Site, mirror: str, remote_files: RemoteServer, *, follows: bool
    ) -> None:
        client, (first, second, _) = site.client(mirror), self.samples()
        site.repoman.repositories.update(mirror, {"proxy": {"follow_deletion": follows}})
        for sample in (first, second):
            assert self.is_named(client, sample)
            self.keep(client, sample.path)
        remote_files.files = dict(self.remote([second]))
        site.clock.jump(LONG_S)
        assert self.is_named(client, second)
        assert (read_whole(client, first) == first.data) is not follows
        assert not follows or not self.is_named(client, first)
        remote_files.files = {}
        site.clock.jump(LONG_S)
        for path, text in self.documents(second).items():
            assert (text in client.get(path).text) is not follows, path
        assert (read_whole(client, second) == second.data) is not follows
        assert not follows or site.components(mirror) == []

    def check_nothing_is_kept(self, site: Site, mirror: str, sample: Sample, data: bytes) -> None:
        """Check that a proxy has no file, and the disk no bytes, once the download has ended."""
        wait_until(lambda: site.unfinished() == [], "the end of the download")
        assert sample.path not in [each["path"].strip("/") for each in site.assets(mirror)]
        assert not site.has_blob(hashlib.sha256(data).hexdigest())


def read_whole(client: RepositoryClient, sample: Sample) -> bytes | None:
    """Return the bytes of a file; None: it cannot be read, or not to its end."""
    try:
        answer = client.get(sample.path)
    except Exception:  # noqa: BLE001 - in process, an answer that breaks off raises what it may
        return None
    is_whole = len(answer.data) == int(answer.headers["Content-Length"])
    return answer.data if answer.status_code == 200 and is_whole else None


def wait_for(client: RepositoryClient, sample: Sample) -> None:
    """Read a file until it comes as a whole: a download that fails may not have ended yet."""
    wait_until(lambda: read_whole(client, sample) == sample.data, sample.path)
