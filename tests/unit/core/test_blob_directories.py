"""Where a new blob store may lie, and where not."""

import pytest

from repoman.blobs.directories import check_apart, find_directory, prepare_directory
from repoman.errors import Invalid


@pytest.fixture
def data(tmp_path):
    directory = tmp_path / "data"
    (directory / "blobs" / "default").mkdir(parents=True)
    (directory / "keys").mkdir()
    return directory


@pytest.mark.parametrize("path", ["new", "deep/er/new", "./new", "new/"])
def test_a_relative_path_is_below_the_blobs(data, path):
    found = find_directory(path, data)
    assert found.is_relative_to(data / "blobs")
    assert found.name == "new"


@pytest.mark.parametrize(
    "path",
    ["", " ", ".", "..", "../keys", "../../elsewhere", "a/../b", "x\0y", "a\nb", "\ud800"],
)
def test_a_relative_path_stays_there(data, path):
    with pytest.raises(Invalid) as caught:
        find_directory(path, data)
    assert caught.value.field == "path"


def test_an_absolute_path_leads_away_from_the_data(data, tmp_path):
    assert find_directory(str(tmp_path / "disk"), data) == tmp_path / "disk"
    assert find_directory(str(data / "blobs" / "x"), data) == data / "blobs" / "x"
    for path in (data, data / "keys", data / "keys" / "x", data / "blobs", tmp_path, "/"):
        with pytest.raises(Invalid, match="outside of the data directory"):
            find_directory(str(path), data)


def test_a_link_does_not_lead_out(data, tmp_path):
    (data / "blobs" / "out").symlink_to(tmp_path)
    (data / "blobs" / "keys").symlink_to(data / "keys")
    (data / "blobs" / "loop").symlink_to(data / "blobs" / "loop")
    for path in ("out", "out/x", "keys", "loop/x"):
        with pytest.raises(Invalid):
            find_directory(path, data)


def test_the_data_may_be_behind_a_link(data, tmp_path):
    (tmp_path / "link").symlink_to(data)
    assert find_directory("new", tmp_path / "link") == data / "blobs" / "new"
    with pytest.raises(Invalid):
        find_directory(str(data / "keys"), tmp_path / "link")


def test_what_an_attempt_left_that_was_killed_is_nothing_else(data):
    directory = data / "blobs" / "default"
    (directory / "uploads.0123456789abcdef.new").mkdir()
    assert not prepare_directory(directory)
    for other in ("uploads.mine.new", "photos.0123456789abcdef.new"):
        (directory / other).mkdir()
        with pytest.raises(Invalid, match=other):
            prepare_directory(directory)
        (directory / other).rmdir()
    (directory / "uploads.0123456789abcdef.new" / "file").touch()
    with pytest.raises(Invalid, match="contains other files"):
        prepare_directory(directory)


@pytest.mark.parametrize("path", ["default", "default/inside", "around"])
def test_stores_do_not_overlap(data, path):
    others = [("default", data / "blobs" / "default"), ("in", data / "blobs" / "around" / "in")]
    with pytest.raises(Invalid, match=r"overlaps with the blob store '(default|in)'"):
        check_apart(find_directory(path, data), others)
    check_apart(find_directory("defaults", data), others)


def test_only_an_empty_directory_is_taken(data):
    new = data / "blobs" / "a" / "b"
    assert prepare_directory(new) is True
    assert prepare_directory(new) is False
    for name in ("sha256", "uploads", "lost+found"):  # of an attempt that was killed, or a new disk
        (new / name).mkdir()
    assert prepare_directory(new) is False
    (new / "photos").mkdir()
    with pytest.raises(Invalid, match="contains other files, such as 'photos'"):
        prepare_directory(new)


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300])
def test_what_cannot_be_a_directory_is_told(data, name):
    (data / "blobs" / "file").touch()
    with pytest.raises(Invalid, match="cannot be used"):
        prepare_directory(data / "blobs" / name)
