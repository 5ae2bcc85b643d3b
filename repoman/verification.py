"""Verification: reads all blobs that assets name, and finds those that are damaged or gone.

That takes as long as reading everything does, so it is for a process of its own (the command
``repoman blob verify``, or the task), beside which a server may run. It reads at a limited rate,
and notes how far it is: the next one continues where the last one was interrupted.

What is damaged is noted in the database until it is whole again. Bytes that are not what their
digest says are **quarantined**: renamed aside, so that nobody is given them, a push brings them
again, and a proxy fetches them again.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO, NamedTuple

from repoman import blob_records
from repoman import damage_records as records
from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.store import CANONICAL, BlobStat, BlobStore
from repoman.damage_records import Damage, Verification
from repoman.db.database import Database
from repoman.errors import Attempts, NotFound, RepomanError
from repoman.identity import check_belongs
from repoman.printable import pluralize
from repoman.rate_limit import RateLimit
from repoman.threads import Progress

BATCH_BLOBS = 500  # Rows of blobs that are read together.
READ_BYTES = 1 << 20  # The size of one read of a file.
PLACES_MAX = 5  # Assets that are listed of a damaged or missing blob.
SAVE_INTERVAL_S = 5.0  # How often it is noted how far a verification is.


class BlobPlace(NamedTuple):
    """Where a blob is needed."""

    repository: str
    path: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A blob that was read.

    Attributes:
        problem: what is wrong with it; empty if nothing is.
        places: repository and path of some assets that name it, if there is a problem.
        size: bytes that were read.
        wrong: the version of a file whose content is not what its digest says; else None.
        is_readable: whether its file, if there is one, can be read.
    """

    digest: str
    problem: str = ""
    places: tuple[BlobPlace, ...] = ()
    size: int = field(default=0, compare=False)
    wrong: BlobStat | None = field(default=None, compare=False)
    is_readable: bool = field(default=True, compare=False)


def verify(
    stores: BlobStoreManager,
    store: str,
    after: str = "",
    note: Callable[[int], object] = lambda _count: None,
) -> Iterator[Verified]:
    """Read the blobs of a store one after the other, in the order of their digests.

    Only those after a digest. ``note`` is called with the number of bytes of each read.

    Raises:
        Invalid: there is no such store.
    """
    blobs, last = stores.get(store), after
    while digests := blob_records.list_blobs(store, last, BATCH_BLOBS):
        for digest in digests:
            found = _read(blobs, digest, note)
            if found.problem:
                # One that no asset names was removed by now, or is about to be.
                places = list_places(store, digest)
                found = replace(found, places=places) if places else Verified(digest)
            yield found
        last = digests[-1]


def list_places(store: str, digest: str) -> tuple[BlobPlace, ...]:
    """Return repository and path of some assets that name a blob."""
    return tuple(BlobPlace(*each) for each in blob_records.list_places(store, digest, PLACES_MAX))


