"""Purge: removes the content of deleted repositories, in many short transactions.

A deleted repository is a tombstone: a row that lost its name and is not served. If the purge is
killed, the next one continues with what is left; the row is removed last.
"""

import time
from collections.abc import Callable

from repoman.blobs.manager import BlobStoreManager
from repoman.db.database import Database
from repoman.repositories import repository_records as records
from repoman.threads import Progress

ROWS_MAX = 300  # Rows that one transaction removes at most; triggers change others with them.
ROWS_MIN = 20  # Rows that one transaction removes at least, however slow it is.
TRANSACTION_S = 0.025  # A transaction that takes longer makes the next one smaller.
PAUSE_S = 0.02  # The pause after each transaction, in which others can write.
UPLOADS_BATCH = 100  # Upload sessions that are removed together.


class Purge:
    """Removes the content of tombstones; one at a time.

    Args:
        ticks: seconds that never run backwards.
    """

    def __init__(
        self,
        database: Database,
        stores: BlobStoreManager,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._stores = stores
        self._ticks = ticks

    def run(self, context: Progress) -> int:
        """Remove all tombstones with their content, and return how many there were.

        Raises:
            RepomanError: the database or a blob store cannot be used; the next call continues.
        """
        count = 0
        for repository_id, name in records.list_buried():
            self._remove_uploads(repository_id, context)
            size = records.own_size(repository_id)
            self._remove_content(repository_id, name, context)
            with self._database.transaction():
                records.delete_row(repository_id)
            context.freed(size)
            count += 1
        return count

    def _remove_uploads(self, repository_id: int, context: Progress) -> None:
        known = self._stores.names()
        while uploads := records.list_uploads(repository_id, UPLOADS_BATCH):
            for upload_id, store in uploads:
                if store in known:
                    self._stores.get(store).open_writer(upload_id).cancel()
            with self._database.transaction():
                records.delete_uploads(upload_id for upload_id, _ in uploads)
            context.pause(PAUSE_S)

    def _remove_content(self, repository_id: int, name: str, context: Progress) -> None:
        total, done, size = records.count_content(repository_id), 0, ROWS_MIN
        while True:
            # A power cut may undo the last steps; the next purge repeats them.
            with self._database.transaction(repository=repository_id, is_durable=False):
                begin = self._ticks()
                count = records.delete_content(repository_id, size)
            if not count:
                return
            done += count
            size = _next_size(size, self._ticks() - begin)
            context.progress(done, total, name)
            context.pause(PAUSE_S)


def _next_size(size: int, seconds: float) -> int:
    """Return the size of the next batch, after one of ``size`` rows that took ``seconds``."""
    fitting = int(size * TRANSACTION_S / max(seconds, 0.001))
    return max(ROWS_MIN, min(fitting, size * 2, ROWS_MAX))
