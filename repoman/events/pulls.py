"""Pulls: when each asset was last pulled, and how often a day, written late and in batches.

A pull never waits for it. What answers a request, even the main loop of the server, appends to a
queue; a thread adds up what came and writes it, each asset at most once a minute. A kill loses the
pulls of about the last minute.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from repoman.clocks import Retention
from repoman.db.database import BRIEF_WAIT_S, Database
from repoman.errors import RepomanError, Unavailable
from repoman.events import pull_records as records
from repoman.events.pull_records import PullRow

WRITE_INTERVAL_S = 60.0  # The pulls of one asset are written at most once in this time.
QUEUE_MAX = 200_000  # Pulls that may wait to be added up; the oldest are lost beyond that.
PULLS_MAX = 20_000  # Different pulls that may wait to be written; others are lost beyond that.
BATCH_PULLS = 250  # Pulls that are prepared together.
# Batches that one call of ``settle`` writes: its thread has to notice the writes of others soon.
SETTLED_BATCHES = 4
BATCH_ROWS = 500  # Assets that are written in one transaction.
REFERRERS_MAX = 2_000  # Assets that refer to pulled ones and are looked up together.
WHOLES_DEPTH = 2  # Wholes of parts, and wholes of these, are in use with them.
PRUNED_ROWS = 1000  # Rows that are removed in one transaction.

_log = logging.getLogger(__name__)


class Pull(NamedTuple):
    """The assets that a response delivers to a client.

    Attributes:
        repository_id: of the repository that has them, which may be a member of a group.
        paths: of the assets that were requested.
        referrers: a kind of reference; assets that refer to these by it count as pulled too.
        wholes: a kind of reference; what refers to these by it is in use, and so is what refers to
            that as a referrer, but neither is counted.
    """

    repository_id: int
    paths: tuple[str, ...]
    referrers: str = ""
    wholes: str = ""


class _Sum(NamedTuple):
    """How many pulls, and when the last one was."""

    n: int
    at: float

    def plus(self, n: int, at: float) -> "_Sum":
        return _Sum(self.n + n, at)


_NONE = _Sum(0, 0.0)


class PullLog:
    """The pulls of all repositories; thread safe.

    Args:
        clock: seconds since the epoch.
        days: for which the numbers of pulls are kept.

    Attributes:
        note: takes a pull, and whether to count it; a HEAD request, for example, shows that an
            asset is in use, but is not counted. Cheap, for any thread.
        counted: how many pulls were counted and written since the start, of whole components.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float] = time.time,
        days: int = 400,
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = Retention(days, records.find_newest, records.find_oldest, clock)
        self._queue: deque[tuple[Pull, bool]] = deque(maxlen=QUEUE_MAX)
        self.note: Callable[[tuple[Pull, bool]], None] = self._queue.append
        self.counted = 0
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # from what is taken of the due pulls to its commit
        self._waiting: dict[Pull, _Sum] = {}
        self._due: deque[tuple[Pull, _Sum]] = deque()  # taken from those that wait
        self._written: dict[Pull, float] = {}  # when
        self._taken_at = clock()
        self._is_failing = False

    def settle(self) -> None:
        """Add up new pulls, and write them once a minute; call it often, from one thread.

        Of very many pulls, one call writes some, and the next ones write the others.
        """
        with self._lock:
            self._add_up()
            if not self._due and not self._is_recent(self._taken_at):
                self._take()
        if not self._writing.acquire(blocking=False):
            return  # Another thread writes what is due.
        try:
            for _ in range(SETTLED_BATCHES):
                if not self._write_batch(is_brief=True):
                    break
        finally:
            self._writing.release()

    def flush(self, *, is_last: bool = False) -> None:
        """Write the waiting pulls, except of assets that were written within the last minute.

        It returns after those that another thread is writing, too.
        At the end of the process (``is_last``) these are written too, as far as that can be done.

        Raises:
            RepomanError: they cannot be written now, and wait for the next time.
        """
        is_brief = is_last or self._database.thread.waits_briefly
        is_alone = self._writing.acquire(timeout=BRIEF_WAIT_S if is_brief else -1)
        if not is_alone and not is_last:
            raise Unavailable("Other pulls are still being written. Try again.")
        try:
            with self._lock:
                self._add_up()
                self._take(is_last=is_last)
            while self._write_batch(is_brief=is_last):
                pass
        finally:
            if is_alone:
                self._writing.release()

    def prune(self, limit: int = PRUNED_ROWS) -> int:
        """Remove at most ``limit`` of the daily counts that are too old; return how many."""
        with self._database.transaction(touches=(), is_brief=True):
            before = self._retention.limit()
            return 0 if before is None else records.delete_before(before, limit)

    def _is_recent(self, at: float) -> bool:
        return 0 <= self._clock() - at < WRITE_INTERVAL_S

    def _add_up(self) -> None:
        now = self._clock()
        came = Counter(self._queue.popleft() for _ in range(len(self._queue)))
        for (pull, counts), number in came.items():
            if pull in self._waiting or len(self._waiting) < PULLS_MAX:
                self._waiting[pull] = self._waiting.get(pull, _NONE).plus(counts * number, now)

    def _take(self, *, is_last: bool = False) -> None:
        """Make those waiting pulls due that were not written within the last minute."""
        self._taken_at = now = self._clock()
        recent = {each: at for each, at in self._written.items() if self._is_recent(at)}
        taken = [item for item in self._waiting.items() if is_last or item[0] not in recent]
        for pull, _ in taken:
            del self._waiting[pull]
            recent[pull] = now
        self._written = recent
        self._due.extend(taken)

    def _write_batch(self, *, is_brief: bool) -> bool:
        """Write some of the pulls that are due; return whether there may be more.

        If it is brief, a failure waits for the next time; else it is raised (RepomanError).
        """
        with self._lock:
            pulls = [self._due.popleft() for _ in range(min(BATCH_PULLS, len(self._due)))]
        if not pulls:
            return False
        try:
            self._write(pulls, is_brief=is_brief)
        except RepomanError as error:
            self._put_back(pulls, error)
            if not is_brief:
                raise
            return False
        self._is_failing = False
        return True

    def _put_back(self, pulls: list[tuple[Pull, _Sum]], error: RepomanError) -> None:
        """Have all pulls that are due wait again, with those that came since."""
        with self._lock:
            pulls = [*pulls, *self._due]
            self._due.clear()
            for pull, told in pulls:
                later = self._waiting.get(pull, _NONE)
                self._waiting[pull] = told.plus(later.n, max(told.at, later.at))
                self._written.pop(pull, None)
        if not self._is_failing:
            _log.warning("The times of %d pulls could not be written yet: %s", len(pulls), error)
        self._is_failing = True

    def _write(self, pulls: list[tuple[Pull, _Sum]], *, is_brief: bool) -> None:
        rows = [
            (PullRow(pull.repository_id, path, *told), pull.referrers, pull.wholes)
            for pull, told in pulls
            for path in pull.paths
        ]
        waiting = [row for row, *_ in rows]
        for page in _referrers([each for each in rows if each[1]]):
            waiting += page
            if len(waiting) > REFERRERS_MAX:
                self._save(waiting, is_brief=is_brief)
                waiting = []
        self._save(waiting, is_brief=is_brief)
        self.counted += records.count_whole([row for row, *_ in rows])

    def _save(self, rows: list[PullRow], *, is_brief: bool) -> None:
        merged = _merge(rows)
        for start in range(0, len(merged), BATCH_ROWS):
            with self._database.transaction(touches=(), is_brief=is_brief):
                records.save_pulls(merged[start : start + BATCH_ROWS])


