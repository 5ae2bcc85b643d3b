"""Kills a purge at its first line, its next one, and so on, until one comes through.

After each the data is opened as at a start, purged, and looked at. Run by test_purge.
"""

import sys
from pathlib import Path

from repoman.blobs.upload import store_bytes
from repoman.compaction import Unwatched
from repoman.content import ContentStore, Coordinate, NewAsset, Reference
from repoman.db.models import AssetRecord, ComponentRecord, RepositoryRecord, UploadRecord
from repoman.repositories import purge
from repoman.repositories.purge import Purge
from repoman.repositories.repository_records import Row, bury_row, insert_row
from repoman.uploads import UploadSessions
from tests.unit.core.killing import kill_at_each_line, killed_at, opened

WATCHED = ("repositories/purge.py", "repository_records.py", "blobs/file.py")


def fill(directory: Path) -> None:
    """Store two repositories with the same content, and delete one of them."""
    database, stores = opened(directory)
    blobs = stores.get("default")
    for number, name in enumerate(("deleted", "kept"), 1):
        insert_row(Row(0, name, "raw", "hosted", True, {}))
        content = ContentStore(database, number, "default", blobs)
        for path in ("a", "b"):
            component = Coordinate("file", path)
            refers = (Reference("needs", "c"),)
            blob = store_bytes(blobs, path.encode())
            content.save_asset(
                NewAsset(path, "file", blob, "text/plain", component=component, references=refers)
            )
        uploads = UploadSessions(database, number, "default", blobs)
        with uploads.open_sink(uploads.create("app", "ann")) as sink:
            sink.write(b"half")
    with database.transaction():
        bury_row(1)
    database.close()


def check(directory: Path) -> None:
    """Exit with an error unless all of the other repository is there, and nothing else."""
    database, stores = opened(directory)
    blobs = stores.get("default")
    Purge(database, stores).run(Unwatched())
    content = ContentStore(database, 2, "default", blobs)
    assert content.open_body(content.get_asset("a")) == b"a"
    assert [asset.path for asset in content.referring("c", "needs")] == ["a", "b"]
    for table, count in ((RepositoryRecord, 1), (AssetRecord, 2), (ComponentRecord, 2)):
        assert table.select().count() == count
    assert UploadRecord.select().count() == len(list((directory / "blobs/uploads").iterdir())) == 1
    database.close()


def remove(directory: Path, kill_at: int) -> None:
    """Purge, and be killed before the given line, counted each time that it is run."""
    purge.STEP_ROWS = purge.ROWS_MAX = purge.UPLOADS_BATCH = 1
    database, stores = opened(directory)
    with killed_at(kill_at, WATCHED, is_each_time=True):
        Purge(database, stores).run(Unwatched())
    database.close()


if __name__ == "__main__":
    kill_at_each_line(Path(sys.argv[1]), fill, remove, check)
