"""Creates, changes and deletes blob stores while the server runs.

The settings file has some blob stores, and the database the others. Of the former only the quotas
can change here. A deleted store is a tombstone until compaction has removed what was in it.
"""

import logging
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

from repoman import blob_records as records
from repoman.blob_records import StoreRow
from repoman.blobs.directories import BLOBS, check_apart, find_directory, prepare_directory
from repoman.blobs.file import FileBlobStore
from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.store import BlobStore
from repoman.catalog.model import StoreUsage
from repoman.catalog.records import list_store_usages
from repoman.config import BlobStoreSettings
from repoman.damage_records import delete_verification
from repoman.db.database import Database
from repoman.db.topics import BLOB_STORES
from repoman.errors import Conflict, Invalid, NotFound, RepomanError, Unavailable
from repoman.identity import belongs
from repoman.repositories.checks import check_name
from repoman.repositories.move_records import list_moving
from repoman.repositories.repository_records import list_rows
from repoman.stores.model import FILE, Quota, StoreInfo, StoreState, path_of, quota_of

_log = logging.getLogger(__name__)


class BlobStores:
    """All blob stores; thread safe.

    Args:
        stores: those that this process can use, which follow.
        settings: the stores of the settings file.
        data: the data directory.
    """

    def __init__(
        self,
        database: Database,
        stores: BlobStoreManager,
        settings: Mapping[str, BlobStoreSettings],
        data: Path,
    ) -> None:
        self._database = database
        self._stores = stores
        self._settings = settings
        self._data = data
        self._revision = -1
        self._lock = threading.RLock()

    # Following the database ---------------------------------------------------------------------

    def open(self) -> None:
        """Use the stores of the database; called once, before stores are paired."""
        for row in self._created(records.list_stores()):
            if not row.is_deleted:
                self._stores.add(row.name, self._open(row))
        self._stores.look_again = self.refresh

    def refresh(self) -> None:
        """Take over what other processes created and deleted; cheap when nothing changed.

        Raises:
            RepomanError: a store cannot be used; the next call tries again.
        """
        with self._lock:
            revision = self._database.revision(BLOB_STORES)
            if revision == self._revision:
                return
            every = records.list_stores()
            self._stores.quotas = {
                row.name: row.hard_quota for row in every if row.hard_quota is not None
            }
            rows = {row.name: row for row in self._created(every)}
            for name in set(self._stores.names()) - self._stores.configured - rows.keys():
                self._stores.drop(name)
            problems = [error for row in rows.values() if (error := self._take(row))]
            if problems:
                raise problems[0]
            self._revision = revision

    def _take(self, row: StoreRow) -> RepomanError | None:
        """Use a store, if it is not used yet; return why it cannot be."""
        if self._stores.find(row.name) is not None:
            return None
        store = self._open(row)
        try:
            if belongs(store, row.name):
                self._stores.add(row.name, store)
            elif not row.is_deleted:
                return Unavailable(
                    f"The blob store {row.name} ({store}) is missing, or another one is in its "
                    "place. Is its disk mounted?"
                )
        except RepomanError as error:
            return error
        return None

    def _created(self, rows: Iterable[StoreRow]) -> list[StoreRow]:
        configured = self._stores.configured
        return [row for row in rows if row.settings is not None and row.name not in configured]

    def _open(self, row: StoreRow) -> BlobStore:
        return FileBlobStore(self._data / BLOBS / path_of(row))

    # Reading ------------------------------------------------------------------------------------

    def all(self) -> list[StoreInfo]:
        """Return all blob stores by name."""
        rows = {row.name: row for row in records.list_stores()}
        found = [self._configured(name, rows.get(name)) for name in self._stores.configured]
        found += [
            StoreInfo(
                row.name,
                FILE,
                path_of(row),
                is_configured=False,
                quota=quota_of(row),
                hard_quota=row.hard_quota,
            )
            for row in self._created(rows.values())
            if not row.is_deleted
        ]
        return sorted(found, key=lambda each: each.name.lower())

    def get(self, name: str) -> StoreInfo:
        """Return a blob store.

        Raises:
            NotFound: there is none with this name.
        """
        for found in self.all():
            if found.name == name:
                return found
        raise NotFound(f"There is no blob store {name!r}.")

    def states(self) -> list[StoreState]:
        """Return all blob stores with their sums and the space on their disks."""
        usages = list_store_usages()
        return [self._state(info, StoreUsage(*usages.get(info.name, ()))) for info in self.all()]

    def state(self, name: str) -> StoreState:
        """Return the state of one blob store (NotFound)."""
        info = self.get(name)
        return self._state(info, StoreUsage(*list_store_usages().get(name, ())))

    def temporary_bytes(self, name: str) -> int | None:
        """Return what uploads have written to a blob store, and what was put aside, in bytes.

        None: it cannot be used at the moment.
        """
        with suppress(RepomanError):
            return self._stores.get(name).temporary_bytes()
        return None

    def incoming(self, name: str) -> tuple[int, int]:
        """Return how many uploads of a blob store are unfinished, and their bytes (Unavailable)."""
        return self._stores.get(name).incoming()

    def users(self) -> dict[str, list[str]]:
        """Return the names of the repositories that use each blob store, by its name."""
        found: dict[str, list[str]] = {}
        for row in list_rows():
            found.setdefault(row.blob_store, []).append(row.name)
        return found

    def _state(self, info: StoreInfo, usage: StoreUsage) -> StoreState:
        try:
            free = self._stores.get(info.name).free_bytes()
            return StoreState(info, usage, free, shortage=self._stores.find_shortage(info.name))
        except RepomanError as error:
            return StoreState(info, usage, None, str(error))

    def _configured(self, name: str, row: StoreRow | None) -> StoreInfo:
        settings = self._settings[name]
        path = str((settings.model_extra or {}).get("path", "")) if settings.type == FILE else ""
        shown = self._shown(path) if path else ""
        return StoreInfo(
            name,
            settings.type,
            shown,
            is_configured=True,
            quota=quota_of(row),
            hard_quota=None if row is None else row.hard_quota,
        )

    def _shown(self, path: str) -> str:
        """Return a path of the settings file as it would be given for a created store."""
        with suppress(ValueError):
            return str((self._data / path).relative_to(self._data / BLOBS))
        return str(self._data / path)

    # Changing -----------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        path: str,
        quota: Quota | None = None,
        *,
        hard_quota: int | None = None,
        is_anywhere: bool = True,
    ) -> None:
        """Create a blob store of the type file; a relative path is below ``blobs`` of the data.

        ``quota`` is the soft one, ``hard_quota`` is in bytes. ``is_anywhere`` says whether it may
        lie elsewhere, too, which is up to administrators.

        Raises:
            Conflict: the name is taken.
            Invalid: the name or the path is not valid, or the path is used; ``field`` tells which.
            StorageFull, Unavailable: it cannot be created.
        """
        check_name("blob store", name)
        if Path(path).is_absolute() and not is_anywhere:
            raise Invalid("path: only administrators can use an absolute path.", field="path")
        directory = find_directory(path, self._data)
        settings = {"type": FILE, "path": path}
        row = StoreRow(name, settings, None if quota is None else asdict(quota), hard_quota)
        if not self._revive(row):
            self._check_new(row, directory)
            self._make(row, directory)
        with suppress(RepomanError):  # Of this or another store; whoever uses it is told.
            self.refresh()

    def change(self, name: str, path: str | None, quota: Quota | None) -> None:
        """Set the soft quota of a blob store; None: it has none.

        Raises:
            NotFound: there is none with this name.
            Invalid: the path is not the one that the store has; it cannot be changed.
        """
        with self._changing(name) as (info, row):
            if path is not None and path != info.path:
                raise Invalid(
                    f"path: the blob store {name!r} lies in {info.path!r}, which cannot be "
                    "changed. Create another blob store instead.",
                    field="path",
                )
            records.update_store(replace(row, quota=None if quota is None else asdict(quota)))
            told = "none" if quota is None else str(quota)
            self._database.note_change("blob-store.change", name, quota=told)

    def limit(self, name: str, hard_quota: int | None) -> None:
        """Set the hard quota of a blob store in bytes; None: it has none (NotFound)."""
        with self._changing(name) as (_, row):
            records.update_store(replace(row, hard_quota=hard_quota))
            told = "none" if hard_quota is None else str(hard_quota)
            self._database.note_change("blob-store.change", name, hard_quota=told)
        with suppress(RepomanError):  # Of another store; whoever uses it is told.
            self.refresh()

    @contextmanager
    def _changing(self, name: str) -> Iterator[tuple[StoreInfo, StoreRow]]:
        """Have a transaction, with the store as it is in it (NotFound)."""
        with self._database.transaction():
            info, row = self.get(name), records.find_store(name)
            if row is None:
                raise NotFound(f"There is no blob store {name!r}.")
            yield info, row

    def delete(self, name: str) -> None:
        """Delete a blob store that no repository uses, with the files in it.

        What deleted repositories have left in it is removed first, by compaction.

        Raises:
            NotFound: there is none with this name.
            Invalid: a repository uses it, or it is in the settings file.
        """
        with self._changing(name) as (info, _):
            if users := self.users().get(name):
                raise Invalid(
                    f"The blob store {name!r} is used by {', '.join(users)} and cannot be deleted."
                )
            if info.is_configured:
                raise Invalid(
                    f"The blob store {name!r} is in the settings file. Remove it there, and "
                    "restart the server."
                )
            self._check_no_move(name)
            records.update_store(StoreRow(name), time.time())
            self._database.note_change("blob-store.delete", name)
        self.finish_deletions()

    @staticmethod
    def _check_no_move(name: str) -> None:
        """Return if nothing that moves to another blob store can be in this one (Invalid)."""
        usage = StoreUsage(*list_store_usages().get(name, ()))
        moving = list_moving() if usage.size > usage.reclaimable else []
        if moving:
            names = ", ".join(each.name for each in moving)
            raise Invalid(
                f"The blob store {name!r} cannot be deleted while {names} may have blobs in it. "
                "Wait until it has moved to its new blob store."
            )

    def has_finished_deletions(self) -> bool:
        """Return whether there is a deleted store that nothing is left in; cheap."""
        return any(True for _ in self._list_finished())

    def finish_deletions(self) -> int:
        """Remove deleted stores that nothing is left in; return how many there were.

        One whose disk is missing, or that another process holds, stays until the next call.
        """
        with suppress(RepomanError):
            self.refresh()
        count = 0
        for name, store in list(self._list_finished()):
            with suppress(Conflict, Unavailable), self._stores.locked(name):
                count += self._remove(name, store)
        return count

    def _list_finished(self) -> Iterator[tuple[str, BlobStore]]:
        for row in self._created(records.list_stores()):
            store = self._stores.find(row.name) if row.is_deleted else None
            if store is not None and records.is_store_empty(row.name):
                yield row.name, store

    def _remove(self, name: str, store: BlobStore) -> bool:
        """Remove a deleted store; not if it is used again."""
        with self._database.transaction():
            row = records.find_store(name)
            if row is None or not row.is_deleted or not records.is_store_empty(name):
                return False
            records.delete_store(name)
            delete_verification(name)  # A new store of that name is another one.
        # Without its row nobody knows it: what a crash leaves here is an unused directory.
        try:
            store.remove()
        except Unavailable as error:
            _log.warning("Files of the deleted blob store %s are left. %s", name, error)
        self._stores.drop(name)
        return True

    # A new store ---------------------------------------------------------------------------------

    def _revive(self, row: StoreRow) -> bool:
        """Return whether there is a tombstone of the same store, which is then used again."""
        with self._database.transaction():
            old = records.find_store(row.name)
            if old is None or not old.is_deleted or old.settings != row.settings:
                return False
            records.update_store(row)
            self._note_new(row)
        return True

    def _make(self, row: StoreRow, directory: Path) -> None:
        """Create a store on the disk and then in the database.

        While its directory is held, no other process can create a store in it.
        """
        is_new = prepare_directory(directory)
        store = FileBlobStore(directory)
        with _held(store):
            # Somebody else may have made a store in it before it was held.
            is_ours = is_new and store.identity() is None
            try:
                self._create_held(row, store)
            except (Conflict, Invalid):
                if is_ours:
                    store.remove()
                raise

    def _create_held(self, row: StoreRow, store: FileBlobStore) -> None:
        self._check_new(row, store.directory)
        if not store.is_empty():
            raise Invalid(
                f"path: {str(store.directory)!r} contains blobs of another blob store.",
                field="path",
            )
        # A new one, whatever was there: another database must not take the store for its own.
        identity = secrets.token_hex(16)
        store.create(identity)
        with self._database.transaction():
            self._check_new(row, store.directory)
            records.insert_store(row, identity)
            self._note_new(row)

    def _check_new(self, row: StoreRow, directory: Path) -> None:
        """Return if the name and the directory are free (Conflict, Invalid)."""
        rows = records.list_stores()
        key = row.name.lower()
        if any(other.is_deleted and other.name.lower() == key for other in rows):
            raise Invalid(
                f"name: the blob store {row.name!r} was deleted, and what deleted repositories had "
                "in it is still being removed. Try again in some minutes.",
                field="name",
            )
        if key in {name.lower() for name in (*self._stores.configured, *(r.name for r in rows))}:
            raise Conflict(f"name: a blob store named {row.name!r} already exists.", field="name")
        check_apart(directory, self._directories(rows))

    def _directories(self, rows: Iterable[StoreRow]) -> Iterator[tuple[str, Path]]:
        for name in self._stores.configured:
            store = self._stores.find(name)
            if isinstance(store, FileBlobStore):
                yield name, store.directory
        for row in self._created(rows):
            yield row.name, self._data / BLOBS / path_of(row)

    def _note_new(self, row: StoreRow) -> None:
        quota = quota_of(row)
        told = {} if quota is None else {"quota": str(quota)}
        if row.hard_quota is not None:
            told["hard_quota"] = str(row.hard_quota)
        self._database.note_change("blob-store.create", row.name, path=path_of(row), **told)


@contextmanager
def _held(store: FileBlobStore) -> Iterator[None]:
    """Hold a store (Invalid: somebody else does)."""
    with ExitStack() as stack:
        try:
            stack.enter_context(store.lock_exclusively())
        except Conflict as error:
            raise Invalid(f"path: {error}", field="path") from error
        yield
