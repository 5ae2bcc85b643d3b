"""What a process writes to the disk, seen step by step; and a disk that is full, or nearly."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from repoman.core import Repoman
from repoman.disk_space import MinFree

BY_DESCRIPTOR = ("write", "fsync", "fdatasync")
BY_PATH = ("open", "rename", "replace", "link", "unlink")
TAKING = ("open", "write", "fsync", "rename", "replace", "link")  # They need space.
See = Callable[[str], None]  # Takes the name of a call; raises what it ends in.


@contextmanager
def seen_writes(root: Path, see: See) -> Iterator[None]:
    """Return a context in which each call of the module os that writes below ``root`` is seen.

    That is before it happens. What SQLite writes is not seen, but what the server does after it.
    """
    below = os.path.realpath(root)

    def call(name: str, function: Any, *given: Any, **more: Any) -> Any:
        is_writing = name != "open" or given[1] & os.O_CREAT
        if is_writing and _path_of(given[0]).startswith(below):
            see(name)
        return function(*given, **more)

    real = {name: getattr(os, name) for name in (*BY_DESCRIPTOR, *BY_PATH)}
    for name, function in real.items():
        setattr(os, name, partial(call, name, function))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def _path_of(file: Any) -> str:
    return os.path.realpath(f"/proc/self/fd/{file}" if isinstance(file, int) else os.fspath(file))


class FullDisk:
    """Refuses calls that need space, from one of them on.

    Attributes:
        is_full: whether a call was refused.
    """

    def __init__(self) -> None:
        self.clear()

    def fill_at(self, step: int) -> None:
        """Take ``step`` calls from now on, and refuse those after them."""
        self.is_full = False
        self._left = step

    def clear(self) -> None:
        """Take all calls."""
        self.fill_at(1 << 60)

    def see(self, name: str) -> None:
        """Take a call, or refuse it."""
        if name not in TAKING:
            return
        self._left -= 1
        if self._left < 0:
            self.is_full = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def full_disk(root: Path) -> Iterator[FullDisk]:
    """Return a context in which the disk of a directory can be full."""
    disk = FullDisk()
    with seen_writes(root, disk.see):
        yield disk


@contextmanager
def nearly_full_disks(repoman: Repoman) -> Iterator[None]:
    """Return a context in which less of each disk is free than must stay free."""
    stores: Any = (repoman.blob_stores.get(name) for name in repoman.blob_stores.names())
    guarded = [repoman.database.reserve, *stores]
    before = [each.min_free for each in guarded]
    for each in guarded:
        each.min_free = MinFree(1 << 60, 200)
    try:
        yield
    finally:
        for each, min_free in zip(guarded, before, strict=True):
            each.min_free = min_free
