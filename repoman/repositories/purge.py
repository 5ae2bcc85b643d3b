"""Purge: removes the content of deleted repositories, in many short transactions.

A deleted repository is a tombstone: a row that lost its name and is not served. If the purge is
killed, the next one continues with what is left; the row is removed last.
"""

import time
from collections.abc import Callable

from repoman.blobs.manager import BlobStoreManager
from repoman.db.database import Database
from repoman.repositories import repository_records as records
from repoman.search import merge_indexes
from repoman.threads import Progress

ROWS_MAX = 300  # Rows that one transaction removes at most; triggers change others with them.
STEP_ROWS = 20  # Rows that one statement removes.
TRANSACTION_S = 0.02  # A transaction that has taken so long removes nothing more.
PAUSE_S = 0.02  # The pause after each transaction, in which others can write.
MERGE_MIN = 10_000  # Search indexes are merged after so many components were removed,
MERGE_SHARE = 0.01  # or after this share of all components, if that is more.
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
        total, done = records.count_content(repository_id), 0
        indexed = records.count_components(repository_id)
        most = max(MERGE_MIN, MERGE_SHARE * records.count_components())
        while count := self._remove_rows(repository_id):
            done += count
            context.progress(done, total, name)
            context.pause(PAUSE_S)
            left = records.count_components(repository_id)
            if indexed - left >= most:
                indexed = left
                self._merge_indexes(context)

    def _merge_indexes(self, context: Progress) -> None:
        """Have the indexes for search forget what was removed.

        They note it beside what there was, and left to themselves drop both in a merge that ends
        once it has written some pages. Where hardly anything is left to be written, that is all of
        a large repository at once, while nobody else can write.
        """
        is_first = is_left = True
        while is_left:
            with self._database.transaction(touches=(), is_durable=False):
                is_left = merge_indexes(is_first=is_first)
            is_first = False
            context.pause(PAUSE_S)

    def _remove_rows(self, repository_id: int) -> int:
        """Remove rows in a transaction, as many as its time allows; return how many.

        What a row costs differs from table to table, and with what other threads do meanwhile.
        """
        count = 0
        # A power cut may undo the last steps; the next purge repeats them.
        with self._database.transaction(repository=repository_id, is_durable=False):
            end = self._ticks() + TRANSACTION_S
            while removed := records.delete_content(repository_id, STEP_ROWS):
                count += removed
                if count + STEP_ROWS > ROWS_MAX or self._ticks() >= end:
                    break
        return count
