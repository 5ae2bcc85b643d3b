"""The blob stores by name: those of the settings file, and those that were created later."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import pluggy

from repoman.blobs.file import FileBlobStore
from repoman.blobs.store import BlobStore
from repoman.config import BlobStoreSettings
from repoman.disk_space import NOTHING_FREE, MinFree
from repoman.errors import Invalid, RepomanError, StorageFull
from repoman.hookspecs import PROJECT

_hookimpl = pluggy.HookimplMarker(PROJECT)


class BlobStoreFactory(Protocol):
    """Makes a blob store from its settings; relative paths are below ``data``."""

    def __call__(self, settings: BlobStoreSettings, data: Path) -> BlobStore:
        """Return the store.

        Raises:
            Invalid: a setting is missing or wrong; ``field`` is its key.
        """


def make_file_store(settings: BlobStoreSettings, data: Path) -> BlobStore:
    """Return a :class:`FileBlobStore` in the directory ``path``."""
    keys = settings.model_extra or {}
    if unknown := sorted(keys.keys() - {"path"}):
        raise Invalid("is not a known key.", field=unknown[0])
    if not isinstance(keys.get("path"), str):
        raise Invalid("a blob store of type file requires a path.", field="path")
    return FileBlobStore(data / keys["path"])


class FileStorePlugin:
    """Registers the type ``file``, which comes with the core, as a plugin registers others."""

    @_hookimpl
    def repoman_register_blob_stores(self) -> dict[str, BlobStoreFactory]:
        """Return the factory of file blob stores."""
        return {"file": make_file_store}


class BlobStoreManager:
    """All blob stores that this process can use; thread safe.

    Those of the settings are there from the start, others come and go.

    Attributes:
        look_again: called when an unknown name is asked for; another process may have created it.
        quotas: the hard quotas in bytes, by the names of the stores that have one.
        may_be_removing: whether compaction may be removing blobs; not, once it has said so.
    """

    def __init__(
        self,
        settings: Mapping[str, BlobStoreSettings],
        factories: Mapping[str, BlobStoreFactory],
        data: Path,
        min_free: MinFree = NOTHING_FREE,
    ) -> None:
        self.configured = frozenset(settings)
        self.look_again: Callable[[], object] = lambda: None
        self.quotas: Mapping[str, int] = {}
        self.may_be_removing = True  # So it stays where another process compacts.
        self._min_free = min_free
        self._stores = {
            name: self._limited(self._make(name, factories, settings, data)) for name in settings
        }
        self._lock = threading.Lock()
        # The locks of the stores, while this process serves.
        self._held: dict[str, ExitStack] | None = None

    @staticmethod
    def _make(
        name: str,
        factories: Mapping[str, BlobStoreFactory],
        settings: Mapping[str, BlobStoreSettings],
        data: Path,
    ) -> BlobStore:
        kind = settings[name].type
        try:
            if kind not in factories:
                known = ", ".join(sorted(factories))
                raise Invalid(
                    f"no plugin provides the type {kind!r}; choose one of: {known}.", field="type"
                )
            return factories[kind](settings[name], data)
        except Invalid as error:
            path = f"blob_stores.{name}.{error.field}"
            raise Invalid(f"{path}: {error}", path) from error

    def _limited(self, store: BlobStore) -> BlobStore:
        """Have a store leave on its disk what must stay free; other types know no disk."""
        if isinstance(store, FileBlobStore):
            store.min_free = self._min_free
        return store

    def find_quota(self, name: str) -> int | None:
        """Return the hard quota of a store in bytes; None: it has none."""
        return self.quotas.get(name)

    def find_shortage(self, name: str) -> str:
        """Return why the disk of a store takes nothing more; empty: it does, or knows no disk.

        Raises:
            Unavailable: the store cannot be used at the moment.
        """
        store = self._stores.get(name)
        try:
            if isinstance(store, FileBlobStore):
                store.check_free(name)
        except StorageFull as error:
            return str(error)
        return ""

    def names(self) -> list[str]:
        """Return the names of all stores, sorted."""
        return sorted(self._stores)

    def find(self, name: str) -> BlobStore | None:
        """Return a store that this process knows, or None."""
        return self._stores.get(name)

    def has(self, name: str) -> bool:
        """Return whether there is a store with this name; it may have come just now."""
        if name not in self._stores:
            with suppress(RepomanError):
                self.look_again()
        return name in self._stores

    def get(self, name: str) -> BlobStore:
        """Return a store by name.

        Raises:
            Invalid: no store has this name.
            RepomanError: it was created just now, and cannot be used.
        """
        if name not in self._stores:
            self.look_again()
        store = self._stores.get(name)
        if store is None:
            known = ", ".join(self.names())
            raise Invalid(f"There is no blob store {name!r}; available: {known}.")
        return store

    def add(self, name: str, store: BlobStore) -> None:
        """Use a store from now on (Conflict: somebody else does)."""
        with self._lock:
            self._hold(name, store)
            self._stores = {**self._stores, name: self._limited(store)}

    def drop(self, name: str) -> None:
        """Do not use a store any more."""
        with self._lock:
            self._stores = {key: each for key, each in self._stores.items() if key != name}
            if self._held is not None and name in self._held:
                self._held.pop(name).close()

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold one store, which this process knows; it does already where it serves.

        Raises:
            Conflict: somebody else holds it.
        """
        if self._held is not None:
            yield
            return
        with self._stores[name].lock_exclusively():
            yield

    @contextmanager
    def locked_exclusively(self) -> Iterator[None]:
        """Hold all stores, also those that come later, for the process that serves.

        Raises:
            Conflict: somebody else holds one of them.
        """
        try:
            with self._lock:
                self._held = {}
                for name, store in self._stores.items():
                    self._hold(name, store)
            yield
        finally:
            with self._lock:
                held, self._held = self._held or {}, None
            for each in held.values():
                with suppress(OSError):
                    each.close()

    def _hold(self, name: str, store: BlobStore) -> None:
        if self._held is None or name in self._held:
            return
        lock = ExitStack()
        lock.enter_context(store.lock_exclusively())
        self._held[name] = lock
