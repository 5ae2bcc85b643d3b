"""Downloads with a remote of the test's own, and many readers."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

import pytest

from repoman.blobs.upload import BlobUpload
from repoman.errors import NotFound, StorageFull, UpstreamTimeout, UpstreamUnavailable
from repoman.proxy.download import Download
from repoman.proxy.fetching import FetchRequest
from tests.clock import WAIT_S, wait_until
from tests.fakes.bodies import DATA, SIZE, Body, Remote, broken, new_download, part, read


@pytest.fixture
def make(blobs):
    """Return a download of the test's blob from a remote."""
    return partial(new_download, blobs)


def test_what_is_fetched_is_kept(make, blobs):
    body = Body([DATA[:100], DATA[100:]])
    download = make(Remote(body))
    download.run()
    assert download.is_complete
    assert download.wait_for_size(0) == len(DATA)
    assert read(download) == DATA
    assert read(download, 50, 7) == DATA[50:57]
    assert [blob.size for blob in download.kept] == [len(DATA)]
    assert blobs.stat(hashlib.sha256(DATA).hexdigest())
    assert body.is_closed
    assert download.ended == [1]


def test_readers_follow_while_bytes_come(make):
    gate = threading.Event()
    download = make(Remote(Body([DATA[:100], gate, DATA[100:]])))
    with ThreadPoolExecutor(5) as pool:
        fetch = pool.submit(download.run)
        assert download.wait_for_size(5) == len(DATA)
        pieces = download.open().pieces(0, len(DATA))
        first = next(pieces)
        others = [pool.submit(read, download) for _ in range(3)]
        assert 0 < len(first) <= 100
        assert not fetch.done()
        gate.set()
        assert first + b"".join(pieces) == DATA
        assert [each.result(WAIT_S) for each in others] == [DATA] * 3


def test_the_last_byte_waits_for_the_digest(make):
    gate = threading.Event()
    download = make(Remote(Body([DATA, gate])))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(download.run)
        download.wait_for_size(5)
        pieces = download.open().pieces(0, len(DATA))
        assert next(pieces) == DATA[:-1]
        assert download.ready(0) == len(DATA) - 1
        gate.set()
        assert next(pieces) == DATA[-1:]


def test_a_wrong_digest_fails_all_and_keeps_nothing(make, blobs):
    download = make(Remote(Body([DATA])), data=b"other")
    download.run()
    uses = (lambda: download.wait_for_size(0), lambda: read(download), lambda: download.ready(0))
    for use in uses:
        with pytest.raises(UpstreamUnavailable, match="does not match the digest"):
            use()
    assert download.kept == []
    assert not blobs.stat(hashlib.sha256(DATA).hexdigest())


def test_what_the_remote_does_not_have(make):
    download = make(Remote(NotFound("There is none.")))
    download.run()
    with pytest.raises(NotFound):
        download.wait_for_size(0)


def test_a_remote_that_breaks_off_is_asked_for_the_rest(make):
    remote = Remote(Body([DATA[:100], broken()]), part(100, DATA[100:300]), part(300))
    download = make(remote)
    download.run()
    assert remote.starts == [0, 100, 300]
    assert read(download) == DATA


def test_a_short_body_is_one_that_broke_off(make):
    remote = Remote(Body([DATA[:100]]), part(100))
    make(remote).run()
    assert remote.starts == [0, 100]


def test_a_remote_without_parts_sends_all_again(make):
    download = make(Remote(Body([DATA[:100], broken()]), Body([DATA[:50], DATA[50:]])))
    download.run()
    assert read(download) == DATA


@pytest.mark.parametrize(
    "answer",
    [
        part(100, total=len(DATA) + 1),
        part(100, ETag='"other"'),
        part(99),
        Body([], 206, {"Content-Range": "nonsense"}),
        Body([DATA], length=len(DATA) - 1),
    ],
    ids=["size", "etag", "position", "nonsense", "size of all"],
)
def test_what_has_changed_is_not_joined(make, answer):
    failures = []
    first = Body([DATA[:100], broken()], headers={"ETag": '"one"'})
    download = make(Remote(first, answer), resumes=0, note_failure=failures.append)
    download.run()
    with pytest.raises(UpstreamUnavailable):
        download.wait_for_size(0)
    assert len(failures) == 1


def test_a_remote_that_gets_nowhere_is_given_up(make):
    failures = []
    remote = Remote(Body([DATA[:100], broken()]), *(broken() for _ in range(9)))
    download = make(remote, resumes=2, note_failure=failures.append)
    download.run()
    assert remote.starts == [0, 100, 100, 100]
    assert len(failures) == 1


def test_too_many_bytes_are_refused(make):
    download = make(Remote(Body([DATA + b"x"])))
    download.run()
    assert not download.is_complete


def test_a_remote_that_does_not_say_the_size(make):
    gate = threading.Event()
    download = make(Remote(Body([DATA[:100], gate, DATA[100:]], length=None)))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(download.run)
        with pytest.raises(UpstreamUnavailable, match="too long"):
            download.wait_for_size(0.05)
        gate.set()
        assert download.wait_for_size(5) == len(DATA)
        assert read(download) == DATA


def test_a_size_is_waited_for_as_long_as_bytes_come(make, monkeypatch):
    gates = [threading.Event() for _ in range(2)]
    pieces = [DATA[:100], gates[0], DATA[100:200], gates[1], DATA[200:]]
    download = make(Remote(Body(pieces, length=None)))
    wait, shut = download._changed.wait_for, iter(gates)

    def wait_for(is_over, _timeout):
        """Wait until something has come, as if that took all the time."""
        before = download._written
        for gate in islice(shut, 1 if before else 0):
            gate.set()
        assert wait(lambda: is_over() or download._written > before, WAIT_S)
        return is_over()

    monkeypatch.setattr(download._changed, "wait_for", wait_for)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(download.run)
        assert download.wait_for_size(5) == len(DATA)


