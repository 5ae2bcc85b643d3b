"""The audit log as a file of JSON lines: it follows the table, so it has what every process wrote.

How far it has come is in the database and moves once the lines are on disk: a kill in between has
the next start write some lines again, under the same ``id``, and never leaves one out.
"""

import json
import logging
import os
from operator import itemgetter
from pathlib import Path
from typing import Any

from repoman.config import AuditSettings
from repoman.db.database import Database
from repoman.durable import PRIVATE_FILE_MODE, make_directory, sync_directory
from repoman.errors import RepomanError
from repoman.events.event_records import MAX_ID
from repoman.events.follower import Follower
from repoman.security import audit_records as records

_log = logging.getLogger(__name__)


class AuditFile:
    """The file; for one thread of the one process that serves.

    It is opened again for each batch, so logrotate can rename it without telling the server.
    At ``audit.file_size`` it becomes the file with ``.1`` added, in place of the one before.
    """

    def __init__(self, database: Database, settings: AuditSettings, data: Path) -> None:
        self._path = data / settings.file if settings.file else None
        self._size = settings.file_size
        self._follower = Follower(
            database, "audit file", records.list_after, itemgetter("id"), self._write
        )
        self._is_failing = False
        self._is_stuck = False  # Whether the file could not be renamed the last time.

    def follow(self) -> None:
        """Add the next events that the file does not have; what fails is tried again."""
        if self._path is None:
            return
        try:
            self._follower.follow()
            self._is_failing = False
        except (OSError, RepomanError) as error:
            if not self._is_failing:
                _log.error("The audit log cannot be written to %s: %s", self._path, error)
            self._is_failing = True

    def position(self) -> int:
        """Return the id of the last event that the file has, or any later one without a file."""
        return MAX_ID if self._path is None else self._follower.position

    def _write(self, rows: list[dict[str, Any]]) -> bool:
        if self._path is not None:
            self._append(self._path, "".join(map(render_line, rows)))
        return True

    def _append(self, path: Path, text: str) -> None:
        make_directory(path.parent)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        fd = os.open(path, flags, PRIVATE_FILE_MODE)
        with os.fdopen(fd, "ab", buffering=0) as file:
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                text = f"\n{text}"  # A power cut has torn the last line, which is written again.
            try:
                _write_all(fd, text.encode())
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, size)  # the next attempt begins on a line of its own
                raise
            is_full = file.tell() >= self._size
        if is_full:
            self._rotate(path)
        if is_full or not size:
            sync_directory(path.parent)

    def _rotate(self, path: Path) -> None:
        """Give the file its other name; if that fails, it grows on: its lines are on the disk."""
        try:
            path.replace(path.with_name(path.name + ".1"))
            self._is_stuck = False
        except OSError as error:
            if not self._is_stuck:
                _log.error("The audit log %s cannot be renamed: %s", path, error)
            self._is_stuck = True


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def render_line(row: dict[str, Any]) -> str:
    """Return an event as a line; ``at`` is in seconds since the epoch."""
    return json.dumps(row, separators=(",", ":")) + "\n"
