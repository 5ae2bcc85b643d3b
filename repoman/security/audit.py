"""The audit log: who did what to what, from where, and whether it was done.

Events wait in memory and are written together, by the thread that looks for changes of other
processes: SQLite does not count a connection's own writes as news, so what the server remembers
of the database stays good. A kill loses the events of the last half second.
"""

import logging
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from repoman.db.database import Database
from repoman.errors import RepomanError
from repoman.security import audit_records as records

CAPACITY = 10_000  # events that may wait
TEXT_MAX = 500  # characters of any value
PRUNE_INTERVAL = 3600.0  # seconds between two looks for old events
DAY = 86400.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that somebody did; ``attributes`` say more, never a secret."""

    domain: str
    type: str
    actor: str
    target: str = ""
    realm: str = ""
    address: str = ""
    connector: str = ""
    repository: str = ""
    is_success: bool = True
    attributes: dict[str, str] = field(default_factory=dict)
    at: float = field(default_factory=time.time)


class Audit:
    """The audit log of one database; thread safe."""

    def __init__(self, database: Database, days: int) -> None:
        self._database = database
        self._days = days
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._lost = 0
        self._pruned_at = 0.0

    def record(self, event: Event) -> None:
        """Note an event; nobody waits for the disk. Where too many wait, it is counted as lost."""
        with self._lock:
            if len(self._waiting) >= CAPACITY:
                self._lost += 1
            else:
                self._waiting.append(_bounded(event))

    def flush(self) -> None:
        """Write what waits and drop what is too old; only for the thread that notices writes."""
        with self._lock:
            events, self._waiting = list(self._waiting), deque()
            lost, self._lost = self._lost, 0
        if lost:
            events.append(Event("audit", "lost", "system", attributes={"count": str(lost)}))
        is_due = bool(events) and time.monotonic() - self._pruned_at > PRUNE_INTERVAL
        if not events:
            return
        try:
            with self._database.transaction(aside=True):
                records.insert_events(asdict(event) for event in events)
                if is_due:
                    records.delete_before(time.time() - self._days * DAY)
                    self._pruned_at = time.monotonic()
        except RepomanError as error:
            _log.warning("%d events of the audit log are lost: %s", len(events), error)

    def search(
        self, filters: dict[str, str] | None = None, since: float = 0.0, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return what has been written, the newest first, as the columns of the table.

        ``filters`` are values of domain, type, actor or repository.
        """
        return records.list_events(filters or {}, since, limit)


def _bounded(event: Event) -> Event:
    return replace(
        event,
        actor=_clean(event.actor),
        target=_clean(event.target),
        attributes={key: _clean(value) for key, value in event.attributes.items()},
    )


def _clean(text: str) -> str:
    """Return the text, cut, with escapes in place of what a terminal or a log would obey."""
    text = text[:TEXT_MAX]
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(each: str) -> str:
    return each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
