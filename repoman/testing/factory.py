"""A started Repoman for a test, with just the plugins and settings that the test names."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from repoman.config import DatabaseSettings, Settings
from repoman.core import Repoman
from repoman.db.database import FILE, Database
from repoman.durable import PRIVATE_FILE_MODE, make_directory
from repoman.security.passwords import PasswordVerifier
from repoman.security.permissions import ADMIN_ROLE
from repoman.security.user_records import insert_user

ADMIN = ("admin", "a password for tests")
COST = 8192  # KiB for hashing a password: little, so that nobody waits for it


def make_database(directory: Path, *, admin: bool = False) -> None:
    """Put a new database into a directory, which saves whoever opens it the migrations.

    It is empty or has the user ADMIN, whose password takes as long to hash as most tests.
    """
    with suppress(OSError):  # A directory that cannot be had is the database's to tell.
        make_directory(directory)
        path = directory / FILE
        path.touch(PRIVATE_FILE_MODE)
        path.write_bytes(_new_database(admin))


@cache
def _new_database(has_admin: bool) -> bytes:
    with TemporaryDirectory() as directory:
        database = Database(Path(directory), DatabaseSettings())
        database.open()
        if has_admin:
            name, password = ADMIN
            insert_user(name, PasswordVerifier(0, COST).hash(password), [ADMIN_ROLE])
        database.close()
        return (Path(directory) / FILE).read_bytes()


class Clock:
    """A clock that a test moves. It stands still at a time, or goes on as the time of day does."""

    def __init__(self, now: float | None = None) -> None:
        self._time = time.time if now is None else lambda: now
        self._ahead = 0.0

    def __call__(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self._time() + self._ahead

    def jump(self, seconds: float) -> None:
        """Go forward, or back."""
        self._ahead += seconds


class RepomanFactory:
    """Starts Repomans on one data directory, one after the other.

    The models are bound to one database per process, so the next one stops the one before; that is
    how a test restarts its server.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self._running: Repoman | None = None

    def __call__(
        self,
        plugins: Mapping[str, object] | None = None,
        clock: Callable[[], float] = time.time,
        **settings: Any,
    ) -> Repoman:
        """Start a Repoman.

        ``plugins`` by name, without those that are installed; ``clock`` for the ages of caches;
        ``settings`` are tables of the settings file. A new database has the user ADMIN and no
        repository.
        """
        self.stop()
        if not (self.data / FILE).exists():
            make_database(self.data, admin=True)
        settings["security"] = {"password_cost": COST, **settings.get("security", {})}
        repoman = Repoman(Settings(data=self.data, **settings), plugins or {}, clock)
        self._running = repoman
        repoman.start()
        return repoman

    def stop(self) -> None:
        """Stop the one that runs, if any."""
        if self._running is not None:
            self._running.stop()
            self._running = None


@pytest.fixture
def repoman_factory(tmp_path: Path) -> Iterator[RepomanFactory]:
    """Start Repomans in the test's own directory; the last one is stopped at the end."""
    factory = RepomanFactory(tmp_path / "data")
    yield factory
    factory.stop()
