"""Kills work on a data directory at its first line, its next one, and so on, until it gets through.

After each kill the data is opened as at a start, and looked at.
"""

import gc
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import getpid, kill
from pathlib import Path

from repoman.blobs.file import PREFIXES
from repoman.blobs.manager import BlobStoreManager, make_file_store
from repoman.config import BlobStoreSettings, DatabaseSettings
from repoman.db.database import Database
from repoman.identity import pair_stores
from tests.unit.core.rotation_killer import run

LIMIT = 2000
STORE = {"default": BlobStoreSettings.model_validate({"type": "file", "path": "blobs"})}


def kill_at_each_line(
    directory: Path,
    fill: Callable[[Path], None],
    work: Callable[[Path, int], None],
    check: Callable[[Path], None],
    *,
    looks_at_all: bool = False,
) -> None:
    """Kill ``work``, which takes the line, until it gets through; print how often it was killed.

    ``looks_at_all``: the work looks for blobs in every directory that there may be.
    """
    filled, data = directory / "filled", directory / "data"
    assert run(lambda: fill(filled)) == 0
    if not looks_at_all:
        _drop_empty_directories(filled)
    gc.freeze()  # or each process would copy what the collector looks at
    for number in range(LIMIT):
        _restore(filled, data)
        status = run(lambda: work(data, number))  # noqa: B023 - run at once
        assert run(lambda: check(data)) == 0, f"killed at line {number}"
        if status == 0:
            sys.stdout.write(f"{number}\n")
            return
        assert status == -signal.SIGKILL, status
    raise AssertionError("the work never got through")


@contextmanager
def killed_at(line: int, watched: tuple[str, ...], *, is_each_time: bool) -> Iterator[None]:
    """Be killed before a line of the files that end so, counted the first or each time it runs."""
    count, seen = 0, set()

    def trace(frame, event, _):
        nonlocal count
        place = (frame.f_code.co_filename, frame.f_lineno)
        if not place[0].endswith(watched):
            return None
        if event == "line" and (is_each_time or place not in seen):
            if count == line:
                kill(getpid(), signal.SIGKILL)
            count += 1
            seen.add(place)
        return trace

    sys.settrace(trace)
    yield
    sys.settrace(None)


def opened(directory: Path) -> tuple[Database, BlobStoreManager]:
    """What a process opens."""
    database = Database(directory, DatabaseSettings())
    database.open()
    stores = BlobStoreManager(STORE, {"file": make_file_store}, directory)
    pair_stores(database, stores, adopt=False)
    return database, stores


def _drop_empty_directories(filled: Path) -> None:
    """Spread the blobs over no more directories than there are blobs: looking at all takes long."""
    used = {path.parent.name for path in filled.glob("*/sha256/??/*")}
    for path in filled.glob("*/sha256/??"):
        if path.name not in used:
            path.rmdir()
    PREFIXES[:] = sorted(used)


def _restore(filled: Path, data: Path) -> None:
    """Bring the data back to what they were."""
    for path in data.rglob("*"):
        if path.is_file():
            path.unlink()
    for path in filled.rglob("*"):
        if path.is_file():
            place = data / path.relative_to(filled)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
