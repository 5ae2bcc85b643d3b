"""Kills the adoption or removal of orphans at its first line, its next one, and so on.

After each the data is opened as at a start, the work is done, and the data is looked at. Run by
test_orphans.
"""

import sys
from functools import partial
from pathlib import Path

from repoman.blobs.upload import store_bytes
from repoman.compaction import Compactor, Unwatched
from repoman.content import ContentStore, NewAsset
from repoman.db.models import database_proxy
from repoman.repositories.repository_records import Row, insert_row
from repoman.stores.orphans import Orphans
from tests.recount import counted, kept
from tests.unit.core.killing import kill_at_each_line, killed_at, opened

WATCHED = ("stores/orphans.py", "compaction.py", "blob_records.py", "blobs/file.py")
FUTURE = 1e10  # seconds since the epoch: every time of grace is over


def fill(directory: Path) -> None:
    """Store two blobs, of which only one is named."""
    database, stores = opened(directory)
    blobs = stores.get("default")
    insert_row(Row(0, "files", "raw", "hosted", True, {}))
    content = ContentStore(database, 1, "default", blobs)
    content.save_asset(NewAsset("kept", "file", store_bytes(blobs, b"kept"), "text/plain"))
    store_bytes(blobs, b"never named")
    database.close()


def run(work: str, directory: Path, kill_at: int) -> None:
    """Do the work, and be killed before the given line, counted when it is first run."""
    database, stores = opened(directory)
    orphans = Orphans(database, stores, Compactor(database, stores, lambda: FUTURE), lambda: 1.0)
    with killed_at(kill_at, WATCHED, is_each_time=False):
        getattr(orphans, work)("default", Unwatched())
    database.close()


def check(work: str, directory: Path) -> None:
    """Exit with an error unless all that is named is there, and sums and files fit."""
    database, stores = opened(directory)
    blobs, compactor = stores.get("default"), Compactor(database, stores, lambda: FUTURE)
    blobs.sweep_writers(())
    compactor.finish()
    getattr(Orphans(database, stores, compactor), work)("default", Unwatched())
    compactor.compact()
    content = ContentStore(database, 1, "default", blobs)
    assert content.open_body(content.get_asset("kept")) == b"kept"
    assert kept(database_proxy.connection()) == counted(database_proxy.connection())
    assert kept(database_proxy.connection())["stores"]["default"] == (1, 4, 0)
    assert sum(each.is_file() for each in (directory / "blobs").glob("*/**/*")) == 1
    database.close()


if __name__ == "__main__":
    chosen = sys.argv[2]
    work = partial(run, chosen)
    kill_at_each_line(Path(sys.argv[1]), fill, work, partial(check, chosen), looks_at_all=True)
