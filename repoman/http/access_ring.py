"""A buffer for access lines: a ring in memory, and one thread that writes them out.

The logging module makes a record, takes locks and wakes a thread for each line; at the rate of
cached responses that took more time than the responses. The lines look the same.
"""

import time
from collections import deque
from contextlib import suppress
from typing import TextIO

from repoman.threads import Periodic

CAPACITY = 50_000  # lines that may wait, some 20 MB; the oldest are lost beyond that
PAUSE = 0.1  # seconds between two turns of the writer
TURN = 2_000  # lines written at a time, so that other threads get theirs


class AccessRing:
    """Takes lines from any thread without waiting, and writes them soon.

    Lines that cannot be written, on a full disk or into a broken pipe, are lost.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: deque[tuple[float, str]] = deque(maxlen=CAPACITY)
        self.thread = Periodic("access log", self._write_all, PAUSE)

    def write(self, line: str) -> None:
        """Have a line written, with the present time."""
        self._lines.append((time.time(), line))

    def __enter__(self) -> "AccessRing":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is left."""
        self.thread.stop()
        self._write_all()

    def _write_all(self) -> None:
        while self._lines:
            self._write_some()

    def _write_some(self) -> None:
        lines = self._lines
        taken = [lines.popleft() for _ in range(min(TURN, len(lines)))]
        with suppress(OSError):  # telling of it would go the same way; later lines may do better
            self._stream.write("".join(map(_render, taken)))
            self._stream.flush()


def _render(entry: tuple[float, str]) -> str:
    moment, line = entry
    second = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
    return f"{second},{int(moment % 1 * 1000):03d} INFO repoman.access: {line}\n"
