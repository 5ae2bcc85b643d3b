"""Promises: a client was told that something is stored, and does not send it."""

import time
from collections.abc import Sequence

from repoman.content_records import find_promised, find_referenced, save_promised
from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.errors import StorageFull, Unavailable

PROMISE_INTERVAL_S = 3600.0  # A promise is written at most once in this time for one asset.


class Promises:
    """The promises of one repository; thread safe."""

    def __init__(self, database: Database, repository_id: int) -> None:
        self._database = database
        self._repository = repository_id
        # Lists, since no topic moves when a promise is written.
        self._known: ReadCache[list[float | None]] = ReadCache(database, repository_id)

    def make(self, path: str, keepers: Sequence[str]) -> bool:
        """Note that a client relies on the asset at a path; return whether it is there.

        ``keepers`` are the kinds of references that keep it.
        """
        known = self._known.get(path, lambda: [find_promised(self._repository, path)])
        promised_at, now = known[0], time.time()
        if promised_at is None or 0 <= now - promised_at < PROMISE_INTERVAL_S:
            return promised_at is not None
        try:
            with self._database.brief_waits():
                is_there = self._write(path, now)
        except (StorageFull, Unavailable):
            if find_referenced(self._repository, [path], keepers):
                return True
            is_there = self._write(path, now)
        known[0] = now if is_there else None
        return is_there

    def _write(self, path: str, now: float) -> bool:
        with self._database.transaction(touches=()):
            return save_promised(self._repository, path, now)
