"""Files as responses: what an application gets as ``wsgi.file_wrapper``, and how they leave."""

import io
from typing import Any, BinaryIO

from waitress.buffers import ReadOnlyFileBasedBuffer

from repoman.server.transport import Transport

SMALL_FILE = 1 << 16  # up to this size a worker reads the file: one packet, no change of loops


class FileResponse(ReadOnlyFileBasedBuffer):
    """The rest of a file, from its position on; at most Content-Length bytes of it.

    Files that :func:`open` makes are sent without passing through this process' memory. Anything
    else with a ``read`` method works too, but occupies a worker while it is sent.
    """

    @property
    def is_plain(self) -> bool:
        """Whether the operating system's file and this one hold the same bytes.

        A ``fileno`` alone does not say so: a gzip file has one, of the compressed bytes.
        """
        raw = getattr(self.file, "raw", self.file)
        return isinstance(raw, io.FileIO)

    def read_all(self) -> bytes:
        """Return the whole response body.

        Raises:
            OSError: the file is shorter than it was a moment ago.
        """
        data: bytes = self.get(self.remain, skip=True)
        if self.remain:
            raise OSError("The file became shorter while it was sent")
        return data


class FileSlice:
    """A part of a file in an outbox."""

    def __init__(self, response: FileResponse) -> None:
        self._response = response
        file: BinaryIO = response.file
        self._fd = file.fileno()
        self._position = file.tell()
        self._end = self._position + len(response)

    def is_done(self) -> bool:
        """See :class:`repoman.server.outbox.Outgoing`."""
        return self._position >= self._end

    def is_waiting(self) -> bool:
        """See :class:`repoman.server.outbox.Outgoing`."""
        return False

    def send(self, transport: Transport, limit: int, buffer: memoryview, more: bool) -> int:
        """See :class:`repoman.server.outbox.Outgoing`."""
        count = min(limit, self._end - self._position)
        sent = transport.send_file(self._fd, self._position, count, buffer)
        self._position += sent
        return sent

    def close(self) -> None:
        """See :class:`repoman.server.outbox.Outgoing`."""
        self._response.close()


def wrap_file(file: Any, block_size: int = 32768) -> FileResponse:
    """Return an iterable that the server sends in its own way; the ``wsgi.file_wrapper``."""
    return FileResponse(file, block_size)
