"""Every call by which this process changes files, seen before it happens: ours, and SQLite's.

A kill leaves the files as they are between two calls, and a disk fails in one of them. So both can
be had at every step, with the program itself as it is: nothing is left out that a look from outside
would see, except for the shared memory of the database, which nobody reads after a kill.
"""

import ctypes
import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

# Of the module os: what the first argument is, a descriptor or a path.
BY_DESCRIPTOR = ("write", "fsync", "fdatasync", "ftruncate")
BY_PATH = ("rename", "replace", "link", "unlink", "remove", "rmdir", "mkdir", "truncate", "open")
SYNCS = ("fsync", "fdatasync")
LEFT_OUT = ("-shm", "repoman.reserve")
See = Callable[[str, Path], None]  # Takes the name of a call and its file; raises what it ends in.
_KEPT: list["_Sqlite"] = []  # Files that are still open need what they were opened with.


@contextmanager
def seen_calls(root: Path) -> Iterator["Calls"]:
    """Return a context in which each call that changes a file below ``root`` can be seen.

    One call is seen and happens at a time. Connections to a database that were opened before are
    not seen. Nothing is synced: only a power cut takes what was written, and a disk takes long.
    """
    calls = Calls(root)
    real = {name: getattr(os, name) for name in (*BY_DESCRIPTOR, *BY_PATH)}
    for name, function in real.items():
        setattr(os, name, partial(calls.of_os, name, function))
    library = _Sqlite(calls)
    _KEPT.append(library)
    try:
        yield calls
    finally:
        library.restore()
        calls.see = None
        for name, function in real.items():
            setattr(os, name, function)


class Calls:
    """The calls, and who sees them.

    Attributes:
        see: takes each call; None: nobody looks.
    """

    def __init__(self, root: Path) -> None:
        self.see: See | None = None
        self._root = os.path.realpath(root)
        self._lock = threading.RLock()
        self._is_inside = False  # Whether whoever sees a call makes calls.

    def of_os(self, name: str, real: Callable[..., Any], *given: Any, **more: Any) -> Any:
        """Make a call of the module os."""
        makes = name != "open" or (given[1] & os.O_CREAT and not Path(given[0]).exists())
        call = partial(real, *given, **more)
        return self.make(name, given[0], call) if makes else call()

    def make(self, name: str, file: Any, real: Callable[[], Any]) -> Any:
        """Make a call, and have it seen before."""
        with self._lock:
            if self.see is not None and not self._is_inside:
                path = _path_of(file)
                if path.startswith(self._root) and not path.endswith(LEFT_OUT):
                    self._is_inside = True
                    try:
                        self.see(name, Path(path))
                    finally:
                        self._is_inside = False
            return None if name in SYNCS else real()


def _path_of(file: Any) -> str:
    if not isinstance(file, int):
        return os.path.realpath(file)
    try:
        return str(Path(f"/proc/self/fd/{file}").readlink())
    except OSError:  # It is closed, as the call will say.
        return ""


# --- The calls of SQLite --------------------------------------------------------------------------

_POINTER = ctypes.c_void_p
_NUMBER = ctypes.c_int


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs``, as far as it is needed here."""

    _fields_ = (
        *((name, _NUMBER) for name in ("version", "file_size", "path_max")),
        *((name, _POINTER) for name in ("next", "name", "data", "open")),
        *((f"unused{number}", _POINTER) for number in range(12)),
        *((name, _POINTER) for name in ("set_call", "get_call", "next_call")),
    )


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods``."""

    _fields_ = (
        ("version", _NUMBER),
        *((name, _POINTER) for name in ("close", "read", "write", "truncate", "sync")),
        *((f"unused{number}", _POINTER) for number in range(13)),
    )


_OPEN = ctypes.CFUNCTYPE(_NUMBER, _POINTER, _POINTER, _POINTER, _NUMBER, _POINTER)
_SYNC = ctypes.CFUNCTYPE(_NUMBER, _POINTER, _NUMBER)
_CALLS = {
    "pwrite64": (ctypes.c_ssize_t, _NUMBER, _POINTER, ctypes.c_size_t, ctypes.c_int64),
    "ftruncate": (_NUMBER, _NUMBER, ctypes.c_int64),
    "unlink": (_NUMBER, ctypes.c_char_p),
}
_IO_ERROR_OF_SYNC = 10 | 4 << 8  # SQLITE_IOERR_FSYNC


class _Sqlite:
    """Takes the place of calls of the library that Python's sqlite3 uses."""

    def __init__(self, calls: Calls) -> None:
        library = ctypes.CDLL("libsqlite3.so.0")
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        self._calls = calls
        self._vfs = library.sqlite3_vfs_find(None).contents
        address = ctypes.addressof(self._vfs)
        set_call = ctypes.CFUNCTYPE(_NUMBER, _POINTER, ctypes.c_char_p, _POINTER)
        get_call = ctypes.CFUNCTYPE(_POINTER, _POINTER, ctypes.c_char_p)
        self._get = partial(get_call(self._vfs.get_call), address)
        self._set = partial(set_call(self._vfs.set_call), address)
        self._taken = {name: self._get(name.encode()) for name in _CALLS}
        self._open = self._vfs.open
        self._kept: list[Any] = [self._replace(name, *types) for name, types in _CALLS.items()]
        self._files: dict[int, str] = {}
        self._methods: dict[int, _Methods] = {}
        ours = _OPEN(partial(self._open_file, _OPEN(self._open)))
        self._kept.append(ours)
        self._vfs.open = ctypes.cast(ours, _POINTER)

    def restore(self) -> None:
        """Give the library its own calls back."""
        for name, real in self._taken.items():
            self._set(name.encode(), real)
        self._vfs.open = self._open

    def _replace(self, name: str, *types: Any) -> Any:
        kind = ctypes.CFUNCTYPE(*types, use_errno=True)
        real = kind(self._taken[name])

        def call(file: Any, *rest: Any) -> int:
            try:
                path = file.decode() if isinstance(file, bytes) else file
                result: int = self._calls.make(name, path, partial(real, file, *rest))
                return result
            except OSError as error:
                ctypes.set_errno(error.errno or errno.EIO)
                return -1

        ours = kind(call)
        self._set(name.encode(), ctypes.cast(ours, _POINTER))
        return ours

    def _open_file(self, real: Any, vfs: Any, name: Any, file: Any, flags: int, out: Any) -> int:
        """Open a file whose syncs are seen."""
        result: int = real(vfs, name, file, flags, out)
        first = ctypes.cast(file, ctypes.POINTER(_POINTER))
        if result == 0 and name and first[0]:
            self._files[file] = ctypes.string_at(name).decode()
            first[0] = ctypes.addressof(self._methods_for(first[0]))
        return result

    def _methods_for(self, address: int) -> _Methods:
        if address not in self._methods:
            original = _Methods.from_address(address)
            sync = _SYNC(partial(self._sync, _SYNC(original.sync)))
            ours = _Methods.from_buffer_copy(original)
            ours.sync = ctypes.cast(sync, _POINTER)
            self._methods[address] = ours
            self._kept.append(sync)
        return self._methods[address]

    def _sync(self, real: Any, file: int, flags: int) -> int:
        try:
            result = self._calls.make("fsync", self._files[file], partial(real, file, flags))
            return result or 0
        except OSError:
            return _IO_ERROR_OF_SYNC
