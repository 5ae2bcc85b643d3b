"""Kills the move of a repository at its first line, its next one, and so on.

After each the data is opened as at a start, the move is ended, and the data is looked at. Run by
test_moves.
"""

import sys
from pathlib import Path

from repoman.blobs.file import PREFIXES
from repoman.blobs.manager import BlobStoreManager, make_file_store
from repoman.blobs.upload import store_bytes
from repoman.compaction import Compactor, Unwatched
from repoman.config import BlobStoreSettings, DatabaseSettings
from repoman.content import ContentStore, NewAsset
from repoman.db.database import Database
from repoman.db.models import database_proxy
from repoman.identity import pair_stores
from repoman.repositories.move_records import begin_move
from repoman.repositories.repository_records import Row, insert_row
from repoman.stores import moves
from repoman.stores.moves import Moves
from tests.recount import counted, kept
from tests.unit.core.killing import kill_at_each_line, killed_at

WATCHED = ("stores/moves.py", "move_records.py", "blobs/file_writer.py", "blobs/upload.py")
FUTURE = 1e10  # seconds since the epoch: every time of grace is over
STORES = {
    name: BlobStoreSettings.model_validate({"type": "file", "path": name})
    for name in ("default", "other")
}
MOVED = {"a": b"one", "b": b"two", "c": b"one"}


def opened(directory: Path) -> tuple[Database, BlobStoreManager]:
    """What a process opens."""
    database = Database(directory, DatabaseSettings())
    database.open()
    stores = BlobStoreManager(STORES, {"file": make_file_store}, directory)
    pair_stores(database, stores, adopt=False)
    return database, stores


def content_of(database: Database, stores: BlobStoreManager, number: int, store: str):
    """The content of a repository."""
    return ContentStore(database, number, store, stores.get(store), stores=stores)


def fill(directory: Path) -> None:
    """Store two repositories that share a blob, and begin to move one of them."""
    database, stores = opened(directory)
    settings = {"storage": {"blob_store": "default"}}
    for number, name in enumerate(("moved", "kept"), 1):
        insert_row(Row(0, name, "raw", "hosted", True, settings))
        content = content_of(database, stores, number, "default")
        for path, data in MOVED.items() if name == "moved" else [("a", b"one")]:
            blob = store_bytes(stores.get("default"), data)
            content.save_asset(NewAsset(path, "file", blob, "text/plain", checksums={"md5": "x"}))
    with database.transaction():
        database_proxy.execute_sql(
            "UPDATE repository SET settings = json_set(settings, '$.storage.blob_store', 'other') "
            "WHERE id = 1"
        )
        begin_move(1, "other", 1.0)
    database.close()


def move(directory: Path, kill_at: int) -> None:
    """Move, and be killed before the given line, counted when it is first run."""
    moves.BATCH_ASSETS, moves.READ_BYTES = 1, 2
    database, stores = opened(directory)
    with killed_at(kill_at, WATCHED, is_each_time=False):
        Moves(database, None, stores).run(Unwatched(), bool, 1 << 40)
    database.close()


def check(directory: Path) -> None:
    """Exit with an error unless all can be read, at once and after the move, and nothing else."""
    database, stores = opened(directory)
    for name in stores.names():
        stores.get(name).sweep_writers(())
    check_content(database, stores)
    Moves(database, None, stores, lambda: FUTURE).run(Unwatched(), bool, 1 << 40)
    compactor = Compactor(database, stores, lambda: FUTURE)
    compactor.compact()
    for prefix in PREFIXES:
        compactor.sweep(prefix)
    check_content(database, stores)
    assert kept(database_proxy.connection()) == counted(database_proxy.connection())
    assert kept(database_proxy.connection())["stores"] == {"default": (1, 3, 0), "other": (2, 6, 0)}
    sums = database_proxy.execute_sql("SELECT count(*) FROM blob_checksum").fetchone()
    assert sums == (3,)
    for name, count in (("default", 1), ("other", 2)):
        files = [each for each in (directory / name).glob("*/**/*") if each.is_file()]
        assert len(files) == count, files
    database.close()


def check_content(database: Database, stores: BlobStoreManager) -> None:
    """Exit with an error unless all is there."""
    moved, other = (
        content_of(database, stores, 1, "other"),
        content_of(database, stores, 2, "default"),
    )
    for path, data in MOVED.items():
        assert moved.open_body(moved.get_asset(path)) == data
    assert other.open_body(other.get_asset("a")) == b"one"


if __name__ == "__main__":
    kill_at_each_line(Path(sys.argv[1]), fill, move, check)
