"""Orphans: files of a blob store that no row of the database names.

A crash between a commit and the row leaves one, and so does a database that is older than its blob
store, from a backup. Only committed blobs are looked at, never the files of uploads. A file that is
younger than the grace may be about to get its row.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from repoman import blob_records as records
from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.store import CANONICAL, BlobStore
from repoman.compaction import BATCH, PREFIXES, Compactor
from repoman.db.database import Database
from repoman.errors import NotFound
from repoman.identity import check_belongs
from repoman.rate_limit import RateLimit
from repoman.threads import Progress

READ_BYTES = 1 << 20  # The size of one read of a file.
PAUSE_S = 0.01  # A pause between two parts of the store.


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file that no row names; its size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class OrphanCount:
    """How many orphans something was done with, and their bytes."""

    files: int = 0
    size: int = 0

    def plus(self, orphans: list[Orphan]) -> "OrphanCount":
        """Return the count with some more."""
        return OrphanCount(
            self.files + len(orphans), self.size + sum(each.size for each in orphans)
        )


class Orphans:
    """Finds, adopts and removes the orphans of blob stores; thread safe."""

    def __init__(
        self,
        database: Database,
        stores: BlobStoreManager,
        compactor: Compactor,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._stores = stores
        self._compactor = compactor
        self._clock = clock

    def find(self, name: str, progress: Progress) -> Iterator[Orphan]:
        """Yield the orphans of a store in the order of their digests; changes nothing.

        Raises:
            Invalid: there is no such store.
            Unavailable: it cannot be used at the moment.
        """
        for batch in self._batches(name, progress):
            yield from batch

    def adopt(self, name: str, progress: Progress, rate: int | None = None) -> OrphanCount:
        """Give each orphan a row, so that it counts; return how many there were.

        Nothing names it yet: compaction frees it after its grace, unless somebody stores the same
        bytes first. One whose content is not what its digest says is left alone.

        Raises:
            Invalid: there is no such store.
            RepomanError: the database or the store cannot be used; the next call continues.
        """
        store, count = self._stores.get(name), OrphanCount()
        limit = RateLimit(rate or 1 << 62, progress.pause)
        for batch in self._batches(name, progress):
            whole = [each for each in batch if _is_whole(store, each.digest, limit)]
            with self._database.transaction():
                taken = records.adopt(
                    name, [(each.digest, each.size) for each in whole], self._clock()
                )
            count = count.plus([each for each in whole if each.digest in taken])
        self._note(name, "adopt", count)
        return count

    def remove(self, name: str, progress: Progress) -> OrphanCount:
        """Remove the orphans that are older than the grace; return how many (errors as above)."""
        count = OrphanCount()
        for batch in self._batches(name, progress):
            gone = self._compactor.free(name, [each.digest for each in batch], progress)
            count = count.plus([each for each in batch if each.digest in gone])
        self._note(name, "remove", count)
        return count

    def _batches(self, name: str, progress: Progress) -> Iterator[list[Orphan]]:
        store = self._stores.get(name)
        check_belongs(store, name)
        for number in range(PREFIXES):
            progress.progress(number, PREFIXES, name)
            digests = store.list_digests(f"{number:02x}")
            while batch := list(islice(digests, BATCH)):
                strange = self._unknown(name, batch)
                if strange:  # One that is being stored has its row in a moment.
                    progress.pause(PAUSE_S)
                    strange = self._unknown(name, strange)
                found = [(digest, store.stat(digest)) for digest in strange]
                if orphans := [Orphan(digest, stat.size) for digest, stat in found if stat]:
                    yield orphans
            progress.pause(PAUSE_S)

    @staticmethod
    def _unknown(name: str, digests: list[str]) -> list[str]:
        return sorted(set(digests) - records.list_known(name, digests))

    def _note(self, name: str, what: str, count: OrphanCount) -> None:
        if count.files:
            with self._database.transaction():
                self._database.note_change(
                    f"blob-store.{what}-orphans", name, files=str(count.files), size=str(count.size)
                )


def _is_whole(store: BlobStore, digest: str, limit: RateLimit) -> bool:
    state = hashlib.new(CANONICAL)
    try:
        with store.open(digest) as file:
            while data := file.read(READ_BYTES):
                state.update(data)
                limit.take(len(data))
    except NotFound:  # It has just gone.
        return False
    return state.hexdigest() == digest
