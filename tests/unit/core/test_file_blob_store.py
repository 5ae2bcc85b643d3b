"""What is particular to blobs as files: the layout, durability, and a disk that fails."""

import contextlib
import errno
import hashlib
import os
from pathlib import Path

import pytest

from repoman.blobs.file_writer import KEPT_OPEN, KEPT_OPEN_BYTES, storage_errors
from repoman.errors import NotFound, StorageFull, Unavailable
from tests.disk import file_store, room_for

DATA = bytes(range(256)) * 64
LARGE = bytes(KEPT_OPEN_BYTES + 1)


def files_below(directory):
    return {
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    } - {"store.json"}


def names_of_open_files():
    for entry in list(Path("/proc/self/fd").iterdir()):
        # Other threads and the garbage collector close theirs at any time.
        with contextlib.suppress(FileNotFoundError):
            yield str(entry.readlink())


def test_a_blob_lies_under_its_digest_and_an_upload_under_its_id(blobs, tmp_path):
    writer = blobs.open_writer("an-id")
    writer.write(DATA)
    assert files_below(tmp_path / "blobs") == {"uploads/an-id"}
    digest = writer.commit().digest
    assert files_below(tmp_path / "blobs") == {f"sha256/{digest[:2]}/{digest}"}


def test_bytes_are_on_disk_before_the_name_and_the_name_before_the_answer(blobs, monkeypatch):
    steps = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(fd):
        steps.append("sync " + ("directory" if Path(f"/proc/self/fd/{fd}").is_dir() else "file"))
        real_fsync(fd)

    def rename(source, target, **options):
        steps.append("rename")
        real_rename(source, target, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    writer = blobs.open_writer("one")
    writer.write(DATA)
    writer.commit()
    assert steps == ["sync file", "rename", "sync directory"]


def test_a_blob_is_readable_by_the_owner_alone(blobs, tmp_path):
    digest = blobs.open_writer("one").commit().digest
    mode = (tmp_path / "blobs/sha256" / digest[:2] / digest).stat().st_mode
    assert mode & 0o777 == 0o600


@pytest.fixture
def open_files(tmp_path):
    """Returns how many files of the blob store this process has open."""

    def count():
        return sum(name.startswith(f"{tmp_path}/blobs/") for name in names_of_open_files())

    return count


def test_a_writer_of_a_large_file_that_waits_holds_no_file(blobs, open_files):
    writers = [blobs.open_writer(str(number)) for number in range(5)]
    for writer in writers:
        writer.write(LARGE)
    assert open_files() == 5
    for writer in writers:
        writer.pause()
    assert open_files() == 0
    writers[0].commit()
    writers[1].cancel()
    assert open_files() == 0


def test_a_small_file_stays_open_until_it_is_synced_once(blobs, open_files, monkeypatch):
    calls = []
    monkeypatch.setattr(os, "fsync", note(calls, "fsync"))
    writer = blobs.open_writer("one")
    for _ in range(3):
        writer.write(DATA)
        writer.pause()
    assert (calls, open_files()) == ([], 1)
    writer.commit()
    assert (calls, open_files()) == (["fsync"] * 2, 0)


def test_few_small_files_stay_open_and_none_of_a_writer_that_is_gone(blobs, open_files):
    writers = [blobs.open_writer(str(number)) for number in range(KEPT_OPEN + 5)]
    for writer in writers:
        writer.write(DATA)
        writer.pause()
    assert open_files() == KEPT_OPEN
    writers[0].cancel()
    writers[1].commit()
    del writer, writers[2]
    assert open_files() == KEPT_OPEN - 3
    writers[-1].write(DATA)
    writers[-1].pause()
    assert open_files() == KEPT_OPEN - 2
    writers.clear()
    assert open_files() == 0


def test_a_full_disk_keeps_what_it_took_and_size_and_digest_say_so(blobs):
    writer = blobs.open_writer("one")
    with room_for(10_000), pytest.raises(StorageFull):
        writer.write(DATA)
    assert writer.size == 10_000
    assert writer.hexdigest("sha256") == hashlib.sha256(DATA[:10_000]).hexdigest()


def test_room_is_what_the_file_system_has_left(blobs, tmp_path):
    state = os.statvfs(tmp_path)
    writer = blobs.open_writer("one")
    writer.check_room(state.f_bavail * state.f_frsize // 2)
    with pytest.raises(StorageFull):
        writer.check_room(state.f_blocks * state.f_frsize + 1)


def fail_once(monkeypatch, name, number=errno.EIO, nth=1):
    """Have the nth call of a function of ``os`` fail, as a disk does that is well afterwards."""
    real, calls = getattr(os, name), []

    def call(*arguments, **options):
        calls.append(arguments)
        if len(calls) == nth:
            if name == "close":
                real(*arguments)
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, call)


STEPS = {  # what a writer does, and the call of the system that fails in it
    "look at the room": ("statvfs", 1, lambda writer: writer.check_room(1)),
    "write": ("write", 1, lambda writer: writer.write(DATA)),
    "early writeback": ("posix_fadvise", 1, lambda writer: writer.write(bytes(1 << 25))),
    "sync at a pause": ("fsync", 1, lambda writer: writer.pause()),
    "close at a pause": ("close", 1, lambda writer: writer.pause()),
    "read again": ("preadv", 1, lambda writer: writer.hexdigest("sha512")),
    "sync": ("fsync", 1, lambda writer: writer.commit()),
    "close": ("close", 1, lambda writer: writer.commit()),
    "rename": ("rename", 1, lambda writer: writer.commit()),
    "sync of the directory": ("fsync", 2, lambda writer: writer.commit()),
}


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("step", STEPS)
def test_whatever_fails_ends_the_writer_though_the_system_succeeds_the_next_time(
    blobs, tmp_path, monkeypatch, step, number
):
    name, nth, run = STEPS[step]
    writer = blobs.open_writer("one")
    writer.write(LARGE)
    fail_once(monkeypatch, name, number, nth)
    with pytest.raises(StorageFull if number == errno.ENOSPC else Unavailable):
        run(writer)
    for again in (writer.commit, lambda: writer.write(DATA), lambda: writer.check_room(0)):
        with pytest.raises((Unavailable, NotFound)):
            again()
    writer.pause()
    writer.cancel()
    assert not list((tmp_path / "blobs/uploads").iterdir())
    writer = blobs.open_writer("one")
    writer.write(DATA)
    assert writer.commit().size == len(DATA)


def test_bytes_are_on_disk_before_their_file_is_closed(blobs, monkeypatch):
    """A descriptor that is opened later may not learn of a writeback that failed."""
    writer = blobs.open_writer("one")
    writer.write(LARGE)
    calls = []
    real_fsync, real_close = os.fsync, os.close
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("sync"), real_fsync(fd)))
    monkeypatch.setattr(os, "close", lambda fd: (calls.append("close"), real_close(fd)))
    writer.pause()
    assert calls == ["sync", "close"]
    writer.commit()  # which has only the directory to sync: nothing was written since
    assert calls == ["sync", "close", "sync", "close"]


