"""What hosted repositories of every format do: store, serve, refuse, delete."""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import pytest
from werkzeug.test import TestResponse

from repoman.compaction import Compactor
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.testing.formats.base import PACKAGE, VERSIONS, FormatTests
from repoman.testing.formats.disk import seen_writes
from repoman.testing.formats.site import RepositoryClient, Site

WAYS = ("main", "connector", "in place")
YEAR_S = 366 * 86_400.0
PAIRS_MIN = 20


class HostedTests(FormatTests):
    """Tests of hosted repositories."""

    @pytest.mark.parametrize("way", WAYS)
    def test_hosted_what_is_uploaded_is_read_and_named(
        self, site: Site, hosted: str, way: str
    ) -> None:
        client = site.client(hosted, way)
        first, second, _ = self.samples()
        assert not self.is_named(client, first)
        self.store(client, first)
        assert self.is_named(client, first)
        assert client.get(second.path).data != second.data
        self.store(client, second)
        assert self.is_named(client, first)
        assert self.is_named(client, second)

    def test_hosted_head_is_get_without_the_bytes(self, client: RepositoryClient) -> None:
        sample = self.samples()[0]
        self.store(client, sample)
        for path in (sample.path, *self.documents(sample)):
            got, head = client.get(path), client.head(path)
            assert (head.status_code, head.data) == (200, b"")
            assert _facts(head) == _facts(got)

    def test_hosted_what_a_client_has_is_not_sent_again(self, client: RepositoryClient) -> None:
        first, second, _ = self.samples()
        self.store(client, first)
        for path in self.tagged(first):
            tag = client.get(path).headers["ETag"]
            assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
            assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
        tags = {path: client.get(path).headers["ETag"] for path in self.tagged(first)}
        self.store(client, second)
        for path, text in self.documents(second).items():
            if text not in self.documents(first).values() and path in tags:
                answer = client.get(path, headers={"If-None-Match": tags[path]})
                assert (answer.status_code, text in answer.text) == (200, True)

    def test_hosted_documents_are_tagged_by_their_form(self, client: RepositoryClient) -> None:
        sample = self.samples()[0]
        self.store(client, sample)
        for path in self.documents(sample):
            sent: dict[str, object] = {}
            for accept in ("*/*", "odd/type", ";;", *self.media_types):
                for encoding in ("identity", "gzip"):
                    headers = {"Accept": accept, "Accept-Encoding": encoding}
                    answer = client.get(path, headers=headers)
                    assert answer.status_code in (200, 406), (path, accept)
                    if answer.status_code == 200 and path in self.tagged(sample):
                        form = (answer.content_type, answer.content_encoding, answer.data)
                        assert sent.setdefault(answer.headers["ETag"], form) == form, path
            assert len(sent) >= len(self.media_types), path

    def test_hosted_a_part_is_sent_where_a_part_is_asked_for(
        self, client: RepositoryClient
    ) -> None:
        sample = self.samples()[0]
        self.store(client, sample)
        part = client.get(sample.path, headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.data) == (206, sample.data[1:4])
        beyond = client.get(sample.path, headers={"Range": f"bytes={len(sample.data)}-"})
        assert beyond.status_code == 416

    def test_hosted_the_same_file_again_changes_nothing(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        sample = self.samples()[0]
        self.store(client, sample)
        before = (site.assets(hosted), [client.get(p).data for p in self.documents(sample)])
        self.store(client, sample)
        assert before == (
            site.assets(hosted),
            [client.get(path).data for path in self.documents(sample)],
        )

    @pytest.mark.parametrize("policy", ["", "allow", "allow_once", "deny"])
    def test_hosted_the_write_policy_decides_about_other_bytes(
        self, site: Site, client: RepositoryClient, hosted: str, policy: str
    ) -> None:
        first, other = self.samples()[0], self.samples("other")[0]
        assert (first.path, first.data != other.data) == (other.path, True)
        self.store(client, first)
        if policy:
            settings = {"storage": {"write_policy": policy}}
            site.repoman.repositories.update(hosted, settings)
        answer = self.upload(client, other)
        if policy == "allow" or (not policy and self.replaces):
            assert answer.status_code < 300, answer.text
            assert self.is_named(client, other)
        else:
            _assert_refused(answer)
            assert self.is_named(client, first)
        if policy == "deny":
            _assert_refused(self.upload(client, self.samples()[1]))
            assert not self.is_named(client, self.samples()[1])

    @pytest.mark.parametrize("way", ["main", "in place"])
    def test_hosted_what_is_wrong_is_refused_and_leaves_nothing(
        self, site: Site, hosted: str, way: str
    ) -> None:
        client = site.client(hosted, way)
        for sample in self.refused():
            answer = self.upload(client, sample)
            _assert_refused(answer, sample.path)
        assert (site.rows(hosted), site.unfinished()) == (0, [])

    def test_hosted_there_is_nothing_at_odd_paths(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        sample = self.samples()[0]
        methods = ("GET", "HEAD", "PUT", "DELETE") if self.puts else ("GET", "HEAD")
        for path in self.bad_paths:
            for method in methods:
                answer = client.request(method, path, data=b"x" if method == "PUT" else None)
                assert 400 <= answer.status_code < 500, (method, path, answer.status)
        self.store(client, sample)
        for path in self.twins(sample):
            answer = client.get(path, follow_redirects=True)
            assert answer.status_code in (200, 400, 404), (path, answer.status)

    def test_hosted_an_upload_that_is_cut_off_leaves_nothing(self, site: Site, hosted: str) -> None:
        client = site.client(hosted, "in place")
        sample = self.samples()[0]
        client.is_cut = True
        answer = self.upload(client, sample)
        assert 400 <= answer.status_code < 500, answer.status
        client.is_cut = False
        assert (site.rows(hosted), site.unfinished()) == (0, [])
        self.store(client, sample)
        assert self.is_named(client, sample)

    def test_hosted_two_uploads_at_once_are_both_stored(self, site: Site, hosted: str) -> None:
        samples = self.samples()
        answers = _at_once([partial(self.upload, site.client(hosted), each) for each in samples])
        assert all(each.status_code < 300 for each in answers)
        assert all(self.is_named(site.client(hosted), each) for each in samples)

    def test_hosted_one_of_two_wins_the_same_name(self, site: Site) -> None:
        hosted = site.create(f"{self.name}-hosted", {"storage": {"write_policy": "allow_once"}})
        rivals = [self.samples(content)[0] for content in ("one", "two")]
        answers = _at_once([partial(self.upload, site.client(hosted), each) for each in rivals])
        won = [each.status_code < 300 for each in answers]
        assert sorted(won) == [False, True]
        assert self.is_named(site.client(hosted), rivals[won.index(True)])

    def test_hosted_the_quota_is_kept(self, site: Site) -> None:
        first, second, _ = self.samples()
        hosted = site.create(f"{self.name}-hosted", {"quota": {"limit": 1}})
        client = site.client(hosted)
        answer = self.upload(client, first)
        assert 400 <= answer.status_code < 600, answer.status
        assert answer.status_code != 500
        assert not self.is_named(client, first)
        site.repoman.repositories.update(hosted, {"quota": {"limit": 1 << 30}})
        self.store(client, first, second)
        assert self.is_named(client, second)

    def test_hosted_nothing_changes_in_read_only_mode(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        first, second, _ = self.samples()
        self.store(client, first)
        site.repoman.database.freeze("suite")
        try:
            answer = self.upload(client, second)
            assert answer.status_code == 503, answer.text
            assert self.is_named(client, first)
            assert site.rows(hosted) > 0
        finally:
            site.repoman.database.release()
        self.store(client, second)
        assert self.is_named(client, second)

    def test_hosted_an_offline_repository_answers_nobody(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        first, second, _ = self.samples()
        self.store(client, first)
        site.repoman.repositories.update(hosted, {}, is_online=False)
        assert client.get(first.path).status_code == 503
        assert self.upload(client, second).status_code == 503
        site.repoman.repositories.update(hosted, {}, is_online=True)
        assert self.is_named(client, first)
        assert not self.is_named(client, second)

    def test_hosted_what_is_deleted_is_gone_everywhere_and_frees_its_bytes(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        gone, kept, _ = self.samples(hosted)  # Nobody else has these bytes.
        self.store(client, gone, kept)
        digest = hashlib.sha256(gone.data).hexdigest()
        [component] = [
            each
            for each in site.components(hosted)
            if digest in [asset["checksum"]["sha256"] for asset in each["assets"]]
        ]
        path = f"/service/rest/v1/components/{component['id']}"
        assert site.http.delete(path).status_code == 204
        assert not self.is_named(client, gone)
        assert self.is_named(client, kept)
        assert digest not in str(site.components(hosted))
        compact(site)
        assert not site.has_blob(digest)
        assert site.has_blob(hashlib.sha256(kept.data).hexdigest())
        self.store(client, gone)
        assert self.is_named(client, gone)

    def test_hosted_files_are_deleted_by_clients_where_the_format_has_it(
        self, client: RepositoryClient
    ) -> None:
        gone, kept, _ = self.samples()
        self.store(client, gone, kept)
        answer = client.delete(gone.path)
        assert (answer.status_code < 300) or (not self.puts and answer.status_code in (404, 405))
        if self.puts:
            assert not self.is_named(client, gone)
            assert client.delete(gone.path).status_code == 404
        assert self.is_named(client, kept)

    def test_hosted_cleanup_removes_what_its_policy_chooses(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        old, *_, newest = self.samples()
        self.store(client, *self.samples())
        retain = 1 if newest.version else None
        regex = None if newest.version else f".*{re.escape(old.path.rpartition('/')[2])}"
        policy = CleanupPolicy(
            f"of-{hosted}", self.name, asset_regex=regex, retain=retain, sort_by="version"
        )
        site.repoman.cleanup_policies.create(policy)
        settings = {"cleanup": {"policy_names": [policy.name]}}
        site.repoman.repositories.update(hosted, settings)
        told = Told()
        site.repoman.cleaner.run(told)
        assert not self.is_named(client, old), told.lines
        assert self.is_named(client, newest)
        site.repoman.repositories.update(hosted, {"cleanup": {"policy_names": []}})

    def test_hosted_cleanup_writes_nothing_to_the_blob_store(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        samples = [self.make(package, VERSIONS[0]) for package in ("demo", "first", "second")]
        policy = CleanupPolicy(f"all-of-{hosted}", self.name, asset_regex=".*")
        site.repoman.cleanup_policies.create(policy)
        self.store(client, samples[0])
        for component in site.components(hosted):  # What deletions name is there from then on.
            site.http.delete(f"/service/rest/v1/components/{component['id']}")
        self.store(client, *samples[1:])
        settings = {"cleanup": {"policy_names": [policy.name]}}
        site.repoman.repositories.update(hosted, settings)
        seen: list[str] = []
        with seen_writes(site.repoman.data / "blobs", seen.append):
            site.repoman.cleaner.run(Told())
        assert site.components(hosted) == []
        assert seen == [], "others who write wait for it"
        site.repoman.repositories.update(hosted, {"cleanup": {"policy_names": []}})

    def test_hosted_versions_are_in_order(self, site: Site, hosted: str) -> None:
        order = ("1.0.0", "1.2.0", "1.10.0")
        samples = [self.make(PACKAGE, version) for version in reversed(order)]
        self.store(site.client(hosted), *samples)
        if samples[0].version:
            path = f"/service/rest/v1/search?repository={hosted}&sort=version"
            found = [each["version"] for each in site.rest(path).json["items"]]  # type: ignore[index]
            assert found in ([*order], [*reversed(order)])

    def test_hosted_pairs_of_versions_are_in_order(self, site: Site, hosted: str) -> None:
        rules = site.repoman.repositories.get(hosted).rules
        pairs = list(pairwise(self.versions))
        assert len(pairs) >= PAIRS_MIN
        wrong = [each for each in pairs if rules.version_key(each[0]) >= rules.version_key(each[1])]
        assert wrong == []

    def test_hosted_changes_are_events_and_in_the_audit_log(
        self, site: Site, hosted: str, client: RepositoryClient
    ) -> None:
        sample = self.samples()[0]
        self.store(client, sample)
        digest = hashlib.sha256(sample.data).hexdigest()
        found = site.rest(f"/api/v1/events?repository={hosted}").json["items"]  # type: ignore[index]
        stored = [each for each in found if each["newDigest"] == digest]
        assert {(each["change"], each["actor"]) for each in stored} == {("created", "admin")}
        site.repoman.audit.flush()
        told = site.rest(f"/api/v1/audit?repository={hosted}").json["items"]  # type: ignore[index]
        assert [each for each in told if each["domain"] != "repository"], told
        for component in site.components(hosted):
            site.http.delete(f"/service/rest/v1/components/{component['id']}")
        found = site.rest(f"/api/v1/events?repository={hosted}").json["items"]  # type: ignore[index]
        assert [each for each in found if each["change"] == "deleted" and each["actor"] == "admin"]

    def test_hosted_samples_differ(self) -> None:
        found = {(each.path, each.data) for each in self.samples()}
        assert len(found) == len(VERSIONS)
        assert self.samples() == self.samples()


class Told:
    """Takes what a run of a task tells."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Do nothing."""

    def log(self, text: str) -> None:
        """Keep a line."""
        self.lines.append(text)

    def pause(self, seconds: float) -> None:
        """Go on."""

    def freed(self, size: int) -> None:
        """Do nothing."""


def _facts(answer: TestResponse) -> dict[str, str]:
    """Return the headers that say something about the bytes."""
    names = ("ETag", "Content-Type", "Content-Length", "Last-Modified", "Vary")
    return {name: answer.headers[name] for name in names if name in answer.headers}


def _assert_refused(answer: TestResponse, what: str = "") -> None:
    """Check that the client is to blame, and told so."""
    assert 400 <= answer.status_code < 500, (what, answer.status)
    assert answer.data, what


def compact(site: Site) -> None:
    """Free what nothing needs, as after a while."""
    compactor = Compactor(
        site.repoman.database, site.repoman.blob_stores, lambda: time.time() + YEAR_S
    )
    compactor.compact()


def _at_once(calls: Sequence[Callable[[], TestResponse]]) -> list[TestResponse]:
    """Return the answers of calls that begin together, in their order."""
    barrier = threading.Barrier(len(calls))
    answers: dict[int, TestResponse] = {}

    def run(number: int) -> None:
        barrier.wait(30)
        answers[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    return [answers[number] for number in range(len(calls))]
