"""The file of the audit log on a disk that fails."""

import errno
import json
import os
from dataclasses import asdict

import pytest

from repoman.config import AuditSettings
from repoman.security import audit_records as records
from repoman.security.audit import Event
from repoman.security.audit_file import AuditFile

LINES = '{"id":1}\n{"id":2}\n'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log/audit.jsonl"


@pytest.fixture
def append(database, tmp_path, path):
    """Add lines to the file."""
    file = AuditFile(database, AuditSettings(file="log/audit.jsonl"), tmp_path)
    return lambda text: file._append(path, text)


@pytest.mark.parametrize("name", ["write", "fsync"])
def test_what_a_failing_disk_took_of_some_lines_is_not_left_before_the_next_ones(
    append, path, monkeypatch, name
):
    append('{"id":0}\n')
    real = getattr(os, name)

    def fail(fd, *data):
        if data:
            real(fd, data[0][:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(OSError, match="No space left"):
            append(LINES)
    append(LINES)
    assert path.read_text() == '{"id":0}\n' + LINES


def test_a_file_that_cannot_be_renamed_grows_on_and_has_each_event_once(
    database, tmp_path, path, caplog
):
    settings = AuditSettings(file="log/audit.jsonl", file_size=1_000_000)
    file = AuditFile(database, settings, tmp_path)
    path.with_name("audit.jsonl.1").mkdir(parents=True)
    path.write_text(" " * 1_000_000 + "\n")
    for number in range(2):
        with database.transaction():
            records.insert_events([asdict(Event("user", f"change{number}", "admin"))])
        file.follow()
        file.follow()
    lines = path.read_text().splitlines()[1:]
    assert [json.loads(line)["type"] for line in lines] == ["change0", "change1"]
    assert caplog.text.count("cannot be renamed") == 1


def test_a_new_file_is_on_the_disk_with_its_name(append, path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), real(fd)))
    append(LINES)
    assert synced == [path.stat().st_ino, path.parent.stat().st_ino]
    append(LINES)
    assert synced[2:] == [path.stat().st_ino]


def test_a_line_that_a_power_cut_has_torn_takes_no_other_one_with_it(append, path):
    append(LINES)
    with path.open("a") as file:
        file.write('{"id":3')
    append('{"id":3}\n')
    append('{"id":4}\n')
    assert path.read_text().splitlines() == [*LINES.split(), '{"id":3', '{"id":3}', '{"id":4}']
