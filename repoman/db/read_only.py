"""Read-only mode: triggers of the database refuse changes, whichever process makes them.

They are there only while the mode lasts, so that nothing is paid for them otherwise, and they come
and go in the transaction that says so: no change of content or configuration follows it, and none
is lost that came before. What the server notes on the side goes on: logins, the audit log, the
states of tasks and remotes, and the columns of times below.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from repoman.db.topics import TOPICS
from repoman.errors import Conflict, Frozen

# Tables that are written in read-only mode; all others are not, nor are those of later versions.
EXEMPT_TABLES = frozenset(
    {
        "audit",
        "blob_verification",
        "connector_state",
        "damaged_blob",
        "doctor_result",
        "follower",
        "migration_backfill",
        "pull_day",
        "read_only",
        "remote",
        "revision",
        "sample",
        "secret",
        "session",
        "task_line",
        "task_run",
        "upload",
    }
)
# Columns of the other tables that are written: when something was used, asked for, or is due.
EXEMPT_COLUMNS = frozenset(
    {
        "checked_at",
        "downloaded_at",
        "last_login_at",
        "last_used_at",
        "next_at",
        "promised_at",
        "remote_etag",
        "remote_modified",
    }
)
MESSAGE = "The server is in read-only mode. Nothing can be changed until an administrator ends it."
REFUSAL = "repoman: read-only mode"
"""What SQLite says when a trigger refuses a statement."""

_PREFIX = "read_only_"  # of the names of the triggers
_TRIGGER = (
    'CREATE TRIGGER "{prefix}{table}_{name}" BEFORE {event} ON "{table}" '
    "BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
)


@dataclass(frozen=True, slots=True)
class Freeze:
    """When read-only mode began, in seconds since the epoch, and who began it."""

    at: float
    actor: str


class ReadOnlyMode:
    """The read-only mode of one database; thread safe.

    Args:
        sqlite: the database.
        transaction: returns a context that is one write transaction.

    Attributes:
        state: the mode as this process last saw it; None: everything may be changed. It is up to
            half a second old where another process changes it, unlike the triggers.
    """

    def __init__(
        self, sqlite: Any, transaction: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._sqlite = sqlite
        self._transaction = transaction
        self.state: Freeze | None = None

    def check(self) -> None:
        """Return unless the server is in read-only mode (Frozen); cheap, for any thread."""
        if self.state is not None:
            raise Frozen(MESSAGE)

    def find(self) -> Freeze | None:
        """Return the mode as the database has it now, whichever process changed it."""
        row = self._sqlite.execute_plain('SELECT "at", "actor" FROM "read_only"').fetchone()
        return None if row is None else Freeze(*row)

    def enter(self, actor: str, note: Callable[[], object]) -> None:
        """Begin it; ``note`` records that, in the same transaction.

        Raises:
            Conflict: it has begun already.
        """
        with self._transaction():
            present = self.find()
            if present is not None:
                raise Conflict(f"The server is in read-only mode already, by {present.actor}.")
            self._sqlite.execute_sql(
                'INSERT INTO "read_only" ("id", "at", "actor") VALUES (1, ?, ?)',
                (time.time(), actor),
            )
            self._create_triggers()
            note()
        self.refresh()

    def leave(self, note: Callable[[], object]) -> None:
        """End it; ``note`` records that, in the same transaction.

        Raises:
            Conflict: the server is not in read-only mode.
        """
        with self._transaction():
            if self.find() is None:
                raise Conflict("The server is not in read-only mode.")
            self._sqlite.execute_sql('DELETE FROM "read_only"')
            self._drop_triggers()
            note()
        self.refresh()

    def refresh(self) -> None:
        """Take over what other processes have done."""
        self.state = self.find()

    def lift(self) -> None:
        """Let this process migrate the database, until :meth:`restore`."""
        if self._triggers():
            with self._transaction():
                self._drop_triggers()

    def restore(self) -> None:
        """Protect the tables again, those that a migration has made too."""
        self.refresh()
        if self.state is not None and not self._triggers():
            with self._transaction():
                self._create_triggers()

    def _triggers(self) -> list[str]:
        sql = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name GLOB ?"
        return [name for (name,) in self._sqlite.execute_plain(sql, (f"{_PREFIX}*",)).fetchall()]

    def _create_triggers(self) -> None:
        for table in self._guarded():
            columns = [
                name
                for _, name, *_ in self._sqlite.execute_plain(f'PRAGMA table_info("{table}")')
                if name not in EXEMPT_COLUMNS
            ]
            listed = ", ".join(f'"{each}"' for each in columns)
            for name, event in (
                ("insert", "INSERT"),
                ("update", f"UPDATE OF {listed}"),
                ("delete", "DELETE"),
            ):
                self._sqlite.execute_plain(
                    _TRIGGER.format(
                        prefix=_PREFIX, table=table, name=name, event=event, refusal=REFUSAL
                    )
                )

    def _drop_triggers(self) -> None:
        for name in self._triggers():
            self._sqlite.execute_plain(f'DROP TRIGGER "{name}"')

    def _guarded(self) -> Iterator[str]:
        """Yield the tables that are protected; indexes that are virtual tables follow theirs."""
        sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'"
        for (name,) in self._sqlite.execute_plain(sql).fetchall():
            if name in TOPICS and name not in EXEMPT_TABLES:
                yield name
