"""Blobs to transfer: one file of random bytes, and tails that make many blobs of it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

PIECE = 1 << 20


@dataclass(frozen=True)
class Blob:
    """The bytes of a file, then a tail."""

    path: Path
    file_size: int
    tail: bytes
    digest: str

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.file_size + len(self.tail)


class Layer:
    """A file of random bytes, hashed once; ``directory`` has room for more."""

    def __init__(self, path: Path, size: int) -> None:
        self.directory = path.parent
        self._path = path
        self._size = size
        self._state = hashlib.sha256()
        self._count = 0
        with path.open("wb") as file:
            for _ in range(size // PIECE):
                piece = os.urandom(PIECE)
                self._state.update(piece)
                file.write(piece)

    def next_blob(self) -> Blob:
        """Return a blob that nobody has yet."""
        self._count += 1
        tail = self._count.to_bytes(16, "big")
        state = self._state.copy()
        state.update(tail)
        return Blob(self._path, self._size, tail, f"sha256:{state.hexdigest()}")