def test_after_a_restart_the_digest_is_that_of_what_the_disk_has(blobs, tmp_path, monkeypatch):
    """The process before may have been told of a failure, and killed."""
    blobs.open_writer("one").write(DATA)
    calls = []
    for name in ("fsync", "posix_fadvise", "preadv"):
        monkeypatch.setattr(os, name, note(calls, name))
    again = file_store(tmp_path / "blobs").open_writer("one")
    assert again.hexdigest("sha256") == hashlib.sha256(DATA).hexdigest()
    assert calls[:3] == ["fsync", "posix_fadvise", "preadv"]


def note(calls, name):
    real = getattr(os, name)

    def call(*arguments):
        calls.append(name)
        return real(*arguments)

    return call


def test_a_full_disk_ends_the_writer(blobs):
    writer = blobs.open_writer("one")
    with room_for(10_000), pytest.raises(StorageFull):
        writer.write(DATA)
    with pytest.raises(Unavailable, match="Start a new one"):
        writer.write(DATA[writer.size :])


def test_what_a_full_disk_took_is_found_after_a_restart(blobs, tmp_path):
    writer = blobs.open_writer("one")
    with room_for(10_000), pytest.raises(StorageFull):
        writer.write(DATA)
    writer.pause()
    assert file_store(tmp_path / "blobs").open_writer("one").size == 10_000


def test_blobs_from_before_are_readable_on_a_full_disk(blobs):
    writer = blobs.open_writer("one")
    writer.write(b"before")
    digest = writer.commit().digest
    with room_for(0):
        with pytest.raises(StorageFull):
            blobs.open_writer("two").write(DATA)
        with blobs.open(digest) as file:
            assert file.read() == b"before"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EFBIG, StorageFull),
        (errno.EROFS, Unavailable),
        (errno.EIO, Unavailable),
        (errno.EACCES, Unavailable),
    ],
)
def test_the_errors_of_the_system_are_said_in_the_words_of_the_core(number, kind):
    with pytest.raises(kind), storage_errors():
        raise OSError(number, os.strerror(number))


def test_a_store_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(Unavailable, match="Not a directory"):
        file_store(tmp_path / "taken" / "blobs")


@pytest.mark.parametrize("is_paused", [True, False])
def test_an_upload_that_another_process_dropped_becomes_no_blob(blobs, tmp_path, is_paused):
    writer = blobs.open_writer("one")
    writer.write(DATA)
    if is_paused:
        writer.pause()
    (tmp_path / "blobs/uploads/one").unlink()
    with pytest.raises(NotFound):
        writer.commit()
    writer.cancel()
    assert files_below(tmp_path / "blobs") == set()


def store(writer, data):
    writer.write(data)
    writer.commit()


@pytest.mark.parametrize("data", [DATA, LARGE], ids=["small", "large"])
def test_an_upload_that_another_process_dropped_does_not_begin_anew(blobs, tmp_path, data):
    writer = blobs.open_writer("one")
    writer.write(data)
    writer.pause()
    (tmp_path / "blobs/uploads/one").unlink()
    with pytest.raises(NotFound):
        store(writer, DATA)
    assert files_below(tmp_path / "blobs") == set()


