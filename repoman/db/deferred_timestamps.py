"""Times that are written late: the last visit of a user, the last use of a token."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from repoman.caching import LruCache
from repoman.db.database import Database
from repoman.errors import RepomanError

KEYS_MAX = 10_000  # Keys that may wait.
BATCH_KEYS = 500  # Keys whose times are written in one transaction.

_log = logging.getLogger(__name__)


class DeferredTimestamps:
    """Notes times in memory, and writes them late, in batches; thread safe.

    Args:
        what: they are, for the log.
        write: stores times, in seconds since the epoch, by their keys.
        clock: seconds since the epoch.
        interval: seconds in which the same key is noted once.
        touches: the topics of caches that depend on the times.
    """

    def __init__(
        self,
        database: Database,
        what: str,
        write: Callable[[Mapping[str, float]], None],
        clock: Callable[[], float],
        interval: float,
        touches: Iterable[str] = (),
    ) -> None:
        self._database = database
        self._what = what
        self._write = write
        self._clock = clock
        self._interval = interval
        self._touches = tuple(touches)
        self._lock = threading.Lock()
        self._noted: LruCache[float] = LruCache()
        self._waiting: dict[str, float] = {}
        self._is_failing = False

    def note(self, key: str) -> None:
        """Note that it is now."""
        now = self._clock()
        with self._lock:
            noted = self._noted.find(key)
            if noted is not None and 0 <= now - noted < self._interval:
                return
            self._waiting[key] = now
        self._noted.save(key, now)

    def flush(self) -> None:
        """Write down what waits; only for the thread that notices writes.

        What cannot be written now waits for the next time, as far as there is room for it.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        while waiting:
            batch = dict(islice(waiting.items(), BATCH_KEYS))
            try:
                self._write_batch(batch)
            except RepomanError as error:
                self._note_failure(self._put_back(waiting), error)
                return
            self._is_failing = False
            for key in batch:
                del waiting[key]

    def _write_batch(self, batch: Mapping[str, float]) -> None:
        with self._database.transaction(touches=self._touches, is_durable=False, is_brief=True):
            self._write(batch)

    def _note_failure(self, lost: int, error: RepomanError) -> None:
        if lost or not self._is_failing:
            _log.warning("The times of %s could not be written yet: %s", self._what, error)
        self._is_failing = True

    def _put_back(self, waiting: dict[str, float]) -> int:
        """Have times wait again, and return how many do not fit."""
        with self._lock:
            both = {**waiting, **self._waiting}
            self._waiting = dict(islice(both.items(), KEYS_MAX))
        return len(both) - len(self._waiting)
