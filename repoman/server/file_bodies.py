"""Files as responses: what an application may return instead of bytes, and how it leaves."""

import io
from collections.abc import Callable
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer

from repoman.http.body import GrowingFile
from repoman.server.transport import Transport

# A worker reads a file up to this size: one packet, no change of loops.
SMALL_FILE_MAX_BYTES = 1 << 16


class FileResponse(ReadOnlyFileBasedBuffer):
    """The rest of a file, from its position on; at most Content-Length bytes of it.

    Files that :func:`open` makes are sent without passing through this process' memory. Anything
    else with a ``read`` method works too, but occupies a worker while it is sent.
    """

    @property
    def is_small(self) -> bool:
        """Whether to read the file at once."""
        return len(self) <= SMALL_FILE_MAX_BYTES

    @property
    def is_plain(self) -> bool:
        """Whether the operating system's file and this one hold the same bytes.

        A ``fileno`` alone does not say so: a gzip file has one, of the compressed bytes.
        """
        raw = getattr(self.file, "raw", self.file)
        return isinstance(raw, io.FileIO)

    def prepare(self, size: int | None = None) -> int:
        """Return how many bytes there will be; called by waitress, before the header is made.

        Raises:
            OSError: there are fewer than the ``size`` that the application announced.
        """
        there: int = super().prepare(size)
        if self.is_plain and size is not None and there < size and self.file.seekable():
            raise OSError(f"The file has {there} bytes where its response says {size}")
        return there

    def open_slice(self, _wake: Callable[[], object]) -> "FileSlice":
        """Return what a send queue sends; ``wake`` makes it look again."""
        start: int = self.file.tell()
        return FileSlice(self, self.file.fileno(), start, start + len(self))

    def read_all(self) -> bytes:
        """Return the whole response body.

        Raises:
            OSError: the file is shorter than it was a moment ago.
        """
        data: bytes = self.get(self.remain, skip=True)
        if self.remain:
            raise OSError("The file became shorter while it was sent")
        return data


class GrowingResponse(FileResponse):
    """``length`` bytes of a growing file, each sent as soon as it may be."""

    is_small = False  # it may not be there yet
    is_plain = True

    def __init__(self, file: GrowingFile, start: int, length: int) -> None:
        super().__init__(file)
        self._start = start
        self.remain = length

    def prepare(self, size: int | None = None) -> int:
        """Return how many bytes there will be; called by waitress."""
        if size is not None:
            self.remain = min(self.remain, size)
        return self.remain

    def open_slice(self, wake: Callable[[], object]) -> "FileSlice":
        """See :class:`FileResponse`."""
        self.file.subscribe(wake)
        return GrowingSlice(self, self.file, self._start, self._start + len(self))


class FileSlice:
    """A part of a file in a send queue; see :class:`repoman.server.send_queue.QueueItem`."""

    def __init__(self, response: FileResponse, fd: int, start: int, end: int) -> None:
        self.close: Callable[[], None] = response.close
        self._fd = fd
        self._position = start
        self._end = end

    def is_done(self) -> bool:
        """Tell whether everything has been sent."""
        return self._position >= self._end

    def is_waiting(self) -> bool:
        """Tell whether there is nothing to send now although it is not done."""
        return False

    def send(self, transport: Transport, limit: int, buffer: memoryview, more: bool) -> int:
        """Send at most about ``limit`` bytes; return how many, 0 if there is no room."""
        count = min(limit, self._end - self._position)
        sent = transport.send_file(self._fd, self._position, count, buffer)
        self._position += sent
        return sent


class GrowingSlice(FileSlice):
    """A part of a growing file in a send queue."""

    def __init__(self, response: FileResponse, file: GrowingFile, start: int, end: int) -> None:
        super().__init__(response, file.fileno(), start, end)
        self._file = file

    def is_waiting(self) -> bool:
        """Tell whether the next byte is not ready yet."""
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
        with memoryview(ready)[: min(limit, self._end - self._position)] as piece:
            sent = transport.send(piece, more)
        self._position += sent
        return sent


def wrap_file(file: Any, block_size: int = 32768) -> FileResponse:
    """Return an iterable that the server sends in its own way; the ``wsgi.file_wrapper``."""
    return FileResponse(file, block_size)
