"""Moves a repository to another blob store while it is used.

The settings name the new store from the first moment, so what is stored from then on goes there.
Reads look there first, and where the bytes are missing, where the rows of the repository say. A
task copies the blobs of the repository batch by batch: the bytes are made durable before an asset
names them. What nothing names any more in the old store is freed by compaction, and blobs that
other repositories use stay for them.

A request that began before the move may still store something in the old store; it notes that in
its transaction (:mod:`repoman.content`), and the move looks at all assets again.
"""

import hashlib
import os
import time
from collections.abc import Callable
from typing import BinaryIO

from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.store import CANONICAL
from repoman.blobs.upload import BlobUpload
from repoman.db.database import Database
from repoman.errors import Conflict, NotFound, RepomanError, Unavailable
from repoman.identity import check_belongs
from repoman.printable import pluralize
from repoman.quotas import SpaceLimits
from repoman.rate_limit import RateLimit
from repoman.repositories import move_records as records
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Repository
from repoman.repositories.move_records import Move, Scanned
from repoman.threads import Progress

BATCH_ASSETS = 100  # Assets that are looked at together, and change in one transaction.
READ_BYTES = 1 << 20  # The size of one read of a file.
PAUSE_S = 0.02  # A pause after each batch, for others who want to write.
RETRY_S = 300.0  # How long a move waits after a failure.


