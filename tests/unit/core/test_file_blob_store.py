"""What is particular to blobs as files: the layout, durability, and a disk that fails."""

import contextlib
import errno
import hashlib
import os
from pathlib import Path

import pytest

from repoman.blobs.file import FileBlobStore, storage_errors
from repoman.errors import NotFound, StorageFull, Unavailable
from tests.disk import room_for

DATA = bytes(range(256)) * 64


def files_below(directory):
    return {
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    }


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


def test_a_writer_that_waits_holds_no_file(blobs, tmp_path):
    def open_files():
        return sum(name.startswith(f"{tmp_path}/blobs/") for name in names_of_open_files())

    writers = [blobs.open_writer(str(number)) for number in range(5)]
    for writer in writers:
        writer.write(DATA)
    assert open_files() == 5
    for writer in writers:
        writer.pause()
    assert open_files() == 0
    writers[0].commit()
    writers[1].cancel()
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


def test_an_upload_goes_on_when_there_is_room_again(blobs):
    writer = blobs.open_writer("one")
    with room_for(10_000), pytest.raises(StorageFull):
        writer.write(DATA)
    writer.write(DATA[writer.size :])
    assert writer.commit().digest == hashlib.sha256(DATA).hexdigest()


def test_what_a_full_disk_took_is_found_after_a_restart(blobs, tmp_path):
    writer = blobs.open_writer("one")
    with room_for(10_000), pytest.raises(StorageFull):
        writer.write(DATA)
    writer.pause()
    assert FileBlobStore(tmp_path / "blobs").open_writer("one").size == 10_000


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
def test_the_errors_of_the_system_are_said_in_the_words_of_the_core(tmp_path, number, kind):
    with pytest.raises(kind), storage_errors(tmp_path):
        raise OSError(number, os.strerror(number))


def test_a_store_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(Unavailable, match="Not a directory"):
        FileBlobStore(tmp_path / "taken" / "blobs")


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


def test_an_upload_that_another_process_dropped_does_not_begin_anew(blobs, tmp_path):
    writer = blobs.open_writer("one")
    writer.write(DATA)
    writer.pause()
    (tmp_path / "blobs/uploads/one").unlink()
    with pytest.raises(NotFound):
        writer.write(DATA)
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
    with pytest.raises(Unavailable, match="directory of the blob store is gone"):
        blobs.open_writer("one").write(DATA)


def test_a_disk_that_fails_is_no_absence(blobs, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", fail)
        with pytest.raises(Unavailable, match="Input/output error"):
            blobs.exists("0" * 64)


def test_a_store_that_takes_no_lock_is_served_all_the_same(tmp_path, monkeypatch, caplog):
    def flock(fd, how):
        raise OSError(errno.EBADF, "no lock here")

    monkeypatch.setattr("repoman.blobs.file.fcntl.flock", flock)
    with FileBlobStore(tmp_path).claim():
        assert "is not locked against other servers" in caplog.text
