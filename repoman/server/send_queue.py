"""What a connection has to send: bytes and files, in order."""

import threading
from collections.abc import Callable
from typing import Protocol

from waitress.channel import ClientDisconnected

from repoman.server.connection_policy import ProgressTimer
from repoman.server.transport import BULK_MIN_BYTES, SEND_BYTES, Transport

# Most bytes one connection sends per turn, so that a fast reader starves nobody: of a file, about a
# millisecond. The kernel takes a file faster in few large pieces: at 1 MiB it cost a third more.
TURN_BYTES = 4 << 20

# With so many bytes waiting, the worker that writes has to wait too.
HIGH_WATER_BYTES = 1 << 20

# MemoryItem up to this size are joined.
JOIN_MAX_BYTES = 1 << 16


class QueueItem(Protocol):
    """Something in a send queue."""

    def is_done(self) -> bool:
        """Tell whether everything has been sent."""

    def is_waiting(self) -> bool:
        """Tell whether there is nothing to send now although it is not done."""

    def send(self, transport: Transport, limit: int, buffer: memoryview, more: bool) -> int:
        """Send at most about ``limit`` bytes; return how many, 0 if there is no room."""

    def close(self) -> None:
        """Let go of what was sent; may take its time, never on a loop."""


class MemoryItem:
    """Bytes in memory."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data: bytearray | memoryview = memoryview(data)
        self._position = 0

    def __len__(self) -> int:
        return len(self._data) - self._position

    def try_join(self, data: bytes | memoryview) -> bool:
        """Append small data to small data; False if either is not small."""
        if len(self._data) + len(data) > JOIN_MAX_BYTES:
            return False
        if not isinstance(self._data, bytearray):
            self._data = bytearray(self._data)
        self._data += data
        return True

    def is_done(self) -> bool:
        """See :class:`QueueItem`."""
        return self._position == len(self._data)

    def is_waiting(self) -> bool:
        """See :class:`QueueItem`."""
        return False

    def send(self, transport: Transport, limit: int, buffer: memoryview, more: bool) -> int:
        """See :class:`QueueItem`."""
        end = self._position + SEND_BYTES
        with memoryview(self._data)[self._position : end] as piece:
            sent = transport.send(piece, more or end < len(self._data))
        self._position += sent
        return sent

    def close(self) -> None:
        """See :class:`QueueItem`."""


class SendQueue:
    """The queue of a connection. Workers write; the connection's loop flushes the rest.

    ``progress`` hears of bytes that have left, and when the first ones begin to wait.
    """

    def __init__(
        self,
        transport: Transport,
        progress: ProgressTimer,
        dispose: Callable[[Callable[[], object]], object],
    ) -> None:
        self._transport = transport
        self._progress = progress
        self._dispose = dispose
        self._space = threading.Condition(threading.Lock())
        self._queue: list[QueueItem] = []
        self._buffered = 0  # bytes of MemoryItem in the queue
        self._is_closed = False

    @property
    def is_empty(self) -> bool:
        """Whether everything has left."""
        return not self._queue

    @property
    def is_sendable(self) -> bool:
        """Whether there is something to send as soon as the client takes it."""
        first = self._queue[:1]  # in one step: another thread may send the last item meanwhile
        return bool(first) and not first[0].is_waiting()

    @property
    def is_bulky(self) -> bool:
        """Whether sending should not be the main loop's task: files and large responses."""
        return self._buffered >= BULK_MIN_BYTES or any(
            not isinstance(item, MemoryItem) for item in self._queue[:2]
        )

    @property
    def is_full(self) -> bool:
        """Whether a worker has to wait before it writes more."""
        return self._buffered > HIGH_WATER_BYTES and not self._is_closed

    def write(self, data: bytes, more: bool = False) -> None:
        """Send what the socket takes now and queue the rest; ``more`` queues everything.

        Raises:
            ClientDisconnected: the connection is closed.
            OSError: the connection is gone; the connection has to be closed.
        """
        with self._space:
            self._check_open()
            rest: bytes | memoryview = data
            if not self._queue and not more:
                with memoryview(data) as view:
                    sent = self._transport.send(view)
                self._progress.note_bytes(sent)
                if sent == len(data):
                    return
                rest = memoryview(data)[sent:]
            self._append(rest)
            if not more:
                self._flush_memory()

    def put(self, item: QueueItem) -> None:
        """Queue a file.

        Raises:
            ClientDisconnected: the connection is closed; the item still belongs to the caller.
        """
        with self._space:
            self._check_open()
            self._enqueue(item)

    def wait_for_space(self, timeout: float) -> None:
        """Wait until the queue is no longer full, at most ``timeout`` seconds."""
        with self._space:
            if self.is_full:
                self._space.wait(timeout)

    def flush(self, buffer: memoryview) -> None:
        """Send at most about TURN_BYTES; for the loop that owns the connection.

        Raises:
            OSError: the connection is gone, or a file was shorter than promised.
        """
        budget = TURN_BYTES
        with self._space:
            while self._queue and budget > 0:
                sent = self._send_first(budget, buffer)
                if sent == 0:
                    break
                budget -= sent
            if budget < TURN_BYTES:
                self._progress.note_bytes(TURN_BYTES - budget)
                self._space.notify()

    def close(self) -> None:
        """Close the connection and drop what was not sent.

        The lock is held during the call: a worker in the middle of sending would otherwise write to
        whatever connection gets the descriptor next.
        """
        with self._space:
            self._is_closed = True
            self._transport.close()
            for item in self._queue:
                self._forget(item)
            self._queue.clear()
            self._space.notify_all()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClientDisconnected

    def _append(self, data: bytes | memoryview) -> None:
        self._buffered += len(data)
        last = self._queue[-1] if self._queue else None
        if not (isinstance(last, MemoryItem) and last.try_join(data)):
            self._enqueue(MemoryItem(data))

    def _enqueue(self, item: QueueItem) -> None:
        if not self._queue:
            self._progress.restart()
        self._queue.append(item)

    def _flush_memory(self) -> None:
        budget = TURN_BYTES  # the rest is the loop's, which would wait for us to let go of the lock
        while budget > 0 and self._queue and isinstance(self._queue[0], MemoryItem):
            sent = self._send_first(TURN_BYTES, memoryview(b""))
            if sent == 0:
                return
            budget -= sent
            self._progress.note_bytes(sent)

    def _send_first(self, limit: int, buffer: memoryview) -> int:
        item = self._queue[0]
        more = len(self._queue) > 1 and not self._queue[1].is_waiting()
        sent = item.send(self._transport, limit, buffer, more)
        if isinstance(item, MemoryItem):
            self._buffered -= sent
        if item.is_done():
            del self._queue[0]
            self._forget(item)
        return sent

    def _forget(self, item: QueueItem) -> None:
        if not isinstance(item, MemoryItem):
            self._dispose(item.close)
