"""TLS on the same loops as plain connections."""

import os
import socket
import ssl
import threading
from contextlib import suppress

from repoman.server.loop import IN, OUT
from repoman.server.transport import SEND_SIZE, peek

RECORD = 1 << 14  # most bytes in a TLS record

_HANDSHAKE = b"\x16"  # first byte of a TLS connection


class SpokePlainHttp(OSError):
    """The client sent an HTTP request without TLS."""


class TlsTransport:
    """A TLS connection that never blocks; see :class:`repoman.server.transport.Transport`.

    OpenSSL's objects must not be used by two threads at once, and here a worker may write while
    the loop reads: a lock surrounds each call.
    """

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
                while len(buffer) - count >= RECORD:
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
        """See :class:`repoman.server.transport.Transport`."""
        return peek(self._socket)

    def send(self, data: memoryview, more: bool = False) -> int:
        """Encrypt and send.

        After a 0 the next call must begin with the same bytes, and not with fewer of them: OpenSSL
        may have encrypted them already. So pieces have one size, which never shrinks.
        """
        try:
            with self._lock:
                return self._socket.send(data[:SEND_SIZE])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return 0

    def send_file(self, fd: int, offset: int, count: int, buffer: memoryview) -> int:
        """Read a piece into the buffer and send it."""
        size = os.preadv(fd, [buffer[: min(count, SEND_SIZE)]], offset)
        if size == 0:
            raise OSError("The file is shorter than its response promised")
        return self.send(buffer[:size])

    def end_sending(self) -> None:
        """See :class:`repoman.server.transport.Transport`."""
        self._say_goodbye()
        self._socket.shutdown(socket.SHUT_WR)  # from here on, receive() does not decrypt

    def close(self) -> None:
        """See :class:`repoman.server.transport.Transport`."""
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
        if first != _HANDSHAKE:
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
