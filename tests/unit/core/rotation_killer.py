"""Kills a rotation of keys at its first line, its second one, and so on, until one comes through.

After each the database is opened as at a start, and its secrets read. Run by test_keyring.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from repoman.config import DatabaseSettings
from repoman.db.database import KEY_FILE, Database
from repoman.option_records import find_secret, insert_secret

WATCHED = ("keyring.py", "sealing.py")
LIMIT = 2000
SECRETS = {"one": "first secret", "two": "second secret"}


def main(directory: Path) -> None:
    """Rotate until a rotation comes through; print how many were killed."""
    filled, data = directory / "filled", directory / "data"
    assert run(lambda: fill(filled)) == 0
    for number in range(LIMIT):
        shutil.copytree(filled, data)
        status = run(lambda: rotate(data, kill_at=number))  # noqa: B023 - run at once
        assert run(lambda: check(data)) == 0, f"killed at line {number}"
        if status == 0:
            assert len((data / KEY_FILE).read_text().split()) == 1
            sys.stdout.write(f"{number}\n")
            return
        shutil.rmtree(data)
        assert status == -signal.SIGKILL, status
    raise AssertionError("no rotation came through")


def run(work: Callable[[], None]) -> int:
    """Do something in a process of its own; return how that ended, signals below zero."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def opened(directory: Path) -> Database:
    """The database as a process opens it."""
    database = Database(directory, DatabaseSettings())
    database.open()
    return database


def fill(directory: Path) -> None:
    """Store secrets."""
    database = opened(directory)
    with database.transaction():
        for name, value in SECRETS.items():
            insert_secret(name, value)
    database.close()


def check(directory: Path) -> None:
    """Exit with an error unless every secret is there."""
    database = opened(directory)
    assert {name: find_secret(name) for name in SECRETS} == SECRETS
    database.close()


def rotate(directory: Path, kill_at: int) -> None:
    """Rotate, and be killed before the given line."""
    database = opened(directory)
    count = 0

    def trace(frame, event, _):
        nonlocal count
        code = frame.f_code
        if not code.co_filename.endswith(WATCHED) and code.co_name != "rotate_keys":
            return None
        if event == "line":
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
        return trace

    sys.settrace(trace)
    database.rotate_keys()
    sys.settrace(None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
