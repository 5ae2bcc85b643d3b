"""The services together: restart, sweep, and what other processes do meanwhile."""

import sqlite3
from contextlib import closing

import pytest

from repoman.blobs.upload import BlobUpload
from repoman.errors import Unavailable


@pytest.fixture
def uploads(repoman):
    """The files of bodies on their way in."""
    return lambda: {path.name for path in (repoman.data / "blobs/default/uploads").iterdir()}


def test_what_a_crash_left_is_swept_and_open_sessions_stay(repoman, repoman_factory, toy, uploads):
    context = repoman.repositories.get("Team").service
    BlobUpload(context.blobs).write(b"cut off")
    upload = context.uploads.create("app", "ann")
    with context.uploads.open_sink(upload) as sink:
        sink.write(b"half")
    assert len(uploads()) == 2
    again = repoman_factory({"toy": toy})
    again.sweep()
    assert uploads() == {upload.id}
    sessions = again.repositories.get("Team").service.uploads
    assert sessions.offset(sessions.get(upload.id, "app", "ann")) == 4


def test_a_refresh_takes_over_what_other_processes_changed(repoman):
    with closing(sqlite3.connect(repoman.data / "repoman.db")) as other, other:
        other.execute("update repository set is_online = 0")
        other.execute("update revision set value = value + 1 where name = 'repositories'")
    assert repoman.repositories.get("Team").config.is_online
    repoman.refresh()
    assert not repoman.repositories.get("Team").config.is_online


def test_data_that_cannot_be_had_end_the_start(repoman_factory, tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(Unavailable):
        repoman_factory()
