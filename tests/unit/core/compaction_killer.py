"""Kills a compaction at its first line, its next one, and so on, until one comes through.

After each the data is opened as at a start, compacted, and looked at. Run by test_compaction.
"""

import shutil
import signal
import sys
from os import getpid, kill
from pathlib import Path

from repoman.blobs.manager import BlobStoreManager, make_file_store
from repoman.blobs.store import BlobStore
from repoman.blobs.upload import store_bytes
from repoman.compaction import Compactor
from repoman.config import BlobStoreSettings, DatabaseSettings
from repoman.content import ContentStore, NewAsset
from repoman.db.database import Database
from repoman.db.models import BlobRecord
from repoman.identity import pair_stores
from repoman.repositories.repository_records import Row, insert_row
from tests.unit.core.rotation_killer import run

WATCHED = ("compaction.py", "blob_records.py", "blobs/file.py")
LIMIT = 2000
FUTURE = 1e10  # seconds since the epoch: every time of grace is over
STORE = {"default": BlobStoreSettings.model_validate({"type": "file", "path": "blobs"})}


def main(directory: Path) -> None:
    """Compact until a compaction comes through; print how many were killed."""
    filled, data = directory / "filled", directory / "data"
    assert run(lambda: fill(filled)) == 0
    for number in range(LIMIT):
        restore(filled, data)
        status = run(lambda: compact(data, kill_at=number))  # noqa: B023 - run at once
        assert run(lambda: check(data)) == 0, f"killed at line {number}"
        if status == 0:
            sys.stdout.write(f"{number}\n")
            return
        assert status == -signal.SIGKILL, status
    raise AssertionError("no compaction came through")


def restore(filled: Path, data: Path) -> None:
    """Bring the data back to what they were, without all those empty directories."""
    for path in data.rglob("*"):
        if path.is_file():
            path.unlink()
    for path in filled.rglob("*"):
        if path.is_file():
            place = data / path.relative_to(filled)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)


def opened(directory: Path) -> tuple[Database, BlobStore, Compactor]:
    """What a process opens."""
    database = Database(directory, DatabaseSettings())
    database.open()
    stores = BlobStoreManager(STORE, {"file": make_file_store}, directory)
    pair_stores(database, stores, adopt=False)
    blobs = stores.get("default")
    return database, blobs, Compactor(database, stores, lambda: FUTURE)


def fill(directory: Path) -> None:
    """Store three blobs: one is named, one is so no more, and one never was."""
    database, blobs, _ = opened(directory)
    insert_row(Row(0, "files", "raw", "hosted", True, {}))
    content = ContentStore(database, 1, "default", blobs)
    for path in ("kept", "deleted"):
        blob = store_bytes(blobs, path.encode())
        content.save_asset(NewAsset(path, "file", blob, "text/plain"))
    content.delete_assets(["deleted"])
    store_bytes(blobs, b"never named")
    database.close()


def free_all(directory: Path, compactor: Compactor) -> None:
    """Free all that nothing names."""
    compactor.compact()
    for each in list((directory / "blobs/sha256").glob("*/*")):
        compactor.sweep(each.name[:2])


def check(directory: Path) -> None:
    """Exit with an error unless all that is named is there, and in the end nothing else."""
    database, blobs, compactor = opened(directory)
    content = ContentStore(database, 1, "default", blobs)
    assert content.open_body(content.get_asset("kept")) == b"kept"
    blobs.sweep_writers(())
    free_all(directory, compactor)
    with content.open_asset(content.get_asset("kept")) as file:
        assert file.read() == b"kept"
    assert BlobRecord.select().count() == 1
    assert sum(each.is_file() for each in (directory / "blobs").glob("*/**/*")) == 1
    database.close()


def compact(directory: Path, kill_at: int) -> None:
    """Compact, and be killed before the given line, counted when it is first run."""
    database, _, compactor = opened(directory)
    lines = set()

    def trace(frame, event, _):
        name = frame.f_code.co_filename
        if not name.endswith(WATCHED):
            return None
        if event == "line" and (name, frame.f_lineno) not in lines:
            if len(lines) == kill_at:
                kill(getpid(), signal.SIGKILL)
            lines.add((name, frame.f_lineno))
        return trace

    sys.settrace(trace)
    free_all(directory, compactor)
    sys.settrace(None)
    database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
