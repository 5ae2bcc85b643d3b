"""What a connection has to send: bytes and files, in order."""

import threading
from collections.abc import Callable
from typing import Protocol

from waitress.channel import ClientDisconnected

from repoman.server.transport import BULK_MIN_BYTES, SEND_BYTES, ProgressTimer, Transport

# Most bytes one connection sends per turn, so that a fast reader starves nobody: of a file, about a
# millisecond. The kernel takes a file faster in few large pieces: at 1 MiB it cost a third more.
TURN_BYTES = 4 << 20

# With so many bytes waiting, the worker that writes has to wait too.
HIGH_WATER_BYTES = 1 << 20

# MemoryItem up to this size are joined.
JOIN_MAX_BYTES = 1 << 16

# For items that need none.
NO_BUFFER = memoryview(b"")


class QueueItem(Protocol):
    """Something in a send queue.

    Attributes:
        remaining: bytes that are still to be sent.
    """

    remaining: int

    @property
    def is_waiting(self) -> bool:
        """Whether there is nothing to send now although something remains."""

    def send(self, transport: Transport, limit: int, buffer: memoryview, more: bool) -> int:
        """Send at most about ``limit`` bytes; return how many, 0 if there is no room."""

    def close(self) -> None:
        """Let go of what was sent; may take its time, never on a loop."""


class MemoryItem:
    """Bytes in memory."""

    is_waiting = False

    def __init__(self, data: bytes | memoryview) -> None:
        self._data: bytearray | memoryview = memoryview(data)
        self.remaining = len(data)

    def try_join(self, data: bytes | memoryview) -> bool:
        """Append small data to small data; False if either is not small."""
        if len(self._data) + len(data) > JOIN_MAX_BYTES:
            return False
        if not isinstance(self._data, bytearray):
            self._data = bytearray(self._data)
        self._data += data
        self.remaining += len(data)
        return True

    def send(self, transport: Transport, limit: int, buffer: memoryview, more: bool) -> int:
        """See :class:`QueueItem`."""
        start = len(self._data) - self.remaining
        with memoryview(self._data)[start : start + SEND_BYTES] as piece:
            sent = transport.send(piece, more or self.remaining > SEND_BYTES)
        self.remaining -= sent
        return sent

    def close(self) -> None:
        """See :class:`QueueItem`."""


class SendQueue:
    """The queue of a connection. Workers write; the connection's loop flushes the rest.

    ``progress`` hears of bytes that have left, and when the first ones begin to wait.

    Attributes:
        items: what has not left yet; only to be looked at, by any thread.
    """

    def __init__(
        self,
        transport: Transport,
        progress: ProgressTimer,
        dispose: Callable[[Callable[[], object]], object],
    ) -> None:
        self.items: list[QueueItem] = []
        self._transport = transport
        self._progress = progress
        self._dispose = dispose
        self._lock = threading.Lock()  # entered itself: a condition's context is two calls more
        self._space = threading.Condition(self._lock)
        self._buffered = 0  # bytes of MemoryItem in the queue
        self._files = 0  # other items in the queue
        self._sent: list[QueueItem] = []  # files that have left, to be closed
        self._is_reading_disk = False  # in a worker, which may take its time
        self._is_closed = False

    @property
    def is_sendable(self) -> bool:
        """Whether there is something to send as soon as the client takes it."""
        first = self.items[:1]  # in one step: another thread may send the last item meanwhile
        return bool(first) and not first[0].is_waiting

    @property
    def is_bulky(self) -> bool:
        """Whether sending should not be the main loop's task: files and large responses."""
        return self._files > 0 or self._buffered >= BULK_MIN_BYTES

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
        with self._lock:
            if self._is_closed:
                raise ClientDisconnected
            rest: bytes | memoryview = data
            if not self.items and not more:
                with memoryview(data) as view:
                    sent = self._transport.send(view)
                self._progress.note_bytes(sent)
                if sent == len(data):
                    return
                rest = memoryview(data)[sent:]
            self._append(rest)
            if not more:  # the rest is the loop's, which would wait for us to let go of the lock
                self._send_some(TURN_BYTES, NO_BUFFER, with_files=False)

    def put(self, item: QueueItem, at_once: int = 0) -> None:
        """Queue a file; the calling worker sends about so many bytes of what waits itself.

        Raises:
            ClientDisconnected: the connection is closed; the item still belongs to the caller.
            OSError: the connection is gone, or the file is shorter than promised; the connection
                has to be closed, and the item, which is queued, with it.
        """
        try:
            with self._lock:
                if self._is_closed:
                    raise ClientDisconnected
                self._enqueue(item)
                self._files += 1
                if at_once:
                    self._read_disk(at_once)
                sent, self._sent = self._sent, []
        finally:
            if self._is_closed:  # perhaps by a loop that did not wait for the disk
                self.close()
        for each in sent:
            each.close()

    def wait_for_space(self, timeout: float) -> None:
        """Wait until the queue is no longer full, at most ``timeout`` seconds."""
        with self._lock:
            if self.is_full:
                self._space.wait(timeout)

    def flush(self, buffer: memoryview) -> None:
        """Send at most about TURN_BYTES; for the loop that owns the connection.

        Raises:
            OSError: the connection is gone, or a file was shorter than promised.
        """
        with self._lock:
            self._send_some(TURN_BYTES, buffer)
            self._space.notify()
            sent, self._sent = self._sent, []
        for each in sent:
            self._dispose(each.close)

    def close(self) -> None:
        """Close the connection and drop what was not sent.

        The lock is held during the call: a worker in the middle of sending would otherwise write to
        whatever connection gets the descriptor next. While a worker waits for a disk, the
        connection is left to it: it closes what was closed meanwhile.
        """
        self._is_closed = True
        if not self._lock.acquire(blocking=not self._is_reading_disk):
            return
        try:
            self._transport.close()
            for item in (*self._sent, *self.items):
                if not isinstance(item, MemoryItem):
                    self._dispose(item.close)
            self.items.clear()
            self._sent.clear()
            self._space.notify_all()
        finally:
            self._lock.release()

    def _read_disk(self, budget: int) -> None:
        self._is_reading_disk = True  # first: close() sets its flag, then looks at this one
        try:
            if not self._is_closed:
                self._send_some(budget, NO_BUFFER)
        finally:
            self._is_reading_disk = False

    def _append(self, data: bytes | memoryview) -> None:
        self._buffered += len(data)
        last = self.items[-1] if self.items else None
        if not (isinstance(last, MemoryItem) and last.try_join(data)):
            self._enqueue(MemoryItem(data))

    def _enqueue(self, item: QueueItem) -> None:
        if not self.items:
            self._progress.restart()
        self.items.append(item)

    def _send_some(self, budget: int, buffer: memoryview, with_files: bool = True) -> None:
        """Send at most about so many bytes, or as much as there is room for."""
        left = budget
        while left > 0 and self.items:
            item = self.items[0]
            is_memory = isinstance(item, MemoryItem)
            if not (is_memory or with_files):
                break
            more = len(self.items) > 1 and not self.items[1].is_waiting
            sent = item.send(self._transport, left, buffer, more)
            left -= sent
            if is_memory:
                self._buffered -= sent
            if not item.remaining:
                del self.items[0]
                if not is_memory:
                    self._files -= 1
                    self._sent.append(item)
            if not sent:
                break
        if left < budget:
            self._progress.note_bytes(budget - left)
