"""The server log in memory: its last lines, for pages and scripts, and its level for a while."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from repoman.printable import PrintableFormatter

LINES_KEPT = 5_000  # Lines of the server log that are kept in memory.
LINE_MAX_CHARS = 2_000  # A longer line is cut, there.
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
PREFIX = "repoman"  # How the names of our own loggers begin: others may log what is secret.


@dataclass(frozen=True, slots=True)
class LogLine:
    """A record of the log.

    Attributes:
        number: counts the records since the start, from 1.
        at: seconds since the epoch.
        text: what happened, with the traceback of an error.
    """

    number: int
    at: float
    level: str
    logger: str
    text: str

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.at))
        return f"{when},{int(self.at * 1000) % 1000:03} {self.level} {self.logger}: {self.text}"


class LogRing(logging.Handler):
    """Keeps the last lines of the server log, and counts all of them by their level."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(PrintableFormatter("%(message)s"))
        self.counts: Counter[str] = Counter()
        self._lines: deque[LogLine] = deque(maxlen=LINES_KEPT)
        self._numbers = count(1)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, whatever is in it."""
        self.counts[record.levelname.lower()] += 1
        with suppress(Exception):
            text = self.format(record)[:LINE_MAX_CHARS]
            number = next(self._numbers)
            line = LogLine(number, record.created, record.levelname, record.name, text)
            self._lines.append(line)

    def lines(self) -> list[LogLine]:
        """Return the lines that are kept, the oldest first."""
        return list(self._lines)

    def find(self, level: str = "DEBUG", text: str = "", after: int = 0) -> list[LogLine]:
        """Return lines from a level on that contain a text, with a number above ``after``."""
        least, wanted = logging.getLevelNamesMapping().get(level, 0), text.lower()
        numbers = logging.getLevelNamesMapping()
        return [
            each
            for each in self.lines()
            if each.number > after
            and numbers.get(each.level, 0) >= least
            and (wanted in each.text.lower() or wanted in each.logger.lower())
        ]


@dataclass(frozen=True, slots=True)
class ChangedLevel:
    """The level of our loggers for a while, and how long it lasts, in seconds."""

    level: str
    left: float


class LogLevel:
    """Changes the level of our own loggers for a while; thread safe.

    Args:
        ticks: seconds that never run backwards.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._lock = threading.Lock()
        self._changed: tuple[str, float] | None = None

    @property
    def changed(self) -> ChangedLevel | None:
        """The present change, or None."""
        changed = self._changed
        return None if changed is None else ChangedLevel(changed[0], changed[1] - self._ticks())

    def change(self, level: str, seconds: float) -> None:
        """Log from ``level`` on, one of :data:`LEVELS`, for a while."""
        with self._lock:
            self._changed = level, self._ticks() + seconds
            _set_level(level)

    def reset(self) -> None:
        """Log from the level of the settings on again."""
        with self._lock:
            self._changed = None
            _set_level("NOTSET")

    def settle(self) -> None:
        """End a change whose time is over; call it repeatedly."""
        changed = self._changed
        if changed is not None and changed[1] <= self._ticks():
            self.reset()


def _set_level(level: str) -> None:
    for logger in _own_loggers():
        logger.setLevel(level)


def _own_loggers() -> Iterator[logging.Logger]:
    for name in sorted(logging.Logger.manager.loggerDict):
        if name.startswith(PREFIX) and "." not in name:
            yield logging.getLogger(name)
