"""The unpacked bytes of a layer, as a stream within limits of time and of bytes."""

import gzip
import time
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

from repoman.plugin import Invalid

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
WINDOW_MAX_BYTES = 1 << 27  # What a zstd layer may ask for as its window, as zstd itself allows.
PIECE_BYTES = 1 << 18


class OutOfTime(Exception):
    """The time for it is over."""


class UnpackedLayer:
    """Reads a layer, whether it is packed or not; to be closed by whoever opened ``file``.

    Args:
        seconds: for which it may be read; after that reading raises OutOfTime.
        ticks: seconds that never run backwards.

    Attributes:
        packing: ``gzip``, ``zstd`` or empty.
        size: the unpacked bytes that were read.
    """

    def __init__(
        self, file: BinaryIO, seconds: float, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self.size = 0
        start = file.read(len(ZSTD))
        file.seek(0)
        packed: Any = _TimedFile(file, ticks, ticks() + seconds)
        self._packed = packed
        self.packing, self._stream = "", packed
        if start.startswith(GZIP):
            self.packing, self._stream = "gzip", gzip.GzipFile(fileobj=packed, mode="rb")
        elif start == ZSTD:
            self.packing, self._stream = "zstd", _open_zstd(packed)

    def read(self, size: int) -> bytes:
        """Return up to so many of the next bytes; none at the end.

        Raises:
            OutOfTime: it takes too long.
            Invalid: the layer is damaged.
        """
        self._packed.check()
        try:
            data: bytes = self._stream.read(min(size, PIECE_BYTES))
        except (gzip.BadGzipFile, EOFError, zlib.error, _zstd_error()) as error:
            raise Invalid(f"The layer is damaged: {error}.") from error
        self.size += len(data)
        return data


class _TimedFile:
    """A file that can be read until a time; unpackers may read a lot of it at one request."""

    def __init__(self, file: BinaryIO, ticks: Callable[[], float], until: float) -> None:
        self._file = file
        self._ticks = ticks
        self._until = until

    def check(self) -> None:
        """Return if there is time left (OutOfTime)."""
        if self._ticks() > self._until:
            raise OutOfTime

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        self.check()
        return self._file.read(size)


def _open_zstd(file: Any) -> Any:
    import zstandard

    opened = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX_BYTES)
    return opened.stream_reader(file, read_across_frames=True)


def _zstd_error() -> type[Exception]:
    import zstandard

    return zstandard.ZstdError