class Moves:
    """Begins, shows and stops moves, and does the work; thread safe."""

    def __init__(
        self,
        database: Database,
        repositories: RepositoryManager,
        stores: BlobStoreManager,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._repositories = repositories
        self._stores = stores
        self._clock = clock
        self._observers: list[Callable[[], object]] = []

    def on_due(self, observer: Callable[[], object]) -> None:
        """Have something called when a move begins, or may go on."""
        self._observers.append(observer)

    def begin(self, name: str, store: str) -> Repository:
        """Have a repository keep its bytes in another blob store, and return it.

        Raises:
            NotFound: there is no such repository.
            Invalid: there is no such store.
            Conflict: it is the store that the repository has.
            Unsupported: the repository is a group, which stores nothing.
        """
        moving = self._repositories.change_store(name, store, self._clock())
        self._tell()
        return moving

    def find(self, name: str) -> Move | None:
        """Return the last move of a repository; None: it never moved (NotFound)."""
        return records.find_move(self._repositories.get(name).config.id)

    def count_assets(self, move: Move) -> int:
        """Return how many assets a repository has: ``done`` of them were looked at."""
        return records.count_assets(move.repository_id)

    def pause(self, name: str, *, is_paused: bool = True) -> None:
        """Stop a move, or have it go on; what was moved stays where it is.

        Raises:
            NotFound: there is no such repository.
            Conflict: it does not move.
        """
        with self._database.transaction():
            repository = self._repositories.get(name)
            move = records.find_move(repository.config.id)
            if move is None or move.ended_at is not None:
                raise Conflict(f"{repository.name} does not move to another blob store.")
            records.pause_move(repository.config.id, is_paused=is_paused)
            what = "pause" if is_paused else "resume"
            self._database.note_change(f"repository.move-{what}", repository.name)
        if not is_paused:
            self._tell()

    def is_needed(self) -> bool:
        """Return whether there is something to do; cheap."""
        return records.find_due(self._clock()) is not None

    def run(self, progress: Progress, tell: Callable[[str], object], rate: int) -> str:
        """Go on with all moves that are not stopped; return the result in a sentence.

        ``tell`` is called with a line about each blob that cannot be copied; ``rate`` limits the
        bytes that are copied in a second.

        Raises:
            Unavailable: some blobs could not be moved; the move goes on later.
            RepomanError: the database or a blob store cannot be used; as above.
        """
        told: list[str] = []
        problems: list[str] = []
        limit = RateLimit(rate, progress.pause)
        while (move := records.find_due(self._clock())) is not None:
            work = _Work(self._database, self._stores, move, progress, tell, limit)
            try:
                problem = work.run()
                if not problem and self._end(move):
                    told.append(f"Moved {move.name} to {move.store}.")
            except RepomanError as error:
                self._put_off(move, str(error))
                raise
            if problem:
                self._put_off(move, problem)
                problems.append(f"{move.name}: {problem}")
        if problems:
            raise Unavailable(" ".join([*told, *problems]))
        return " ".join(told)

    def _tell(self) -> None:
        for observer in self._observers:
            observer()

    def _put_off(self, move: Move, problem: str) -> None:
        with self._database.transaction():
            records.put_off(move.repository_id, problem, self._clock() + RETRY_S)

    def _end(self, move: Move) -> bool:
        """End a move; not if it was stopped, or a request stored something in another store."""
        with self._database.transaction():
            is_over = records.end_move(move, self._clock())
            if is_over:
                self._database.note_change("repository.moved", move.name, blob_store=move.store)
        return is_over


class _Work:
    """The work on the move of one repository."""

    def __init__(
        self,
        database: Database,
        stores: BlobStoreManager,
        move: Move,
        progress: Progress,
        tell: Callable[[str], object],
        limit: RateLimit,
    ) -> None:
        self._database = database
        self._stores = stores
        self._move = move
        self._progress = progress
        self._tell = tell
        self._limit = limit
        self._target = stores.get(move.store)
        self._limits = SpaceLimits(find_quota=stores.find_quota, what="what is moved next")
        self._limits.store = move.store
        self._assets = records.count_assets(move.repository_id)
        self._problems: dict[str, str] = {}  # by digest
        self._unrecorded = 0  # bytes of blobs of this batch that were copied

    def run(self) -> str:
        """Look at all assets until none is left to move; return why some could not be.

        It returns early if somebody stops the move.
        """
        check_belongs(self._target, self._move.store)
        after, done = self._move.after, self._move.done
        # A look that was interrupted has moved something; assets may change their paths meanwhile.
        is_again = True
        while is_again and self._is_current():
            if not after:
                done = 0
                with self._database.transaction():
                    records.begin_pass(self._move.repository_id)
            is_again = self._pass(after, done) or bool(after)
            after = ""
            if self._problems:
                first = next(iter(self._problems.values()))
                return f"{pluralize(len(self._problems), 'blob')} could not be moved: {first}"
        return ""

    def _pass(self, after: str, done: int) -> bool:
        """Move what comes after a path; return whether anything had to be moved."""
        has_moved, move = False, self._move
        while batch := records.scan(move.repository_id, after, BATCH_ASSETS):
            if not self._is_current():
                break
            strange = [each for each in batch if each.store != move.store]
            copied = self._copy_all(strange, after, done)
            after, done = batch[-1].path, done + len(batch)
            if strange:
                has_moved = True
                self._take_over(strange, after, done, copied)
            self._progress.progress(done, self._assets, move.name)
            if strange:
                self._progress.pause(PAUSE_S)
        return has_moved

    def _copy_all(self, strange: list[Scanned], after: str, done: int) -> list[int]:
        """Copy the blobs of assets; return the sizes of those that were not there."""
        copied: dict[str, int] = {}
        try:
            for each in {each.digest: each for each in strange}.values():
                if self._copy(each):
                    copied[each.digest] = each.size
        except RepomanError:
            # Without their rows, nothing would know of the copies made so far.
            taken = [each for each in strange if each.digest in copied]
            self._take_over(taken, after, done, [*copied.values()])
            raise
        return [*copied.values()]

    def _take_over(self, strange: list[Scanned], after: str, done: int, copied: list[int]) -> None:
        """Have assets name the copies; what compaction has removed since is copied again."""
        # No cache depends on where bytes are. Before compaction frees those in the old store, a
        # transaction of its own waits for the disk, and this one lies before it.
        with self._database.transaction(touches=()):
            known = [each for each in strange if each.digest not in self._problems]
            present = [each for each in known if self._has(each)]
            refused = records.take_over(present, self._move.store)
            records.note_step(self._move, after, done, (len(copied), sum(copied)))
        self._unrecorded = 0
        for each in strange:
            if each.digest in refused or each not in present:
                self._problems.setdefault(each.digest, f"{_name(each)} was removed meanwhile.")

    def _is_current(self) -> bool:
        """Return whether nobody has stopped the move, or begun another one."""
        now = records.find_move(self._move.repository_id)
        return now is not None and not now.is_paused and now.store == self._move.store

    def _has(self, each: Scanned) -> bool:
        found = self._target.stat(each.digest)
        return found is not None and found.size == each.size

    def _is_whole(self, each: Scanned) -> bool:
        """Return whether the bytes are there and right: the new store may have had them before."""
        if not self._has(each):
            return False
        state = hashlib.new(CANONICAL)
        try:
            with self._target.open(each.digest) as file:
                while data := file.read(READ_BYTES):
                    state.update(data)
                    self._limit.take(len(data))
        except (NotFound, Unavailable, OSError):
            return False
        return state.hexdigest() == each.digest

    def _copy(self, each: Scanned) -> bool:
        """Copy the bytes of a blob, durably, unless they are there; return whether it was done."""
        if self._is_whole(each):
            return False
        try:
            with self._open(each) as source:
                return self._write(source, each)
        except (NotFound, OSError) as error:
            reason = str(error) if isinstance(error, NotFound) else os.strerror(error.errno or 0)
            return self._fail(each, f"cannot be read in {each.store}: {reason}")

    def _open(self, each: Scanned) -> BinaryIO:
        """Open a blob (NotFound: it is missing, or cannot be opened; Unavailable: none can)."""
        store = self._stores.get(each.store)
        try:
            return store.open(each.digest)
        except Unavailable as error:
            check_belongs(store, each.store)
            raise NotFound(str(error)) from error

    def _write(self, source: BinaryIO, each: Scanned) -> bool:
        with BlobUpload(self._target) as upload:
            upload.check_room(each.size)
            self._limits.check_blob(each.digest, self._unrecorded + each.size)
            while data := source.read(READ_BYTES):
                upload.write(data)
                self._limit.take(len(data))
            if upload.hexdigest(CANONICAL) != each.digest:
                return self._fail(each, f"is damaged in {each.store}. Verify that blob store.")
            upload.commit()
        self._unrecorded += each.size
        return True

    def _fail(self, each: Scanned, problem: str) -> bool:
        told = f"{_name(each)} {problem}"
        self._problems[each.digest] = told
        self._tell(f"{told} (at {each.path})")
        return False


def _name(each: Scanned) -> str:
    return f"{CANONICAL}:{each.digest}"
