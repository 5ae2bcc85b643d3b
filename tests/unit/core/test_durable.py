"""Files that are written whole or not at all, and directories that nobody else may write to."""

import errno
import os
import stat

import pytest

from repoman.durable import NewFile, make_directory, replace_files


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
