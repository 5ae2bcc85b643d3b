"""The audit log: who did what to what, from where, and whether it was done.

A change of configuration is written within its own transaction, so that there is never the one
without the other; changes of content leave events (:mod:`repoman.events`) that the log follows. All
other events wait in memory and are written together, by the thread that looks for changes of other
processes: SQLite does not count a connection's own writes as news, so what the server remembers of
the database stays good. A kill loses those of the last half second. While the database is busy or
the disk full they go on waiting, up to a number; those beyond it are counted, and an event says how
many there were.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any

from repoman.caching import LruCache
from repoman.clocks import Retention
from repoman.config import AuditSettings
from repoman.db.database import Database
from repoman.errors import RepomanError
from repoman.events.event import AuditEntry, ContentEvent
from repoman.events.event_records import MAX_ID, list_events
from repoman.events.follower import Follower
from repoman.events.origin import current_origin
from repoman.security import audit_records as records

WAITING_MAX_EVENTS = 10_000  # Further events are lost, and counted.
TEXT_MAX_CHARS = 500  # A longer value is cut.
# The values that come from clients.
TEXTS = ("actor", "realm", "address", "connector", "repository", "target")
BATCH_EVENTS = 1000  # Events that are written in one transaction.
PRUNED_ROWS = 1000  # Old events that are removed in one transaction.
# Batches of content events that one call follows: the thread has to notice other changes soon.
FOLLOWED_BATCHES = 10
LOGIN_INTERVAL_S = 3600.0  # The same login is recorded once in this time.

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


COLUMNS = tuple(each.name for each in fields(Event))  # of the table of events


class Audit:
    """The audit log of one database; thread safe.

    Args:
        clock: seconds since the epoch.

    Attributes:
        pulls: whether pulls are recorded too.
        find_handled: returns the id up to which others have what they follow of the log.
    """

    def __init__(
        self,
        database: Database,
        settings: AuditSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._retention = Retention(settings.days, records.find_newest, records.find_oldest, clock)
        self._follower = Follower(
            database,
            "audit",
            list_events,
            attrgetter("id"),
            self._tell_changes,
            is_atomic=True,
        )
        self.find_handled: Callable[[], int] = lambda: MAX_ID
        self.pulls = settings.pulls
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._lost = 0
        self._logins: LruCache[bool] = LruCache(ttl=LOGIN_INTERVAL_S)
        self._is_failing = False
        database.on_change = self._record_change

    def record(self, event: Event) -> None:
        """Note an event; nobody waits for the disk. Where too many wait, it is counted as lost."""
        with self._lock:
            if len(self._waiting) >= WAITING_MAX_EVENTS:
                self._lost += 1
            else:
                self._waiting.append(_bounded(event))

    def note(self, kind: str, target: str, *, is_success: bool = True, **attributes: str) -> None:
        """Note what the current request or command does without changing anything.

        ``kind`` is what is done to what (``ldap.try``); ``attributes`` hold no secrets.
        """
        self.record(_event(kind, target, attributes, is_success=is_success))

    def is_new_login(self, *who: str) -> bool:
        """Return whether to record a login: the same one is recorded once an hour.

        For clients that send their password with each request. ``who`` is whatever makes it another
        one: name, address, token.
        """
        is_new = self._logins.find(who) is None
        if is_new:
            self._logins.save(who, value=True)
        return is_new

    def flush(self, *, is_last: bool = False) -> None:
        """Write what waits and what happened to content; only for the thread that notices writes.

        What cannot be written waits for the next time; after the last one there is none. Of very
        many changes of content, only the first ones are written: the others lie in the database.
        """
        with self._lock:
            events, self._waiting = list(self._waiting), deque()
            lost, self._lost = self._lost, 0
        try:
            while events or lost:
                batch, rest = events[:BATCH_EVENTS], events[BATCH_EVENTS:]
                told = 0 if rest else lost  # after those that came before
                with self._database.transaction(touches=(), is_durable=True, is_brief=not is_last):
                    self._retention.confirm()
                    self._write(batch, told)
                events, lost = rest, lost - told
            for _ in range(FOLLOWED_BATCHES):
                if not self._follower.follow():
                    break
        except RepomanError as error:
            self._put_back(events, lost)
            self._note_failure(error, is_last=is_last)
        except BaseException:  # it would fail repeatedly with the same events
            self._put_back([], lost + len(events))
            raise
        else:
            self._is_failing = False

    def position(self) -> int:
        """Return the id of the last content event that the log has."""
        return self._follower.position

    def _tell_changes(self, events: Iterable[ContentEvent]) -> bool:
        """Write the events of content that have an entry, as they are; within a transaction."""
        self._retention.confirm()
        told = [_told(event, event.audit) for event in events if event.audit is not None]
        records.insert_events(_values(_bounded(each)) for each in told)
        return True

    def _write(self, events: list[Event], lost: int) -> None:
        if lost:
            events = [*events, Event("audit", "lost", "system", attributes={"count": str(lost)})]
        records.insert_events(map(_values, events))

    def _put_back(self, events: list[Event], lost: int) -> None:
        """Put events back, before those that arrived since, as far as there is room."""
        with self._lock:
            both = [*events, *self._waiting]
            self._waiting = deque(both[:WAITING_MAX_EVENTS])
            self._lost += lost + max(0, len(both) - WAITING_MAX_EVENTS)

    def _note_failure(self, error: RepomanError, *, is_last: bool) -> None:
        count = len(self._waiting) + self._lost
        if is_last and count:
            _log.error("%d events of the audit log were lost: %s", count, error)
        elif not self._is_failing:
            _log.warning(
                "The audit log cannot be written; its events are held in memory: %s", error
            )
        self._is_failing = True

    def prune(self, limit: int = PRUNED_ROWS) -> int:
        """Remove at most ``limit`` events that are too old by any clock; return how many.

        Within an hour no more than the oldest events of one day, and none that somebody follows.
        """
        with self._database.transaction(touches=(), is_brief=True):
            before = self._retention.limit()
            return (
                0 if before is None else records.delete_before(before, self.find_handled(), limit)
            )

    def search(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        since: float = 0.0,
        limit: int = 100,
        after: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return what has been written, the newest first, as the columns of the table.

        Args:
            filters: values of domain, type, actor, address, repository, target or is_success.
            since: nothing before this time.
            limit: not more than so many.
            after: id of the event behind which to go on.

        Raises:
            Invalid: this event no longer exists.
        """
        return records.list_events(filters or {}, since, limit, after)

    def _record_change(self, kind: str, target: str, attributes: Mapping[str, str]) -> None:
        """Write a change of configuration down, in the transaction that makes it."""
        records.insert_events([_values(_bounded(_event(kind, target, attributes)))])


