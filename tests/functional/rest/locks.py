"""Whether another process could have changed what a request or command reads, before it writes."""

import sqlite3
from contextlib import closing
from pathlib import Path


def note_locks(monkeypatch, kind, data: Path) -> list[bool]:
    """Return a list that gets, for each call of ``kind.get``, whether nobody else can write."""
    read, locks = kind.get, []

    def get(self, name):
        found = read(self, name)
        with closing(sqlite3.connect(data / "repoman.db", timeout=0)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
                locks.append(False)
            except sqlite3.OperationalError:
                locks.append(True)
        return found

    monkeypatch.setattr(kind, "get", get)
    return locks
