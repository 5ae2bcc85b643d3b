"""Compaction: frees the disk space of unreferenced blobs.

It takes three steps, so that no transaction waits for a disk. A transaction *condemns* blobs that
no asset names, and nothing can be stored that names a condemned one; then their bytes are detached
from the store; then another transaction removes their rows. A crash leaves condemned blobs, with or
without their bytes: the next start finishes them before it serves.
"""

import secrets
import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice

from repoman import blob_records as records
from repoman.blobs.manager import BlobStoreManager
from repoman.clocks import SLACK_S, ConfirmedClock
from repoman.db.database import Database
from repoman.errors import Attempts
from repoman.identity import check_belongs
from repoman.threads import Progress

# How long an unreferenced blob stays: a client that has found it can still open it, and one that
# has committed it can still refer to it.
GRACE_S = 300.0
BATCH = 50  # Blobs that are removed together.
PAUSE_S = 0.05  # A pause between two batches, for others who want to write.
# How long after the start blobs without a row are kept: an older copy of the database that was put
# in place by mistake names none of the newer blobs.
SWEEP_DELAY_S = 86_400.0
PREFIXES = 256  # The parts of a store in which blobs without a row are looked for.
SWEPT_PREFIXES = 64  # Parts that one sweep looks at.


class Unwatched:
    """Progress that is not reported, without pauses; implements Progress."""

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Do nothing."""

    def pause(self, seconds: float) -> None:
        """Return at once."""

    def freed(self, size: int) -> None:
        """Do nothing."""


class Compactor:
    """Frees the unreferenced blobs of all blob stores; for one thread of one process at a time."""

    def __init__(
        self,
        database: Database,
        stores: BlobStoreManager,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._database = database
        self._stores = stores
        self._clock = clock or ConfirmedClock(slack=GRACE_S / 5, hold=2 * GRACE_S)
        self._prefixes = _prefixes()
        self._started_at = time.monotonic()

    def is_needed(self) -> bool:
        """Return whether there may be something to compact; cheap."""
        now = self._clock()
        return any(
            records.list_condemned(name, 1)
            or records.list_released(name, now - GRACE_S, 1)
            or records.list_released(name, float("inf"), 1, after=now + SLACK_S)
            for name in self._stores.names()
        )

    def compact(
        self, progress: Progress | None = None, names: Collection[str] | None = None
    ) -> int:
        """Free the blobs whose last asset was removed a while ago; return how many.

        Of all stores, or of some.

        Raises:
            RepomanError: the database or a blob store cannot be used. The other stores were
                compacted; the next call continues.
        """
        progress, attempts, count = progress or Unwatched(), Attempts(), 0
        with attempts.attempt():
            count = self.finish(progress)
        for name in self._stores.names() if names is None else names:
            with attempts.attempt():
                self._correct_times(name)
                before = self._clock() - GRACE_S
                while digests := records.list_released(name, before, BATCH):
                    count += len(self.free(name, digests, progress))
                    progress.progress(count, message=name)
                    progress.pause(PAUSE_S)
        attempts.check()
        return count

    def finish(self, progress: Progress | None = None) -> int:
        """Free the condemned blobs that a crash has left; return how many.

        Until then they cannot be pushed.

        Raises:
            RepomanError: those of a blob store are left, but not those of the others.
        """
        attempts, count = Attempts(), 0
        for name in self._stores.names():
            with attempts.attempt():
                while digests := records.list_condemned(name, BATCH):
                    count += len(self._remove(name, digests, progress or Unwatched()))
        attempts.check()
        self._stores.may_be_removing = False
        return count

    def sweep_next(self, progress: Progress) -> int:
        """Free blobs without a row in the next parts of all stores; return how many.

        Nothing is done on the first day.

        Raises:
            RepomanError: a blob store cannot be used; the others were swept.
        """
        attempts, count = Attempts(), 0
        if time.monotonic() - self._started_at >= SWEEP_DELAY_S:
            for done, prefix in enumerate(islice(self._prefixes, SWEPT_PREFIXES)):
                progress.progress(done, SWEPT_PREFIXES)
                with attempts.attempt():
                    count += self.sweep(prefix, progress)
                progress.pause(PAUSE_S)
        attempts.check()
        return count

    def sweep(self, prefix: str, progress: Progress | None = None) -> int:
        """Free the blobs without a row whose digests begin so; return how many.

        A process that was killed between a commit and the row leaves such a blob.

        Raises:
            RepomanError: a blob store cannot be used; the others were swept.
        """
        attempts, count = Attempts(), 0
        for name in self._stores.names():
            with attempts.attempt():
                digests = self._stores.get(name).list_digests(prefix)
                while batch := list(islice(digests, BATCH)):
                    if strange := set(batch) - records.list_known(name, batch):
                        count += len(self.free(name, strange, progress))
        attempts.check()
        return count

    def free(
        self, name: str, digests: Collection[str], progress: Progress | None = None
    ) -> set[str]:
        """Free those of the blobs that no asset names; return which.

        Not those that were committed less than the grace ago.

        Raises:
            RepomanError: the database or the blob store cannot be used.
        """
        check_belongs(self._stores.get(name), name)
        may_be_removing, self._stores.may_be_removing = self._stores.may_be_removing, True
        with self._database.transaction():
            named = records.list_named(name, digests)
            records.note_release(name, named, None)
            condemned = set(digests) - named
            records.condemn(name, condemned)
        removed = self._remove(name, condemned, progress or Unwatched())
        # It stays while those of a store are left that could not be used.
        self._stores.may_be_removing = may_be_removing
        return removed

    def _remove(self, name: str, condemned: Collection[str], progress: Progress) -> set[str]:
        """Remove the bytes and rows of condemned blobs, but for those that were just committed."""
        check_belongs(self._stores.get(name), name)
        store, now = self._stores.get(name), self._clock()
        detached: dict[str, str] = {}  # ids of writers by digest
        size = 0
        try:
            for digest in condemned:
                writer_id, stat = secrets.token_hex(16), store.stat(digest)
                if store.detach(digest, writer_id, now - GRACE_S):
                    detached[digest] = writer_id
                    size += 0 if stat is None else stat.size
            with self._database.transaction():
                records.delete_rows(name, detached.keys())
                records.note_release(name, set(condemned) - detached.keys(), now)
                records.absolve(name, condemned)
        finally:
            # Also when the transaction fails, as on a full disk: no asset names them. It takes a
            # while for large ones.
            for writer_id in detached.values():
                store.open_writer(writer_id).cancel()
        progress.freed(size)
        return set(detached)

    def _correct_times(self, name: str) -> None:
        """Set times of release in the future to now: the clock was wrong."""
        now = self._clock()
        while digests := records.list_released(name, float("inf"), BATCH, after=now + SLACK_S):
            with self._database.transaction():
                records.note_release(name, digests, now)


def _prefixes() -> Iterator[str]:
    """Yield all prefixes repeatedly, from anywhere: restarts must not favour some."""
    number = secrets.randbelow(PREFIXES)
    while True:
        yield f"{number:02x}"
        number = (number + 1) % PREFIXES