def _referrers(rows: list[tuple[PullRow, str, str]], depth: int = 0) -> Iterator[list[PullRow]]:
    """Yield, a page at a time, the wholes of assets, and what refers to those and to these.

    Each row comes with the kind of reference to follow, and that by which wholes refer to parts.
    Wholes, and what refers to them, have a count of 0.
    """
    yield from _pages([(row, kind) for row, kind, _ in rows])
    if depth == WHOLES_DEPTH:
        return
    groups: dict[tuple[str, str], list[PullRow]] = {}
    for row, kind, whole in rows:
        if whole:
            groups.setdefault((kind, whole), []).append(replace(row, count=0))
    for (kind, whole), parts in groups.items():
        for page in _pages([(row, whole) for row in parts]):
            wholes = _merge(page)
            yield wholes
            yield from _referrers([(row, kind, whole) for row in wholes], depth + 1)


def _pages(rows: list[tuple[PullRow, str]]) -> Iterator[list[PullRow]]:
    """Yield what refers to assets, each by a kind of reference, with their counts and times."""
    after = ""
    while rows:
        asked = [(row.repository_id, row.path, kind) for row, kind in rows]
        found = records.list_referrers(asked, after, REFERRERS_MAX)
        yield [replace(rows[number][0], path=source) for number, source in found]
        if len(found) < REFERRERS_MAX:
            return
        number, after = found[-1]
        rows = rows[number:]


def _merge(rows: list[PullRow]) -> list[PullRow]:
    """Return one row for each asset."""
    merged: dict[tuple[int, str], PullRow] = {}
    for row in rows:
        key = row.repository_id, row.path
        before = merged.get(key)
        if before is not None:
            row = PullRow(*key, before.count + row.count, max(before.at, row.at))
        merged[key] = row
    return list(merged.values())
