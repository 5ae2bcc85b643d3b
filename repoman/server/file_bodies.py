"""Files as responses: what an application may return instead of bytes, and how it leaves."""

import io
from collections.abc import Callable, Iterator
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer

from repoman.http.body import GrowingFile
from repoman.server.transport import Transport

# A worker reads a file up to this size: one packet, no change of loops.
SMALL_FILE_MAX_BYTES = 1 << 16

# Files that only Python can read are read in pieces of this size.
READ_BYTES = 1 << 16


class FileResponse(ReadOnlyFileBasedBuffer):
    """The rest of a file, from its position on; at most Content-Length bytes of it.

    Files that :func:`open` makes are sent without passing through this process' memory. Anything
    else with a ``read`` method works too, but occupies a worker while it is sent.

    Attributes:
        is_plain: whether the operating system's file and this one hold the same bytes. A ``fileno``
            alone does not say so: a gzip file has one, of the compressed bytes.
        is_growing: whether somebody is still writing the file.
    """

    is_growing = False

    def __init__(self, file: Any, block_size: int = READ_BYTES) -> None:
        super().__init__(file, block_size)
        self.is_plain = isinstance(getattr(file, "raw", file), io.FileIO)

    @property
    def is_small(self) -> bool:
        """Whether to read the file at once."""
        return len(self) <= SMALL_FILE_MAX_BYTES

    def prepare(self, size: int | None = None) -> int:
        """Return how many bytes there will be; called before the header is made.

        Raises:
            OSError: there are fewer than the ``size`` that the application announced.
        """
        there: int = super().prepare(size)
        if self.is_plain and size is not None and there < size and self.file.seekable():
            raise OSError(f"The file has {there} bytes where its response says {size}")
        return there

    def open_slice(self, _wake: Callable[[], object]) -> "FileSlice | GrowingSlice":
        """Return what a send queue sends; ``wake`` makes it look again."""
        return FileSlice(self, self.file.fileno(), self.file.tell())

    def read_all(self) -> bytes:
        """Return the whole response body.

        Raises:
            OSError: the file is shorter than it was a moment ago.
        """
        return b"".join(self.pieces(self.remain))

    def pieces(self, size: int = READ_BYTES) -> Iterator[bytes]:
        """Yield the response body in pieces of this size.

        Raises:
            OSError: the file is shorter than it was a moment ago.
        """
        while data := self.get(size, skip=True):
            yield data
        if self.remain:
            raise OSError("The file became shorter while it was sent")


class GrowingResponse(FileResponse):
    """``length`` bytes of a growing file, each sent as soon as it may be."""

    is_growing = True
    is_small = False  # it may not be there yet

    def __init__(self, file: GrowingFile, start: int, length: int) -> None:
        super().__init__(file)
        self.is_plain = True
        self._start = start
        self.remain = length

    def prepare(self, size: int | None = None) -> int:
        """Return how many bytes there will be; called before the header is made."""
        if size is not None:
            self.remain = min(self.remain, size)
        return self.remain

    def __iter__(self) -> Iterator[bytes]:
        """Yield nothing: only an empty body is not sent by a slice."""
        return iter(())

    def open_slice(self, wake: Callable[[], object]) -> "FileSlice | GrowingSlice":
        """See :class:`FileResponse`."""
        self.file.subscribe(wake)
        return GrowingSlice(self, self.file, self._start)


class FilePart:
    """A part of a file in a send queue; see :class:`repoman.server.send_queue.QueueItem`."""

    def __init__(self, response: FileResponse, fd: int, start: int) -> None:
        self.close: Callable[[], None] = response.close
        self.remaining = len(response)
        self._fd = fd
        self._position = start

    def send(self, transport: Transport, limit: int, buffer: memoryview, more: bool) -> int:
        """Send at most about ``limit`` bytes; return how many, 0 if there is no room."""
        count = min(limit, self.remaining)
        sent = transport.send_file(self._fd, self._position, count, buffer)
        self._position += sent
        self.remaining -= sent
        return sent


class FileSlice(FilePart):
    """A part of a file that is complete."""

    is_waiting = False


class GrowingSlice(FilePart):
    """A part of a growing file."""

    def __init__(self, response: FileResponse, file: GrowingFile, start: int) -> None:
        super().__init__(response, file.fileno(), start)
        self._file = file

    @property
    def is_waiting(self) -> bool:
        """Whether the next byte is not ready yet."""
        try:
            return not self._file.ready(self._position)
        except Exception:  # noqa: BLE001 - the attempt to send will say it
            return False

    def send(self, transport: Transport, limit: int, buffer: memoryview, more: bool) -> int:
        """Send at most about ``limit`` bytes of what is ready."""
        try:
            ready = self._file.ready(self._position)
        except Exception as error:
            raise OSError(f"The rest of the file cannot be sent: {error}") from error
        if not ready:
            return 0
        if isinstance(ready, int):
            return super().send(transport, min(limit, ready), buffer, more)
        with memoryview(ready)[: min(limit, self.remaining)] as piece:
            sent = transport.send(piece, more)
        self._position += sent
        self.remaining -= sent
        return sent


def wrap_file(file: Any, block_size: int = 32768) -> FileResponse:
    """Return an iterable that the server sends in its own way; the ``wsgi.file_wrapper``."""
    return FileResponse(file, block_size)
