"""Times that nobody waits for: when somebody came last, when something was last used."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

from repoman.db.database import Database
from repoman.errors import RepomanError

CAPACITY = 10_000  # keys that are remembered as noted

_log = logging.getLogger(__name__)


class LateTimes:
    """Notes times in memory, and writes them down late and together; thread safe.

    Args:
        what: they are, for the log.
        write: stores times, in seconds since the epoch, by their keys.
        clock: seconds since the epoch.
        interval: seconds in which the same key is noted once.
    """

    def __init__(
        self,
        database: Database,
        what: str,
        write: Callable[[Mapping[str, float]], None],
        clock: Callable[[], float],
        interval: float,
    ) -> None:
        self._database = database
        self._what = what
        self._write = write
        self._clock = clock
        self._interval = interval
        self._lock = threading.Lock()
        self._noted: OrderedDict[str, float] = OrderedDict()
        self._waiting: dict[str, float] = {}

    def note(self, key: str) -> None:
        """Note that it is now."""
        now = self._clock()
        with self._lock:
            if now - self._noted.get(key, float("-inf")) < self._interval:
                return
            self._noted[key] = self._waiting[key] = now
            self._noted.move_to_end(key)
            if len(self._noted) > CAPACITY:
                self._noted.popitem(last=False)

    def flush(self) -> None:
        """Write down what waits; only for the thread that notices writes.

        An error of the database costs only these times.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            with self._database.transaction(aside=True):
                self._write(waiting)
        except RepomanError as error:
            _log.warning("%d times of %s are lost: %s", len(waiting), self._what, error)
