"""Migrations: each is one transaction with its mark, and so is each batch of rows that it fills.

A migration changes the schema in ``up``. What has to be worked out for existing rows is its
``BACKFILL``: phases that run after it, in batches, and continue where they were interrupted. The
database is used only after the last one.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from playhouse.migrations import Migration, Runner

from repoman.errors import Invalid

MIGRATIONS = Path(__file__).parent / "migrations"
PROGRESS_INTERVAL_S = 5.0
"""The log tells how far a backfill is this often."""

_MIGRATING = "Migrating the database: %s"
_STATE = (
    'CREATE TABLE IF NOT EXISTS "migration_backfill" ('
    '"name" TEXT NOT NULL PRIMARY KEY, "phase" INTEGER NOT NULL, "position" INTEGER NOT NULL)'
)

Transaction = Callable[[], AbstractContextManager[None]]
# The name of a table, and what fills a batch of its rows: it takes the database and the id of the
# last row that is done, and returns the new one, or None at the end of the table.
Phase = tuple[str, Callable[[Any, int], int | None]]

_log = logging.getLogger(__name__)


class Migrator:
    """Brings one database up to date.

    Args:
        sqlite: the database, connected.
        transaction: returns a context that is one write transaction.
        directory: of the migrations.
    """

    def __init__(self, sqlite: Any, transaction: Transaction, directory: Path = MIGRATIONS) -> None:
        self._sqlite = sqlite
        self._transaction = transaction
        self._runner = Runner(sqlite, str(directory))

    def applied(self) -> set[str]:
        """Return the names of the migrations that the database has.

        Raises:
            Invalid: the database was written by a newer version of the program.
        """
        applied = set(self._runner.applied())
        known = {each.name for each in self._runner.migrations()}
        if foreign := sorted(applied - known):
            raise Invalid(
                f"The database {self._sqlite.database} was written by a newer version of repoman "
                f"(migration {foreign[-1]}). Start that version instead."
            )
        return applied

    def has_work(self) -> bool:
        """Return whether :meth:`run` would change anything."""
        applied = self.applied()
        is_complete = all(each.name in applied for each in self._runner.migrations())
        return not is_complete or bool(self._unfinished())

    def run(self) -> None:
        """Apply what is missing, and finish what was interrupted."""
        applied = self.applied()
        if not applied:
            with self._transaction():
                self._sqlite.execute_sql(_STATE)
                self._runner.up()
            return
        migrations = self._runner.migrations()
        pending = [each.name for each in migrations if each.name not in applied]
        unfinished = self._unfinished()
        for migration in migrations:
            if migration.name in pending:
                number = pending.index(migration.name) + 1
                _log.info(_MIGRATING, f"{migration.name} ({number} of {len(pending)})")
                self._apply(migration)
            if migration.name in pending or migration.name in unfinished:
                self._fill(migration)

    def _unfinished(self) -> set[str]:
        if not self._sqlite.table_exists("migration_backfill"):
            return set()
        rows = self._sqlite.execute_sql('SELECT "name" FROM "migration_backfill"')
        return {name for (name,) in rows}

    def _apply(self, migration: Migration) -> None:
        with self._transaction():
            self._sqlite.execute_sql(_STATE)
            self._runner.up(migration.name)
            if _phases_of(migration):
                self._sqlite.execute_sql(
                    'INSERT INTO "migration_backfill" VALUES (?, 0, 0)', (migration.name,)
                )

    def _fill(self, migration: Migration) -> None:
        """Run the phases of a migration from where they stopped."""
        told_at = time.monotonic()
        phases = _phases_of(migration)
        for phase, position in self._batches(migration, phases):
            if time.monotonic() - told_at >= PROGRESS_INTERVAL_S:
                told_at = time.monotonic()
                table, _ = phases[phase]
                last = self._sqlite.execute_sql(
                    f'SELECT coalesce(max("id"), 0) FROM "{table}"'  # noqa: S608 - constants
                ).fetchone()[0]
                of = f"{table} {last if position is None else position:,} of {last:,}"
                step = f"step {phase + 1} of {len(phases)}"
                _log.info(_MIGRATING, f"{migration.name}, {step}, {of}")

    def _batches(
        self, migration: Migration, phases: list[Phase]
    ) -> Iterator[tuple[int, int | None]]:
        """Fill batches; yield the phase of each and the new position, None at the end of it."""
        while True:
            with self._transaction():
                # Read inside the transaction, since a command may migrate the database as well.
                state = self._position(migration)
                if state is None:
                    return
                phase, position = state
                _, fill = phases[phase]
                after = fill(self._sqlite, position)
                following = (phase + 1, 0) if after is None else (phase, after)
                self._note(migration, *following, is_over=following[0] == len(phases))
            yield phase, after

    def _position(self, migration: Migration) -> tuple[int, int] | None:
        query = 'SELECT "phase", "position" FROM "migration_backfill" WHERE "name" = ?'
        row: tuple[int, int] | None = self._sqlite.execute_sql(query, (migration.name,)).fetchone()
        return row

    def _note(self, migration: Migration, phase: int, position: int, *, is_over: bool) -> None:
        if is_over:
            self._sqlite.execute_sql(
                'DELETE FROM "migration_backfill" WHERE "name" = ?', (migration.name,)
            )
        else:
            self._sqlite.execute_sql(
                'UPDATE "migration_backfill" SET "phase" = ?, "position" = ? WHERE "name" = ?',
                (phase, position, migration.name),
            )


def _phases_of(migration: Migration) -> list[Phase]:
    return list(getattr(migration.load(), "BACKFILL", ()))
