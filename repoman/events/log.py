"""The content events of one database: who follows them, and when old ones are removed."""

import time
from collections.abc import Callable

from repoman.clocks import Retention
from repoman.db.database import Database
from repoman.events import event_records as records

PRUNED_ROWS = 1000  # Events that are removed in one transaction.


class EventLog:
    """The events, as far as they are kept.

    Args:
        days: for which events are kept.
        clock: seconds since the epoch.
    """

    def __init__(
        self, database: Database, days: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._retention = Retention(days, _newest_time, records.find_oldest, clock)
        self._positions: list[Callable[[], int]] = []

    def wait_for(self, position: Callable[[], int]) -> None:
        """Keep the events after a position: a follower of this process has yet to handle them."""
        self._positions.append(position)

    def prune(self, limit: int = PRUNED_ROWS) -> int:
        """Remove at most ``limit`` events that are too old by any clock; return how many.

        Within an hour no more than the oldest events of one day, and none that somebody follows.
        """
        with self._database.transaction(touches=(), is_brief=True):
            before = self._retention.limit()
            if before is None:
                return 0
            handled = min((position() for position in self._positions), default=records.MAX_ID)
            return records.delete_events(before, handled, limit)


def newest_id() -> int:
    """Return the id of the event that was written last; 0 if there is none."""
    newest = records.find_newest()
    return 0 if newest is None else newest[0]


def _newest_time() -> float | None:
    newest = records.find_newest()
    return None if newest is None else newest[1]
