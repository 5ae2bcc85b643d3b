"""The blob stores by name, created from the settings."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pluggy

from repoman.blobs.file import FileBlobStore
from repoman.blobs.store import BlobStore
from repoman.config import BlobStoreSettings
from repoman.errors import Invalid
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
    """All blob stores of the server, opened at start."""

    def __init__(
        self,
        settings: Mapping[str, BlobStoreSettings],
        factories: Mapping[str, BlobStoreFactory],
        data: Path,
    ) -> None:
        self._stores = {name: self._make(name, factories, settings, data) for name in settings}

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

    def names(self) -> list[str]:
        """Return the names of all stores, sorted."""
        return sorted(self._stores)

    def get(self, name: str) -> BlobStore:
        """Return a store by name.

        Raises:
            Invalid: no store has this name.
        """
        if name not in self._stores:
            raise Invalid(f"There is no blob store {name!r}; available: {', '.join(self.names())}.")
        return self._stores[name]

    @contextmanager
    def locked_exclusively(self) -> Iterator[None]:
        """Hold all stores, for the process that serves.

        Raises:
            Conflict: somebody else holds one of them.
        """
        with ExitStack() as stack:
            for store in self._stores.values():
                stack.enter_context(store.lock_exclusively())
            yield
