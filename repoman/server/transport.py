"""What a connection's bytes travel on: a plain TCP socket, or TLS on the same loops."""

import os
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Protocol

from repoman.server.loop import IN, OUT

# The kernel is given at most this much of memory at a time.
SEND_BYTES = 1 << 18

# A bulk loop takes over transfers of this size and more.
BULK_MIN_BYTES = 1 << 18

# A client that moves fewer bytes than this within its time has stalled.
MIN_PROGRESS_BYTES = 4096

# A TLS record has at most this many bytes.
TLS_RECORD_BYTES = 1 << 14

_TLS_HANDSHAKE = b"\x16"  # The first byte of a TLS connection.


class ProgressTimer:
    """When a client's present time to act began; any thread.

    Bytes begin a new time only when there are enough of them: a client that moves one now and then
    could otherwise hold its connection, and what belongs to it, forever.

    Attributes:
        since: monotonic seconds.
    """

    __slots__ = ("_moved", "since")

    def __init__(self) -> None:
        self._moved = 0
        self.since = time.monotonic()

    def restart(self) -> None:
        """From now on it is the client's turn."""
        self._moved = 0
        self.since = time.monotonic()

    def note_bytes(self, count: int) -> None:
        """Take note of bytes that the client has sent or taken."""
        self._moved += count
        if self._moved >= MIN_PROGRESS_BYTES:
            self.restart()


class Transport(Protocol):
    """A connection that never blocks.

    Attributes:
        needs_buffer: :meth:`send_file` needs a buffer to read into.
        is_ready: the handshake is done; until then only :meth:`advance` may be called.
        wants: the epoll events the handshake waits for.
    """

    needs_buffer: bool
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

    needs_buffer = False
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
        return _has_input(self._socket)

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


class SpokePlainHttp(OSError):
    """The client sent an HTTP request without TLS."""


class TlsTransport:
    """A TLS connection that never blocks; see :class:`Transport`.

    OpenSSL's objects must not be used by two threads at once, and here a worker may write while
    the loop reads: a lock surrounds each call.
    """

    needs_buffer = True

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self.is_ready = False
        self.wants = IN
        self._socket = connection
        self._context = context
        self._lock = threading.Lock()

    def advance(self) -> None:
        """Go on with the handshake.

        Raises:
            SpokePlainHttp: the first byte was a letter; plain bytes may be sent in reply.
            OSError: there will be no TLS connection.
        """
        try:
            with self._lock:
                self._begin().do_handshake()
        except (ssl.SSLWantReadError, BlockingIOError):
            self.wants = IN
        except ssl.SSLWantWriteError:
            self.wants = OUT
        else:
            self.is_ready = True

    def receive(self, buffer: memoryview) -> int | None:
        """Fill the buffer record by record, so that none stays where epoll cannot see it."""
        count = 0
        try:
            with self._lock:
                while len(buffer) - count >= TLS_RECORD_BYTES:
                    received = self._socket.recv_into(buffer[count:])
                    if received == 0:
                        return count
                    count += received
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return count or None
        except OSError:
            return count  # if there were bytes, the next call will say that it is the end
        return count

    def has_input(self) -> bool:
        """See :class:`Transport`."""
        return _has_input(self._socket)

    def send(self, data: memoryview, more: bool = False) -> int:
        """Encrypt and send.

        After a 0 the next call must begin with the same bytes, and not with fewer of them: OpenSSL
        may have encrypted them already. So pieces have one size, which never shrinks.
        """
        try:
            with self._lock:
                return self._socket.send(data[:SEND_BYTES])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return 0

    def send_file(self, fd: int, offset: int, count: int, buffer: memoryview) -> int:
        """Read a piece into the buffer and send it."""
        size = os.preadv(fd, [buffer[: min(count, SEND_BYTES)]], offset)
        if size == 0:
            raise OSError("The file is shorter than its response promised")
        return self.send(buffer[:size])

    def end_sending(self) -> None:
        """See :class:`Transport`."""
        self._say_goodbye()
        self._socket.shutdown(socket.SHUT_WR)  # from here on, receive() does not decrypt

    def close(self) -> None:
        """See :class:`Transport`."""
        self._say_goodbye()
        self._socket.close()

    def _begin(self) -> ssl.SSLSocket:
        """Return the TLS socket; look at the first byte before TLS gets the plain one."""
        if isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        first = self._socket.recv(1, socket.MSG_PEEK)
        if first.isalpha():
            self.is_ready = True
            raise SpokePlainHttp("The client spoke plain HTTP")
        if first != _TLS_HANDSHAKE:
            raise OSError("The client spoke no TLS")
        secured = self._context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False
        )
        self._socket = secured
        return secured

    def _say_goodbye(self) -> None:
        # Without it the client could not tell the end of a response from a cut connection.
        if self.is_ready and isinstance(self._socket, ssl.SSLSocket):
            with self._lock, suppress(OSError, ValueError):
                self._socket.unwrap()


def _has_input(connection: socket.socket) -> bool:
    """Tell whether reading from a non-blocking socket would give something."""
    try:
        socket.socket.recv(connection, 1, socket.MSG_PEEK)  # also of a socket that speaks TLS
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
