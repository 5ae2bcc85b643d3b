"""Kills a purge at its first line, its next one, and so on, until one comes through.

After each the data is opened as at a start, purged, and looked at. Run by test_purge.
"""

import signal
import sys
from os import getpid, kill
from pathlib import Path

from repoman.blobs.manager import BlobStoreManager, make_file_store
from repoman.blobs.store import BlobStore
from repoman.blobs.upload import store_bytes
from repoman.config import BlobStoreSettings, DatabaseSettings
from repoman.content import ContentStore, Coordinate, NewAsset, Reference
from repoman.db.database import Database
from repoman.db.models import AssetRecord, ComponentRecord, RepositoryRecord, UploadRecord
from repoman.identity import pair_stores
from repoman.repositories import purge
from repoman.repositories.purge import Purge
from repoman.repositories.repository_records import Row, bury_row, insert_row
from repoman.uploads import UploadSessions
from tests.unit.core.compaction_killer import restore
from tests.unit.core.rotation_killer import run

WATCHED = ("repositories/purge.py", "repository_records.py", "blobs/file.py")
LIMIT = 2000
STORE = {"default": BlobStoreSettings.model_validate({"type": "file", "path": "blobs"})}


class Unhurried:
    """Progress that nobody looks at, and pauses that take no time."""

    def progress(self, done, total=None, message=""):
        """Nobody looks."""

    def pause(self, seconds):
        """Take no time."""


def main(directory: Path) -> None:
    """Purge until one comes through; print how many were killed."""
    filled, data = directory / "filled", directory / "data"
    assert run(lambda: fill(filled)) == 0
    for number in range(LIMIT):
        restore(filled, data)
        status = run(lambda: remove(data, kill_at=number))  # noqa: B023 - run at once
        assert run(lambda: check(data)) == 0, f"killed at line {number}"
        if status == 0:
            sys.stdout.write(f"{number}\n")
            return
        assert status == -signal.SIGKILL, status
    raise AssertionError("no purge came through")


def opened(directory: Path) -> tuple[Database, BlobStore, Purge]:
    """What a process opens."""
    database = Database(directory, DatabaseSettings())
    database.open()
    stores = BlobStoreManager(STORE, {"file": make_file_store}, directory)
    pair_stores(database, stores, adopt=False)
    return database, stores.get("default"), Purge(database, stores)


def fill(directory: Path) -> None:
    """Store two repositories with the same content, and delete one of them."""
    database, blobs, _ = opened(directory)
    for number, name in enumerate(("deleted", "kept"), 1):
        insert_row(Row(0, name, "raw", "hosted", True, {}))
        content = ContentStore(database, number, "default", blobs)
        for path in ("a", "b"):
            component = Coordinate("file", path)
            refers = (Reference("needs", "c"),)
            blob = store_bytes(blobs, path.encode())
            asset = NewAsset(path, "file", blob, "text/plain", component=component)
            content.save_asset(NewAsset(**{**_fields(asset), "references": refers}))
        uploads = UploadSessions(database, number, "default", blobs)
        with uploads.open_sink(uploads.create("app", "ann")) as sink:
            sink.write(b"half")
    with database.transaction():
        bury_row(1)
    database.close()


def _fields(asset: NewAsset) -> dict[str, object]:
    return {name: getattr(asset, name) for name in NewAsset.__dataclass_fields__}


def check(directory: Path) -> None:
    """Exit with an error unless all of the other repository is there, and nothing else."""
    database, blobs, purging = opened(directory)
    purging.run(Unhurried())
    content = ContentStore(database, 2, "default", blobs)
    assert content.open_body(content.get_asset("a")) == b"a"
    assert [asset.path for asset in content.referring("c", "needs")] == ["a", "b"]
    for table, count in ((RepositoryRecord, 1), (AssetRecord, 2), (ComponentRecord, 2)):
        assert table.select().count() == count
    assert UploadRecord.select().count() == len(list((directory / "blobs/uploads").iterdir())) == 1
    database.close()


def remove(directory: Path, kill_at: int) -> None:
    """Purge, and be killed before the given line, counted each time that it is run."""
    purge.ROWS_MIN = purge.ROWS_MAX = purge.UPLOADS_BATCH = 1
    database, _, purging = opened(directory)
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if not frame.f_code.co_filename.endswith(WATCHED):
            return None
        if event == "line":
            if count == kill_at:
                kill(getpid(), signal.SIGKILL)
            count += 1
        return trace

    sys.settrace(trace)
    purging.run(Unhurried())
    sys.settrace(None)
    database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