@dataclass(frozen=True, slots=True)
class DamagedBlob:
    """A blob that is damaged or missing, and some of the assets that name it."""

    damage: Damage
    places: tuple[BlobPlace, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What verifications of some blob stores have found."""

    blobs: int
    bad: int

    def __str__(self) -> str:
        return f"Read {pluralize(self.blobs, 'blob')}; damaged or missing: {self.bad}."


class Verifier:
    """Verifies blob stores, and knows what was damaged; thread safe."""

    def __init__(
        self,
        database: Database,
        stores: BlobStoreManager,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._stores = stores
        self._clock = clock
        self._ticks = ticks

    def last(self, store: str) -> Verification | None:
        """Return how far the last verification of a store came; None: there was none."""
        return records.find_verification(store)

    def damages(self, store: str, after: str = "", limit: int = 100) -> list[DamagedBlob]:
        """Return at most ``limit`` damaged blobs with digests after ``after``, in their order."""
        found = records.list_damages(store, after, limit)
        places = records.list_places(store, [each.digest for each in found], PLACES_MAX)
        return [
            DamagedBlob(each, tuple(BlobPlace(*one) for one in places.get(each.digest, ())))
            for each in found
        ]

    def count_damages(self) -> dict[str, int]:
        """Return how many blobs of each store are damaged, by its name; none has no entry."""
        return records.count_damages()

    def run(
        self,
        names: Iterable[str],
        tell: Callable[[str], object],
        progress: Progress,
        rate: int | None = None,
        *,
        continues: bool = True,
    ) -> Outcome:
        """Read all blobs of some stores; return how many there were, and how many are bad.

        ``tell`` is called with each line about a bad blob; ``rate`` limits the bytes that are read
        in a second. A verification that did not end is continued, unless it shall begin anew.

        Raises:
            Invalid: there is no such store.
            RepomanError: the database or a blob store cannot be used. The other stores were read;
                the next call continues.
        """
        attempts = Attempts()
        count, limit = 0, RateLimit(rate or 1 << 62, progress.pause, self._ticks)
        names = list(names)
        for name in names:
            with attempts.attempt():
                state = self._begin(name, continues=continues)
                for found in self._follow(name, state, limit):
                    count += 1
                    if found.problem:
                        _tell(name, found, tell)
                    progress.progress(count, message=name)
        attempts.check()
        damages = self.count_damages()
        return Outcome(count, sum(damages.get(name, 0) for name in names))

    def _begin(self, name: str, *, continues: bool) -> Verification:
        last = records.find_verification(name)
        if continues and last is not None and last.ended_at is None:
            return last
        self._clear_quarantine(name)
        return Verification(self._clock())

    def _follow(self, name: str, state: Verification, limit: RateLimit) -> Iterator[Verified]:
        """Verify a store from where a verification is, and note how far it comes."""
        saved_at = self._ticks()
        try:
            for found in verify(self._stores, name, state.after, limit.take):
                self._note(name, found)
                state = replace(
                    state,
                    after=found.digest,
                    blobs=state.blobs + 1,
                    size=state.size + found.size,
                )
                if self._ticks() - saved_at >= SAVE_INTERVAL_S:
                    saved_at = self._ticks()
                    self._save(name, state)
                yield found
            state = replace(state, ended_at=self._clock())
        finally:  # Also when somebody stops it.
            self._save(name, state)

    def _save(self, name: str, state: Verification) -> None:
        with self._database.transaction(touches=()):
            records.save_verification(name, state)

    def _note(self, name: str, found: Verified) -> None:
        """Note what a blob is like, and quarantine what is not what its digest says."""
        digest, store = found.digest, self._stores.get(name)
        if not found.problem:
            if records.list_marked(name, [digest]):
                self._forget(name, digest)
            return
        check_belongs(store, name)  # Else a disk that is not mounted would leave a note for each.
        if found.wrong is not None and not store.quarantine(digest, found.wrong):
            return  # Somebody has just stored it again.
        with self._database.transaction():
            records.save_damage(name, digest, found.problem, self._clock())
            if found.wrong is not None:
                told = f"{CANONICAL}:{digest}"
                self._database.note_change("blob-store.quarantine", name, digest=told)
        # Who stores it from now on finds the note; who has done so before did not.
        if found.is_readable and store.stat(digest) is not None:
            self._forget(name, digest)

    def _forget(self, name: str, digest: str) -> None:
        with self._database.transaction():
            records.delete_damages(name, [digest])

    def _clear_quarantine(self, name: str) -> None:
        """Drop quarantined bytes of blobs that are whole again, or that nothing needs any more."""
        store = self._stores.get(name)
        digests = store.list_quarantined()
        for digest in digests - records.list_marked(name, digests):
            store.drop_quarantined(digest)


def _tell(store: str, found: Verified, tell: Callable[[str], object]) -> None:
    tell(f"{CANONICAL}:{found.digest} in {store} {found.problem}")
    for place in found.places:
        tell(f"    {place.repository}: {place.path}")


def _read(blobs: BlobStore, digest: str, note: Callable[[int], object]) -> Verified:
    try:
        before = blobs.stat(digest)
        with blobs.open(digest) as file:
            found, size = _hash(file, note)
    except NotFound:
        return Verified(digest, "is missing")
    except (RepomanError, OSError) as error:
        return Verified(digest, f"cannot be read: {error}", is_readable=False)
    if found == digest:
        return Verified(digest, size=size)
    problem = f"is damaged: its content has the digest {CANONICAL}:{found}"
    return Verified(digest, problem, size=size, wrong=before)


def _hash(file: BinaryIO, note: Callable[[int], object]) -> tuple[str, int]:
    state, size = hashlib.new(CANONICAL), 0
    while data := file.read(READ_BYTES):
        state.update(data)
        size += len(data)
        note(len(data))
    return state.hexdigest(), size
