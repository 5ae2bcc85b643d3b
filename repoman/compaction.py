"""Compaction: frees the disk space of unreferenced blobs.

A blob and its row go in one transaction, in which nothing can be stored that names it. Its bytes go
afterwards, since that may take a while; the next start removes what a crash leaves behind.
"""

import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice

from repoman import compaction_records as records
from repoman.blobs.manager import BlobStoreManager
from repoman.clocks import SLACK_S, ConfirmedClock
from repoman.db.database import Database
from repoman.errors import Unavailable
from repoman.identity import belongs
from repoman.threads import Periodic

GRACE = 300.0  # seconds that a blob stays: who has found it opens it, who commits it names it
INTERVAL = 30.0  # seconds between two looks
BATCH = 50  # blobs that go in one transaction
PAUSE = 0.05  # seconds between two batches, for others who want to write
# Seconds from the start until blobs without a row are removed: where an older copy of the database
# was put in place by mistake, it names none of the newer blobs.
SWEEP_DELAY_S = 86_400.0
PREFIXES = 256  # parts in which the blobs without a row are looked for, one at each look

_log = logging.getLogger(__name__)


class Compactor:
    """Frees the unreferenced blobs of all blob stores, from a thread of its own once started."""

    def __init__(
        self,
        database: Database,
        stores: BlobStoreManager,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._database = database
        self._stores = stores
        self._clock = clock or ConfirmedClock(slack=GRACE / 5, hold=2 * GRACE)
        self._prefixes = _prefixes()
        self._started_at = time.monotonic()
        self.thread = Periodic("compactor", self._look, INTERVAL)

    def start(self) -> None:
        """Compact repeatedly; only in the process that serves."""
        self.thread.start()

    def stop(self) -> None:
        """End the thread, if there is one, after the batch at hand."""
        self.thread.stop()

    def compact(self) -> int:
        """Free the blobs whose last asset was removed a while ago; return how many.

        Raises:
            RepomanError: the database or a blob store cannot be used; the next call continues.
        """
        count = 0
        for name in self._stores.names():
            self._correct_times(name)
            before = self._clock() - GRACE
            while digests := records.list_released(name, before, BATCH):
                count += self._free(name, digests)
                if self.thread.is_stopping(within=PAUSE):
                    break
        return count

    def sweep(self, prefix: str) -> int:
        """Free the blobs without a row whose digests begin so; return how many.

        A process that was killed between a commit and the row leaves such a blob.
        """
        count = 0
        for name in self._stores.names():
            digests = self._stores.get(name).list_digests(prefix)
            while batch := list(islice(digests, BATCH)):
                if strange := set(batch) - records.list_known(name, batch):
                    count += self._free(name, strange)
        return count

    def _free(self, name: str, digests: Collection[str]) -> int:
        store = self._stores.get(name)
        if not belongs(store, name):
            raise Unavailable(
                f"The blob store {name} was replaced by another one. Is its disk mounted?"
            )
        now = self._clock()
        detached: dict[str, str] = {}  # ids of writers by digest
        try:
            with self._database.transaction():
                named = records.list_named(name, digests)
                records.note_release(name, named, None)
                for digest in set(digests) - named:
                    writer_id = secrets.token_hex(16)
                    if store.detach(digest, writer_id, now - GRACE):
                        detached[digest] = writer_id
                records.delete_rows(name, detached.keys())
                records.note_release(name, set(digests) - named - detached.keys(), now)
        finally:
            # Also when the transaction fails, as on a full disk: no asset names them.
            for writer_id in detached.values():
                store.open_writer(writer_id).cancel()
        return len(detached)

    def _correct_times(self, name: str) -> None:
        """Take what was released in the future for released now: a clock was wrong."""
        now = self._clock()
        while digests := records.list_released(name, float("inf"), BATCH, after=now + SLACK_S):
            with self._database.transaction():
                records.note_release(name, digests, now)

    def _look(self) -> None:
        count = self.compact()
        if time.monotonic() - self._started_at >= SWEEP_DELAY_S:
            count += self.sweep(next(self._prefixes))
        if count:
            _log.info("Removed %d unreferenced blobs.", count)


def _prefixes() -> Iterator[str]:
    """Yield all prefixes repeatedly, from anywhere: restarts must not favour some."""
    number = secrets.randbelow(PREFIXES)
    while True:
        yield f"{number:02x}"
        number = (number + 1) % PREFIXES