def test_an_upload_that_another_process_wrote_to_becomes_no_blob(blobs, tmp_path):
    writer = blobs.open_writer("one")
    writer.write(DATA)
    with (tmp_path / "blobs/uploads/one").open("ab") as file:
        file.write(b"more")
    with pytest.raises(Unavailable):
        writer.commit()
    writer.cancel()
    assert files_below(tmp_path / "blobs") == set()


def test_a_directory_that_is_gone_is_no_absence(blobs, tmp_path):
    (tmp_path / "blobs").rename(tmp_path / "away")
    with pytest.raises(Unavailable, match="directory of the blob store is missing"):
        blobs.open_writer("one").write(DATA)


def test_a_disk_that_fails_is_no_absence(blobs, monkeypatch):
    for name, ask in (("lstat", blobs.stat), ("open", blobs.open)):
        with monkeypatch.context() as patch:
            fail_once(patch, name)
            with pytest.raises(Unavailable, match="Input/output error"):
                ask("0" * 64)


def make_fifo(path):
    os.mkfifo(path)


def make_link(path):
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize("make", [Path.mkdir, make_fifo, make_link])
def test_what_is_no_plain_file_is_no_blob_and_makes_way_for_one(blobs, tmp_path, make):
    digest = hashlib.sha256(DATA).hexdigest()
    path = tmp_path / "blobs/sha256" / digest[:2] / digest
    make(path)
    assert blobs.stat(digest) is None
    with pytest.raises(NotFound):
        blobs.open(digest)
    writer = blobs.open_writer("one")
    writer.write(DATA)
    writer.commit()
    with blobs.open(digest) as file:
        assert file.read() == DATA


@pytest.mark.parametrize("gone", [".", "sha256", "sha256/00", "uploads"])
def test_a_directory_that_is_gone_or_no_directory_is_no_absence(blobs, tmp_path, gone):
    path = tmp_path / "blobs" / gone
    uploads = [lambda: blobs.open_writer("one").check_room(1), lambda: blobs.sweep_writers(())]
    reads = [lambda: blobs.stat("0" * 64), lambda: blobs.open("0" * 64)]
    reads += [lambda: list(blobs.list_digests("00"))]
    reads += [lambda: blobs.detach("0" * 64, "two", 1e12)]
    ways = {".": uploads + reads, "uploads": uploads}.get(gone, reads)
    path.rename(tmp_path / "away")
    for _ in range(2):
        for way in ways:
            with pytest.raises(Unavailable):
                way()
        path.write_text("a file") if not path.exists() else None


def test_a_start_passes_over_what_is_no_upload(blobs, tmp_path, caplog):
    (tmp_path / "blobs/uploads/lost+found").mkdir()
    (tmp_path / "blobs/uploads/left").touch()
    assert blobs.sweep_writers(()) == 1
    assert "lost+found could not be removed" in caplog.text


def test_an_identity_that_cannot_be_read_is_none_of_a_database(blobs, tmp_path):
    for text in ("", "{", "[]", '{"name": 1}', "\x00"):
        (tmp_path / "blobs/store.json").write_text(text)
        assert blobs.identity() == ""


def test_no_directory_is_writable_for_others_whatever_the_umask(tmp_path):
    mask = os.umask(0)
    try:
        file_store(tmp_path / "deep/down/blobs").open_writer("one").commit()
    finally:
        os.umask(mask)
    found = {path: path.stat().st_mode & 0o022 for path in (tmp_path / "deep").rglob("*")}
    assert not any(found.values())


def test_a_store_that_takes_no_lock_is_served_all_the_same(tmp_path, monkeypatch, caplog):
    def flock(fd, how):
        raise OSError(errno.EBADF, "no lock here")

    monkeypatch.setattr("repoman.blobs.file.fcntl.flock", flock)
    with file_store(tmp_path).lock_exclusively():
        assert "cannot be locked against other servers" in caplog.text


def test_a_blob_whose_state_the_disk_does_not_tell_leaves_no_file_open(blobs, monkeypatch):
    writer = blobs.open_writer("an-id")
    writer.write(DATA)
    digest = writer.commit().digest

    def fail(fd):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", fail)
        with pytest.raises(Unavailable):
            blobs.open(digest)
    assert not any(digest in name for name in names_of_open_files())


def test_what_is_committed_while_it_is_detached_stays(blobs, monkeypatch, tmp_path):
    blobs.open_writer("old").commit()
    rename = Path.rename

    def commit_and_rename(path, target):
        digests.append(blobs.open_writer("new").commit().digest)
        return rename(path, target)

    digests = []
    digest = hashlib.sha256(b"").hexdigest()
    monkeypatch.setattr(Path, "rename", commit_and_rename)
    assert not blobs.detach(digest, "aside", 1e12)
    assert digests == [digest]
    assert files_below(tmp_path / "blobs") == {f"sha256/{digest[:2]}/{digest}"}