def _event(
    kind: str, target: str, attributes: Mapping[str, str], *, is_success: bool = True
) -> Event:
    """Return the event of what the current request or command does."""
    origin = current_origin()
    domain, _, type_ = kind.partition(".")
    return Event(
        domain,
        type_,
        origin.actor,
        target,
        realm=origin.realm,
        address=origin.address,
        connector=origin.connector,
        repository=target if domain == "repository" else "",
        is_success=is_success,
        attributes={**origin.attributes, **attributes},
    )


def _told(event: ContentEvent, entry: AuditEntry) -> Event:
    """Return the event of the log for a change of content."""
    return Event(
        "content",
        entry.type,
        event.actor,
        entry.target,
        realm=event.realm,
        address=event.address,
        connector=event.connector,
        repository=event.requested or event.repository,
        attributes={**event.attributes, **entry.attributes},
        at=event.at,
    )


def _values(event: Event) -> dict[str, Any]:
    """Return the columns of an event; ``asdict`` copies all that is in them, too."""
    return {name: getattr(event, name) for name in COLUMNS}


def _bounded(event: Event) -> Event:
    texts: dict[str, Any] = {name: _clean(getattr(event, name)) for name in TEXTS}
    attributes = {key: _clean(value) for key, value in event.attributes.items()}
    return replace(event, **texts, attributes=attributes)


def _clean(text: str) -> str:
    """Return the text, cut, with escapes in place of what a terminal or a log would obey."""
    text = text[:TEXT_MAX_CHARS]
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(each: str) -> str:
    return each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
