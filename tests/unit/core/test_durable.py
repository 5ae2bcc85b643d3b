"""Files that are written whole or not at all, and directories that nobody else may write to."""

import errno
import fcntl
import os
import shutil
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from repoman import durable
from repoman.durable import (
    FS_IOC_GETFLAGS,
    FS_TOPDIR_FL,
    NewFile,
    make_directory,
    make_directory_apart,
    replace_files,
)


@pytest.fixture
def no_umask():
    mask = os.umask(0)
    yield
    os.umask(mask)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_no_parent_is_writable_for_others_whatever_the_umask(tmp_path, no_umask):
    assert make_directory(tmp_path / "a/b/c", 0o700)
    assert not make_directory(tmp_path / "a/b/c", 0o700)
    assert [mode_of(tmp_path / each) for each in ("a", "a/b", "a/b/c")] == [0o755, 0o755, 0o700]


@pytest.mark.parametrize("path", ["file", "file/below", "link/below"])
def test_what_is_no_directory_is_not_taken_for_one(tmp_path, path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError):
        make_directory(tmp_path / path)


def flags_of(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return struct.unpack("I", fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(4)))[0]
    finally:
        os.close(fd)


def test_a_directory_apart_is_made_where_ext4_puts_it_apart(tmp_path):
    assert make_directory_apart(tmp_path / "store/uploads")
    (tmp_path / "store/uploads/a").touch()
    assert not make_directory_apart(tmp_path / "store/uploads")
    assert [each.name for each in tmp_path.rglob("*")] == ["store", "uploads", "a"]
    kind = subprocess.check_output([shutil.which("stat"), "-f", "-c", "%T", tmp_path], text=True)
    if kind.strip() == "ext2/ext3":  # stat(1) calls ext4 so, too.
        assert flags_of(tmp_path / "store") & FS_TOPDIR_FL


def test_a_directory_apart_keeps_what_its_parent_has(tmp_path, monkeypatch):
    def ioctl(fd, request, flags):
        if request == FS_IOC_GETFLAGS:
            struct.pack_into("I", flags, 0, 0x80000)
        else:
            found.append(struct.unpack_from("I", flags)[0])

    found = []
    monkeypatch.setattr(durable.fcntl, "ioctl", ioctl)
    make_directory_apart(tmp_path / "uploads")
    assert found == [0x80000 | FS_TOPDIR_FL]


def refuse(*_, **__):
    raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))


@pytest.mark.parametrize("what", ["fcntl.ioctl", "pathlib.Path.rename", "pathlib.Path.rmdir"])
def test_a_directory_apart_is_made_on_any_file_system(tmp_path, monkeypatch, no_umask, what):
    (tmp_path / "uploads.0123456789abcdef.new").mkdir()
    monkeypatch.setattr(what, refuse)
    assert make_directory_apart(tmp_path / "uploads")
    assert mode_of(tmp_path / "uploads") == 0o755


def test_a_directory_apart_has_another_name_first_and_a_kill_leaves_it(tmp_path, monkeypatch):
    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.rename", kill)
        with pytest.raises(KeyboardInterrupt):
            make_directory_apart(tmp_path / "uploads")
    [left] = tmp_path.iterdir()
    assert left.name not in ("uploads", "uploads.new")
    others = {"uploads.mine.new", "uploads.0123456789abcdef.new", "uploads.fedcba9876543210.new"}
    for each in sorted(others):
        (tmp_path / each).mkdir()
    (tmp_path / "uploads.0123456789abcdef.new" / "file").touch()
    (tmp_path / "uploads.fedcba9876543210.new").rmdir()
    (tmp_path / "uploads.fedcba9876543210.new").touch()
    assert make_directory_apart(tmp_path / "uploads")
    assert {each.name for each in tmp_path.iterdir()} == {"uploads", *others}


def test_a_directory_apart_may_be_made_by_another_process_meanwhile(tmp_path, monkeypatch):
    path, rename = tmp_path / "uploads", Path.rename

    def faster(new, target):
        (path / "file").parent.mkdir()
        (path / "file").touch()
        return rename(new, target)

    monkeypatch.setattr(Path, "rename", faster)
    assert not make_directory_apart(path)
    assert [each.name for each in tmp_path.rglob("*")] == ["uploads", "file"]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_directory_does_not_become_one_apart(tmp_path, kind):
    path = tmp_path / "uploads"
    path.touch() if kind == "file" else path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError):
        make_directory_apart(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_its_own_mode_and_not_that_of_the_one_before(tmp_path, no_umask):
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o666)
    replace_files(NewFile(path, b"new"))
    assert (path.read_text(), mode_of(path)) == ("new", 0o600)


@pytest.mark.parametrize("name", ["fsync", "open", "replace"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_failure_leaves_no_new_file_behind_and_is_not_forgotten(tmp_path, monkeypatch, name, nth):
    files = [NewFile(tmp_path / each, b"new") for each in ("server.key", "server.crt")]
    for file in files:
        file.path.write_text("old")
    real, calls = getattr(os, name), []

    def call(*arguments, **options):
        calls.append(arguments)
        if len(calls) == nth:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, call)
        with pytest.raises(OSError, match="Input/output error"):
            replace_files(*files)
    assert {path.name for path in tmp_path.iterdir()} == {"server.key", "server.crt"}
    if name != "replace":
        assert {file.path.read_text() for file in files} == {"old"}
    replace_files(*files)
    assert {file.path.read_text() for file in files} == {"new"}
