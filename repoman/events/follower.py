"""Follows a table by its ids: every row is handled, in order, at least once; and then removed.

How far a follower has come is in the database, so that neither an error nor a kill loses a row, and
that commands may write rows while the server follows them.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from repoman.clocks import DAY_S, Retention
from repoman.db.database import Database
from repoman.events.event import ContentEvent
from repoman.events.event_records import (
    MAX_ID,
    delete_events,
    find_distant,
    find_newest,
    find_oldest,
    find_position,
    save_position,
    search_events,
)

PRUNED_EVENTS = 1000  # Events that are removed in one transaction.
EXAMINED_EVENTS = 10_000  # Events that a page of a search examines.
BATCH_ROWS = 500  # Rows that are handled together.

Row = TypeVar("Row")


class Follower(Generic[Row]):
    """One consumer of a table; for one thread at a time.

    Args:
        name: by which the database knows how far it has come.
        read: takes an id and a limit, and returns the next rows after that id, in order.
        id_of: returns the id of a row.
        handle: handles some rows, and returns whether they are done. If not, or if it raises, the
            same rows come again.
        is_atomic: whether ``handle`` only writes to this database: it then runs in the transaction
            in which the position moves, and handles each row exactly once.
        batch: the maximum number of rows that are handled together.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        read: Callable[[int, int], list[Row]],
        id_of: Callable[[Row], int],
        handle: Callable[[list[Row]], bool],
        *,
        is_atomic: bool = False,
        batch: int = BATCH_ROWS,
    ) -> None:
        self._name = name
        self._database = database
        self._read = read
        self._id_of = id_of
        self._handle = handle
        self._is_atomic = is_atomic
        self._batch = batch

    def _transaction(self) -> AbstractContextManager[None]:
        """Return a transaction that waits for other writers briefly, and for the disk."""
        return self._database.transaction(touches=(), is_durable=True, is_brief=True)

    @property
    def position(self) -> int:
        """The id of the last row that was handled; 0 if none was."""
        return find_position(self._name) or 0

    def start_at(self, find: Callable[[], int]) -> None:
        """Begin after the row with the id that ``find`` returns, unless there is a position."""
        if find_position(self._name) is None:
            with self._transaction():
                save_position(self._name, find())

    def follow(self) -> bool:
        """Handle the next rows, and return whether there may be more."""
        if not self._is_atomic:
            return self._follow()
        if not self._read(self.position, 1):
            return False
        with self._transaction():
            # Read again: another process may have been faster.
            return self._follow()

    def _follow(self) -> bool:
        rows = self._read(self.position, self._batch)
        if not rows:
            return False
        if self._handle(rows):
            with self._transaction():
                save_position(self._name, self._id_of(rows[-1]))
        return len(rows) == self._batch


class EventLog:
    """The stored content events, and their retention.

    Args:
        days: for which events are kept.
        clock: seconds since the epoch.
    """

    def __init__(
        self, database: Database, days: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._retention = Retention(days, _newest_time, find_oldest, clock)
        self._days = days
        self._positions: list[Callable[[], int]] = []
        self._needed_days: Callable[[], int] = lambda: 0

    def wait_for(self, position: Callable[[], int]) -> None:
        """Keep the events after a position, which a follower of this process has yet to handle."""
        self._positions.append(position)

    def need(self, days: Callable[[], int]) -> None:
        """Keep events for at least so many days, which are asked for each time."""
        self._needed_days = days

    @staticmethod
    def search(
        filters: Mapping[str, str],
        *,
        since: float = 0.0,
        after: int | None = None,
        limit: int = 100,
        is_descending: bool = True,
    ) -> tuple[list[ContentEvent], int | None]:
        """Return a page of events, and the ``after`` of the next one; None on the last page.

        A page examines a limited number of events, so it may be short.

        Args:
            filters: what repository, actor, source, kind or path of the events has to equal.
            since: nothing before this time.
            after: id of the event behind which to go on; None: at the beginning.
            limit: the maximum number of events.
            is_descending: whether the newest ones come first.
        """
        step = -1 if is_descending else 1
        first = (MAX_ID if is_descending else 1) if after is None else after + step
        last = find_distant(first, EXAMINED_EVENTS, is_descending=is_descending)
        end = last or (1 if is_descending else MAX_ID)
        ids = (end, first) if is_descending else (first, end)
        found = search_events(filters, since, ids, limit + 1, is_descending=is_descending)
        if len(found) > limit:
            return found[:limit], found[limit - 1].id
        return found, last

    def prune(self, limit: int = PRUNED_EVENTS) -> int:
        """Remove at most ``limit`` events that are too old by any clock; return how many.

        Within an hour it removes at most the oldest events of one day, and never an event that a
        follower has yet to handle.
        """
        with self._database.transaction(touches=(), is_brief=True):
            before = self._retention.limit()
            if before is None:
                return 0
            before -= max(0, self._needed_days() - self._days) * DAY_S
            handled = min((position() for position in self._positions), default=MAX_ID)
            return delete_events(before, handled, limit)


def newest_id() -> int:
    """Return the id of the event that was written last; 0 if there is none."""
    newest = find_newest()
    return 0 if newest is None else newest[0]


def _newest_time() -> float | None:
    newest = find_newest()
    return None if newest is None else newest[1]
