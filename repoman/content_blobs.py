"""The blobs of one repository: in its blob store, or in another one while it moves.

A repository looks into its own store first. Where the bytes are missing there, the rows say in
which other stores it has the blob.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress

from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.reader import BlobReader
from repoman.blobs.store import BlobStore, StoredBlob
from repoman.content_records import (
    Present,
    find_blob,
    has_condemned,
    insert_blob,
    is_store_kept,
    keep_blob,
    list_holders,
    note_misplaced,
    note_whole,
    save_checksums,
)
from repoman.db.database import BRIEF_WAIT_S, Database
from repoman.errors import Unavailable
from repoman.waiting import Wait, waiting

REMOVAL_MAX_S = 10.0  # The longest wait for compaction to end the removal of a blob.
REMOVAL_POLL_S = 0.01  # How often is looked whether it has ended; most take some milliseconds.


class ContentBlobs:
    """Reads the blobs of a repository, and records those that its assets name; thread safe.

    Args:
        blobs: the store of the repository, called ``store``.
        stores: all stores; None: there is no other one.

    Attributes:
        reader: reads the blobs, wherever they are.
    """

    def __init__(
        self,
        database: Database,
        repository_id: int,
        store: str,
        blobs: BlobStore,
        stores: BlobStoreManager | None,
    ) -> None:
        self.store = store
        self._database = database
        self._repository = repository_id
        self._stores = stores
        self.reader = BlobReader(blobs, self._elsewhere)

    def transaction(
        self, blobs: Collection[StoredBlob] = (), *, can_fail_alone: bool = True
    ) -> AbstractContextManager[None]:
        """Return a transaction on the content in which these blobs can be named.

        They were just committed, but compaction may be removing older bytes of the same digest.
        That is waited for, unless a transaction is open already, which this one joins.
        """
        if blobs and not self._database.in_transaction():
            return self._after_removal([each.digest for each in blobs])
        return self._database.transaction(
            repository=self._repository, can_fail_alone=can_fail_alone
        )

    @contextmanager
    def _after_removal(self, digests: Collection[str]) -> Iterator[None]:
        is_brief = self._database.thread.waits_briefly
        deadline = time.monotonic() + (BRIEF_WAIT_S if is_brief else REMOVAL_MAX_S)
        while True:
            with self._database.transaction(repository=self._repository):
                if not self._is_removing(digests) or time.monotonic() >= deadline:
                    yield
                    return
            # Outside of the transaction: compaction needs one to end.
            with waiting(Wait.DATABASE):
                time.sleep(REMOVAL_POLL_S)

    def _is_removing(self, digests: Collection[str]) -> bool:
        """Return whether compaction is removing any of these blobs; within a transaction."""
        # It says so before its own transaction begins, which waits for this one.
        may_be = self._stores is None or self._stores.may_be_removing
        return may_be and has_condemned(self.store, digests)

    def save(
        self, blob: StoredBlob, checksums: Mapping[str, str], present: Present, now: float
    ) -> int:
        """Return the id of the row of a blob, which is made where it is missing.

        Within the transaction that has an asset name it.

        Raises:
            Unavailable: the bytes are in no blob store any more, since no asset named them.
        """
        store, has_moved = self.store, present.store not in (None, self.store)
        # Only what an asset names is safe from compaction.
        if present.blob is not None and present.released_at is None:
            blob_id = present.blob
        elif (
            not present.is_condemned
            and not (has_moved and not is_store_kept(store))
            and self.reader.exists(blob.digest, blob.size)
        ):
            blob_id = _use(store, blob, present.blob, now)
        else:
            store, blob_id = self._find_elsewhere(blob, now)
        if present.is_damaged and self.reader.exists(blob.digest, blob.size):
            note_whole(self.store, blob.digest)
        if present.store not in (None, store):
            note_misplaced(self._repository, str(present.store), now)
        save_checksums(blob_id, {**blob.checksums, **checksums})
        return blob_id

    def _elsewhere(self, digest: str) -> Iterator[BlobStore]:
        """Yield the other stores in which the repository has a blob."""
        others = self._others()
        for name in list_holders(self._repository, digest, list(others)) if others else ():
            yield others[name]

    def _others(self) -> dict[str, BlobStore]:
        """Return all other stores by name."""
        if self._stores is None:
            return {}
        found = {name: self._stores.find(name) for name in self._stores.names()}
        return {name: each for name, each in found.items() if each and name != self.store}

    def _find_elsewhere(self, blob: StoredBlob, now: float) -> tuple[str, int]:
        """Return another store that has a blob, and the id of its row there (Unavailable)."""
        for name, store in self._others().items():
            blob_id, is_condemned = find_blob(name, blob.digest)
            if is_condemned or not is_store_kept(name):
                continue
            with suppress(Unavailable):
                found = store.stat(blob.digest)
                if found is not None and found.size == blob.size:
                    return name, _use(name, blob, blob_id, now)
        raise Unavailable(
            f"The blob sha256:{blob.digest} was deleted while it was being stored. Store it again."
        )


def _use(store: str, blob: StoredBlob, blob_id: int | None, now: float) -> int:
    """Return the id of the row of a blob whose bytes are there; compaction keeps it from now on."""
    if blob_id is None:
        return insert_blob(store, blob, now)
    keep_blob(blob_id)
    return blob_id