def test_a_body_of_unknown_size_goes_on_where_it_broke_off(make):
    first = Body([DATA[:100], broken()], length=None)
    remote = Remote(first, part(100, DATA[100:300], ETag='"late"'), part(300))
    download = make(remote)
    download.run()
    assert remote.starts == [0, 100, 300]
    assert download.wait_for_size(0) == SIZE
    assert read(download) == DATA


def test_a_size_that_is_told_late_has_to_be_right(make):
    first = Body([DATA[:100], broken()], length=None)
    download = make(Remote(first, part(100, total=SIZE + 1)), size=SIZE, resumes=0)
    download.run()
    assert download.kept == []


# --- Without a digest ----------------------------------------------------------------------------


def without_digest(make, *answers, **options):
    remote = Remote(*answers)
    download = make(remote, has_digest=False, **options)
    download.run()
    return remote, download


def test_the_length_tells_that_a_body_without_a_digest_is_whole(make):
    _, download = without_digest(make, Body([DATA[:100], DATA[100:]]))
    assert read(download) == DATA
    assert [blob.size for blob in download.kept] == [SIZE]


def test_the_end_closes_a_body_without_digest_and_length(make):
    _, download = without_digest(make, Body([DATA[:100], DATA[100:]], length=None))
    assert download.wait_for_size(0) == SIZE
    assert read(download) == DATA
    assert len(download.kept) == 1


@pytest.mark.parametrize("etag", [None, 'W/"one"'])
@pytest.mark.parametrize("end", [[], [broken()]], ids=["short", "broken"])
def test_what_nothing_holds_together_is_not_resumed(make, etag, end):
    headers = {} if etag is None else {"ETag": etag}
    remote, download = without_digest(make, Body([DATA[:100], *end], headers=headers))
    assert remote.starts == [0]
    assert download.kept == []
    with pytest.raises(UpstreamUnavailable):
        read(download)


def test_a_strong_etag_holds_the_parts_together(make):
    first = Body([DATA[:100], broken()], headers={"ETag": '"one"'})
    remote, download = without_digest(make, first, part(100, ETag='"one"'))
    assert remote.starts == [0, 100]
    assert read(download) == DATA


@pytest.mark.parametrize("etag", ['"two"', 'W/"one"', None])
def test_parts_with_another_etag_or_none_are_not_joined(make, etag):
    first = Body([DATA[:100], broken()], headers={"ETag": '"one"'})
    headers = {} if etag is None else {"ETag": etag}
    _, download = without_digest(make, first, part(100, **headers), resumes=0)
    assert download.kept == []


def test_more_bytes_than_announced_are_refused_without_a_digest_too(make):
    _, download = without_digest(make, Body([DATA + b"x"]))
    assert download.kept == []


def test_of_several_digests_each_has_to_fit(blobs):
    good, kept = hashlib.sha256(DATA).hexdigest(), []
    for sha512, size in ((hashlib.sha512(DATA).hexdigest(), 1), ("wrong", 0)):
        kept.clear()
        digests = {"sha256": good, "sha512": sha512}
        request = FetchRequest("a file", digests, Remote(Body([DATA])).open, kept.append)
        Download(request, BlobUpload(blobs, tuple(digests)), lambda: None).run()
        assert len(kept) == size


def test_an_empty_body_waits_for_the_digest_too(make):
    gate = threading.Event()
    remote = Remote(Body([gate], length=0))
    download = make(remote)
    with ThreadPoolExecutor(2) as pool:
        size = pool.submit(download.wait_for_size, WAIT_S)
        pool.submit(download.run)
        wait_until(lambda: remote.starts)
        gate.set()
        with pytest.raises(UpstreamUnavailable, match="does not match the digest"):
            size.result(WAIT_S)


def test_nothing_is_a_blob_too(make):
    download = make(Remote(Body([], length=0)), data=b"")
    download.run()
    assert download.wait_for_size(0) == 0
    assert read(download, 0, 0) == b""


def test_readers_are_served_even_if_nothing_can_be_kept(make):
    def keep(_):
        raise StorageFull("The disk is full.")

    download = make(Remote(Body([DATA])), keep=keep)
    download.run()
    assert read(download) == DATA


def test_a_growing_file_tells_when_it_has_grown(make):
    gate = threading.Event()
    download = make(Remote(Body([DATA[:100], gate, DATA[100:]])))
    reader, sizes = download.open(), []
    reader.subscribe(lambda: sizes.append(reader.ready(0)))
    gate.set()
    download.run()
    assert sizes[-1] == len(DATA)
    assert sorted(sizes) == sizes
    assert reader.ready(100) == len(DATA) - 100
    reader.close()
    reader.close()


def test_a_body_by_drops_ends_the_fetch(make, monkeypatch):
    monkeypatch.setattr("repoman.proxy.download.PROGRESS_INTERVAL_S", 0.0)
    drips = [Body([DATA[:10], DATA[10:20]]), *(part(10, DATA[10:20]) for _ in range(3))]
    download = make(Remote(*drips))
    download.run()
    with pytest.raises(UpstreamTimeout, match="sends a blob too slowly"):
        download.wait_for_size(1)
    assert download.kept == []
