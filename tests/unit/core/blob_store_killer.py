"""Kills the creation and the deletion of blob stores at each line. Run by test_blob_stores.

After each kill the data is opened as at a start; then the same stores are created and deleted.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repoman.blobs.file import PREFIXES
from repoman.blobs.manager import BlobStoreManager, make_file_store
from repoman.config import BlobStoreSettings, DatabaseSettings
from repoman.db.database import Database
from repoman.errors import NotFound
from repoman.identity import pair_stores
from repoman.stores.service import BlobStores
from tests.unit.core.killing import kill_at_each_line, killed_at

WATCHED = ("stores/service.py", "blobs/directories.py")


SETTINGS = {"default": BlobStoreSettings.model_validate({"type": "file", "path": "blobs/default"})}


@contextmanager
def opened_stores(directory: Path) -> Iterator[BlobStores]:
    """The data as a start opens it."""
    database = Database(directory, DatabaseSettings())
    database.open()
    manager = BlobStoreManager(SETTINGS, {"file": make_file_store}, directory)
    stores = BlobStores(database, manager, SETTINGS, directory)
    stores.open()
    pair_stores(database, manager, adopt=False)
    yield stores
    database.close()


def fill(directory: Path) -> None:
    """Create a store that is deleted later."""
    with opened_stores(directory) as stores:
        stores.create("old", "old")


def work(directory: Path, kill_at: int) -> None:
    """Create a store and delete the other one, and be killed before the given line."""
    with opened_stores(directory) as stores, killed_at(kill_at, WATCHED, is_each_time=False):
        stores.create("new", "deep/new")
        stores.delete("old")


def check(directory: Path) -> None:
    """Exit with an error unless the start succeeds, and the work can be done again."""
    with opened_stores(directory) as stores:
        for name, path in (("new", "deep/new"), ("old", "old")):
            if name not in {each.name for each in stores.all()}:
                stores.create(name, path)
            assert stores.state(name).problem == ""
        for name in ("new", "old"):
            stores.delete(name)
            try:
                stores.get(name)
            except NotFound:
                continue
            raise AssertionError(name)
        assert not (directory / "blobs" / "deep" / "new").exists()
        assert not (directory / "blobs" / "old").exists()


if __name__ == "__main__":
    os.fsync = lambda _: None  # Kills take nothing that was written, and a busy disk takes long.
    PREFIXES[:] = ["00", "ff"]  # 256 directories take long as well.
    kill_at_each_line(Path(sys.argv[1]), fill, work, check, looks_at_all=True)
