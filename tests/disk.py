"""Blob stores on a disk, and a disk that becomes full, without one."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repoman.blobs.file import FileBlobStore
from repoman.blobs.manager import make_file_store
from repoman.blobs.store import BlobStore
from repoman.config import BlobStoreSettings

IDENTITY = "1d" * 16  # of every store that is made here


def file_store(directory: Path) -> FileBlobStore:
    """A blob store in a directory, made where it is missing."""
    store = FileBlobStore(directory)
    store.create(IDENTITY)
    return store


def make_created_store(settings: BlobStoreSettings, data: Path) -> BlobStore:
    """The blob store of the settings, made where it is missing."""
    store = make_file_store(settings, data)
    store.create(IDENTITY)
    return store


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow over ``size`` bytes: the kernel takes a part of a write, then refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
