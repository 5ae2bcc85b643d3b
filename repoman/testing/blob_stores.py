"""What every blob store must do, as tests: subclass :class:`BlobStoreSuite` and say how to open it.

::

    class TestMyStore(BlobStoreSuite):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: MyStore(tmp_path)
"""

import hashlib
import time
from collections.abc import Callable

import pytest

from repoman.blobs.store import BlobStore, BlobWriter, StoredBlob
from repoman.errors import Conflict, NotFound

DATA = bytes(range(256)) * 1000
IDENTITY = "1d" * 16
FUTURE = 1e12  # seconds since the epoch
OpenStore = Callable[[], BlobStore]


def sha256(data: bytes) -> str:
    """Return the digest that addresses these bytes."""
    return hashlib.sha256(data).hexdigest()


def read(store: BlobStore, digest: str) -> bytes:
    """Return the bytes of a blob."""
    with store.open(digest) as file:
        return file.read()


def write(store: BlobStore, writer_id: str, data: bytes) -> BlobWriter:
    """Return a writer that has taken ``data``."""
    writer = store.open_writer(writer_id)
    writer.write(data)
    return writer


class BlobStoreSuite:
    """The contract of :mod:`repoman.blobs.store`.

    ``open_store()`` opens the same store again each time, as a restart does.
    """

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Return what opens the store; a subclass must say it."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_store: OpenStore) -> BlobStore:
        """Return the store."""
        return open_store()

    @pytest.fixture(autouse=True)
    def created(self, open_store: OpenStore) -> None:
        """Create the store, which is new."""
        store = open_store()
        assert (store.identity(), store.is_empty()) == (None, True)
        store.create(IDENTITY)

    def test_what_is_committed_is_found_under_its_digest(self, store: BlobStore) -> None:
        blob = write(store, "one", DATA).commit()
        assert blob == StoredBlob(sha256(DATA), len(DATA))
        assert store.stat(blob.digest)
        assert read(store, blob.digest) == DATA

    def test_a_look_at_a_blob_tells_its_size_and_nothing_of_what_is_not_there(
        self, store: BlobStore
    ) -> None:
        assert store.stat(sha256(DATA)) is None
        blob = write(store, "one", DATA).commit()
        found = store.stat(blob.digest)
        assert found is not None
        assert found.size == len(DATA)
        assert store.stat(blob.digest) == found

    def test_an_identity_stays_until_another_is_given(self, open_store: OpenStore) -> None:
        digest = write(open_store(), "one", DATA).commit().digest
        assert (open_store().identity(), open_store().is_empty()) == (IDENTITY, False)
        open_store().create("another")
        assert open_store().identity() == "another"
        assert read(open_store(), digest) == DATA

    def test_a_committed_blob_is_there_after_a_restart(self, open_store: OpenStore) -> None:
        digest = write(open_store(), "one", DATA).commit().digest
        assert read(open_store(), digest) == DATA

    def test_an_empty_blob_is_a_blob(self, store: BlobStore) -> None:
        blob = store.open_writer("empty").commit()
        assert blob == StoredBlob(sha256(b""), 0)
        assert read(store, blob.digest) == b""

    def test_a_memoryview_is_taken_as_bytes_are(self, store: BlobStore) -> None:
        buffer = bytearray(DATA)
        writer = store.open_writer("view")
        writer.write(memoryview(buffer)[10:500])
        buffer[:] = bytes(len(buffer))  # the view is only valid during the call
        assert read(store, writer.commit().digest) == DATA[10:500]

    def test_an_open_file_can_seek_and_has_a_descriptor(self, store: BlobStore) -> None:
        digest = write(store, "one", DATA).commit().digest
        with store.open(digest) as file:
            assert file.fileno() >= 0
            file.seek(1000)
            assert file.read(24) == DATA[1000:1024]

    def test_room_is_asked_for_without_effect(self, open_store: OpenStore) -> None:
        writer = open_store().open_writer("one")
        writer.check_room(len(DATA))
        assert writer.size == 0
        writer.write(DATA)
        writer.check_room(0)
        assert writer.commit() == StoredBlob(sha256(DATA), len(DATA))

    def test_nothing_is_found_before_the_commit(self, store: BlobStore) -> None:
        writer = write(store, "one", DATA)
        assert not store.stat(sha256(DATA))
        with pytest.raises(NotFound):
            store.open(sha256(DATA))
        writer.cancel()

    def test_equal_bytes_of_two_writers_are_one_blob(self, store: BlobStore) -> None:
        first, second = write(store, "first", DATA), write(store, "second", DATA)
        assert first.commit() == second.commit()
        assert read(store, sha256(DATA)) == DATA

    def test_a_blob_that_is_being_read_may_be_committed_again(self, store: BlobStore) -> None:
        digest = write(store, "first", DATA).commit().digest
        with store.open(digest) as file:
            begin = file.read(100)
            write(store, "second", DATA).commit()
            assert begin + file.read() == DATA

    def test_cancel_drops_the_bytes(self, open_store: OpenStore) -> None:
        writer = write(open_store(), "one", DATA)
        writer.cancel()
        assert not open_store().stat(sha256(DATA))
        assert open_store().open_writer("one").size == 0

    def test_it_is_known_when_the_last_bytes_arrived(self, store: BlobStore) -> None:
        assert store.written_at("one") is None
        writer = write(store, "one", DATA)
        first = store.written_at("one")
        writer.write(DATA)
        writer.pause()
        last = store.written_at("one")
        assert first is not None
        assert last is not None
        assert time.time() - 3600 < first <= last < time.time() + 3600
        writer.cancel()
        assert store.written_at("one") is None

    def test_cancel_may_be_called_again(self, store: BlobStore) -> None:
        writer = write(store, "one", DATA)
        writer.cancel()
        writer.cancel()
        store.open_writer("never written").cancel()

    def test_cancel_after_commit_changes_nothing(self, store: BlobStore) -> None:
        writer = write(store, "one", DATA)
        digest = writer.commit().digest
        writer.cancel()
        assert read(store, digest) == DATA

    def test_size_and_digests_follow_what_was_written(self, store: BlobStore) -> None:
        writer = store.open_writer("one", ("sha512",))
        assert writer.size == 0
        assert writer.hexdigest("sha256") == sha256(b"")
        writer.write(DATA[:1000])
        assert writer.size == 1000
        assert writer.hexdigest("sha256") == sha256(DATA[:1000])
        writer.write(DATA[1000:])
        assert writer.size == len(DATA)
        assert writer.hexdigest("sha256") == sha256(DATA)
        assert writer.hexdigest("sha512") == hashlib.sha512(DATA).hexdigest()
        writer.cancel()

    def test_a_digest_may_be_asked_for_that_nobody_announced(self, store: BlobStore) -> None:
        writer = write(store, "one", DATA)
        assert writer.hexdigest("sha512") == hashlib.sha512(DATA).hexdigest()
        writer.write(b"more")
        assert writer.hexdigest("sha512") == hashlib.sha512(DATA + b"more").hexdigest()
        writer.cancel()

    def test_a_writer_goes_on_after_a_restart(self, open_store: OpenStore) -> None:
        write(open_store(), "one", DATA[:5000]).pause()
        writer = open_store().open_writer("one", ("sha512",))
        assert writer.size == 5000
        writer.write(DATA[5000:])
        assert writer.size == len(DATA)
        assert writer.hexdigest("sha512") == hashlib.sha512(DATA).hexdigest()
        assert writer.commit() == StoredBlob(sha256(DATA), len(DATA))

    def test_a_committed_writer_id_begins_anew(self, store: BlobStore) -> None:
        write(store, "one", DATA).commit()
        writer = store.open_writer("one")
        assert writer.size == 0
        writer.cancel()

    def test_a_paused_writer_goes_on(self, store: BlobStore) -> None:
        writer = write(store, "one", DATA[:7])
        writer.pause()
        writer.pause()
        writer.write(DATA[7:])
        writer.pause()
        assert writer.size == len(DATA)
        assert writer.commit() == StoredBlob(sha256(DATA), len(DATA))

    def test_a_sweep_drops_the_writers_that_nobody_names(self, open_store: OpenStore) -> None:
        digest = write(open_store(), "done", DATA).commit().digest
        for writer_id in ("kept", "left", "forgotten"):
            write(open_store(), writer_id, DATA[:100]).pause()
        assert open_store().incoming() == (3, 300)
        assert open_store().sweep_writers({"kept", "unknown"}) == 2
        assert open_store().incoming() == (1, 100)
        sizes = {each: open_store().open_writer(each).size for each in ("kept", "left")}
        assert sizes == {"kept": 100, "left": 0}
        assert read(open_store(), digest) == DATA

    def test_a_store_tells_what_is_free_if_it_knows(self, store: BlobStore) -> None:
        free = store.free_bytes()
        assert free is None or free > len(DATA)

    def test_a_removed_store_is_new(self, open_store: OpenStore) -> None:
        write(open_store(), "one", DATA).commit()
        write(open_store(), "two", DATA).pause()
        open_store().remove()
        assert (open_store().identity(), open_store().is_empty()) == (None, True)
        open_store().remove()
        open_store().create(IDENTITY)
        assert open_store().open_writer("two").size == 0

    def test_one_process_serves_a_store_at_a_time(self, open_store: OpenStore) -> None:
        with open_store().lock_exclusively():
            with pytest.raises(Conflict), open_store().lock_exclusively():
                pass
            assert write(open_store(), "one", DATA).commit().size == len(DATA)
        with open_store().lock_exclusively():
            pass

    def test_the_digests_of_blobs_are_listed_by_their_beginning(self, store: BlobStore) -> None:
        digests = {write(store, "one", DATA[:size]).commit().digest for size in range(99)}
        write(store, "two", DATA)
        for prefix in ("00", "ab", "ff"):
            found = set(store.list_digests(prefix))
            assert found == {each for each in digests if each.startswith(prefix)}

    def test_a_detached_blob_is_gone_when_its_writer_is_cancelled(self, store: BlobStore) -> None:
        digest = write(store, "one", DATA).commit().digest
        with store.open(digest) as file:
            assert store.detach(digest, "two", FUTURE)
            assert not store.stat(digest)
            store.open_writer("two").cancel()
            assert file.read() == DATA
        assert store.open_writer("two").size == 0

    def test_a_detached_blob_is_swept_like_a_writer(self, open_store: OpenStore) -> None:
        digest = write(open_store(), "one", DATA).commit().digest
        assert open_store().detach(digest, "two", FUTURE)
        assert open_store().sweep_writers(()) == 1

    def test_a_detached_blob_may_be_committed_again(self, store: BlobStore) -> None:
        digest = write(store, "one", DATA).commit().digest
        assert store.detach(digest, "two", FUTURE)
        assert write(store, "three", DATA).commit().digest == digest
        store.open_writer("two").cancel()
        assert read(store, digest) == DATA

    def test_nothing_is_detached_that_was_committed_after_a_time(self, store: BlobStore) -> None:
        writer = write(store, "one", DATA)
        before = time.time() - 60
        assert not store.detach(writer.commit().digest, "two", before)
        assert read(store, sha256(DATA)) == DATA

    def test_what_is_not_there_counts_as_detached(self, store: BlobStore) -> None:
        assert store.detach(sha256(DATA), "two", FUTURE)
        store.open_writer("two").cancel()

    def test_what_is_put_aside_is_no_blob_until_it_is_committed_again(
        self, store: BlobStore
    ) -> None:
        digest = write(store, "one", DATA).commit().digest
        found = store.stat(digest)
        assert found is not None
        assert store.quarantine(digest, found)
        assert store.stat(digest) is None
        assert store.list_quarantined() == {digest}
        assert store.temporary_bytes() == len(DATA)
        assert not store.quarantine(digest, found)
        assert write(store, "two", DATA).commit().digest == digest
        store.drop_quarantined(digest)
        store.drop_quarantined(digest)
        assert (store.list_quarantined(), store.temporary_bytes()) == (set(), 0)
        assert read(store, digest) == DATA

    def test_what_was_committed_meanwhile_is_not_put_aside(self, store: BlobStore) -> None:
        digest = write(store, "one", DATA).commit().digest
        found = store.stat(digest)
        assert found is not None
        write(store, "two", DATA).commit()
        assert not store.quarantine(digest, found)
        assert read(store, digest) == DATA

    def test_writers_are_listed_by_when_their_last_bytes_came(self, store: BlobStore) -> None:
        write(store, "one", DATA).pause()
        assert store.list_writers(FUTURE) == ["one"]
        assert store.list_writers(time.time() - 60) == []
        assert store.temporary_bytes() == len(DATA)

    def test_a_reader_sees_what_is_written_later(self, store: BlobStore) -> None:
        writer = store.open_writer("one")
        with writer.open_reader() as file:
            assert file.fileno() >= 0
            assert file.read() == b""
            writer.write(DATA[:100])
            assert file.read() == DATA[:100]
            writer.write(DATA[100:])
            writer.commit()
            assert file.read() == DATA[100:]

    def test_a_reader_outlives_what_is_cancelled(self, store: BlobStore) -> None:
        writer = write(store, "one", DATA)
        with writer.open_reader() as file:
            writer.cancel()
            assert file.read() == DATA
