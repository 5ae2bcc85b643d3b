"""What a connection's bytes travel on: a plain TCP socket, or TLS (in ``tls.py``)."""

import os
import socket
from typing import Protocol

SEND_SIZE = 1 << 18  # most bytes of memory given to the kernel at a time
BULK_SIZE = 1 << 18  # transfers from this size on, in bytes, are a task for a bulk loop


class Transport(Protocol):
    """A connection that never blocks.

    Attributes:
        is_ready: the handshake is done; until then only :meth:`advance` may be called.
        wants: the epoll events the handshake waits for.
    """

    is_ready: bool
    wants: int

    def advance(self) -> None:
        """Go on with the handshake; raises OSError if it failed."""

    def receive(self, buffer: memoryview) -> int | None:
        """Read into the buffer; bytes read, 0 at the end of the connection, None if none wait."""

    def has_input(self) -> bool:
        """Tell whether bytes have arrived that were not received yet, or the end."""

    def send(self, data: memoryview, more: bool = False) -> int:
        """Send some of the data; 0 if there is no room. ``more`` announces further bytes.

        Raises:
            OSError: the connection is gone.
        """

    def send_file(self, fd: int, offset: int, count: int, buffer: memoryview) -> int:
        """Send some bytes of a file, as :meth:`send` does; ``buffer`` may be used on the way.

        Raises:
            OSError: the connection is gone, or the file ends before ``offset``.
        """

    def end_sending(self) -> None:
        """Tell the client that nothing more will come; it may go on sending."""

    def close(self) -> None:
        """Close the connection."""


class PlainTransport:
    """A TCP socket."""

    is_ready = True
    wants = 0

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._fd = connection.fileno()

    def advance(self) -> None:
        """See :class:`Transport`."""

    def receive(self, buffer: memoryview) -> int | None:
        """See :class:`Transport`."""
        try:
            return self._socket.recv_into(buffer)
        except BlockingIOError:
            return None
        except OSError:
            return 0

    def has_input(self) -> bool:
        """See :class:`Transport`."""
        return peek(self._socket)

    def send(self, data: memoryview, more: bool = False) -> int:
        """See :class:`Transport`."""
        try:
            return self._socket.send(data, socket.MSG_MORE if more else 0)
        except BlockingIOError:
            return 0

    def send_file(self, fd: int, offset: int, count: int, buffer: memoryview) -> int:
        """See :class:`Transport`."""
        try:
            sent = os.sendfile(self._fd, fd, offset, count)
        except BlockingIOError:
            return 0
        if sent == 0:
            raise OSError("The file is shorter than its response promised")
        return sent

    def end_sending(self) -> None:
        """See :class:`Transport`."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """See :class:`Transport`."""
        self._socket.close()


def peek(connection: socket.socket) -> bool:
    """Tell whether reading from a non-blocking socket would give something."""
    try:
        socket.socket.recv(connection, 1, socket.MSG_PEEK)  # also of a socket that speaks TLS
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
