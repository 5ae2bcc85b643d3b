"""Kills a compaction at its first line, its next one, and so on, until one comes through.

After each the data is opened as at a start, compacted, and looked at. Run by test_compaction.
"""

import sys
from pathlib import Path

from repoman.blobs.upload import store_bytes
from repoman.compaction import Compactor
from repoman.content import ContentStore, NewAsset
from repoman.db.models import BlobRecord
from repoman.repositories.repository_records import Row, insert_row
from tests.unit.core.killing import kill_at_each_line, killed_at, opened

WATCHED = ("compaction.py", "blob_records.py", "blobs/file.py")
FUTURE = 1e10  # seconds since the epoch: every time of grace is over


def fill(directory: Path) -> None:
    """Store three blobs: one is named, one is so no more, and one never was."""
    database, stores = opened(directory)
    blobs = stores.get("default")
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
    database, stores = opened(directory)
    blobs, compactor = stores.get("default"), Compactor(database, stores, lambda: FUTURE)
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
    database, stores = opened(directory)
    compactor = Compactor(database, stores, lambda: FUTURE)
    with killed_at(kill_at, WATCHED, is_each_time=False):
        free_all(directory, compactor)
    database.close()


if __name__ == "__main__":
    kill_at_each_line(Path(sys.argv[1]), fill, compact, check)
