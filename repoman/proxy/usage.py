"""When what is cached was last downloaded, written down late and together; and the cache's limit.

A pull never waits for either.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice

from repoman.content import ContentStore
from repoman.errors import RepomanError
from repoman.proxy.cache_records import CacheRecords

INTERVAL = 300.0  # seconds in which one asset's download is written down once
REMEMBERED = 10_000  # assets
BATCH = 50  # assets looked at together when room is needed

_log = logging.getLogger(__name__)


class Usage:
    """The downloads of one proxy's cache; thread safe.

    Args:
        records: where the times are written.
        clock: seconds since the epoch.
        wake: called when there is something to be written down by :meth:`flush` soon.
    """

    def __init__(
        self,
        records: CacheRecords,
        clock: Callable[[], float],
        wake: Callable[[], object],
    ) -> None:
        self._records = records
        self._clock = clock
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: dict[str, float] = {}
        self._noted: OrderedDict[str, float] = OrderedDict()

    def note(self, path: str) -> None:
        """Remember that a client has just had the asset at ``path``."""
        now = self._clock()
        with self._lock:
            if 0 <= now - self._noted.get(path, float("-inf")) < INTERVAL:
                return
            self._noted[path] = now
            self._noted.move_to_end(path)
            if len(self._noted) > REMEMBERED:
                self._noted.popitem(last=False)
            is_first = not self._waiting
            self._waiting[path] = now
        if is_first:
            self._wake()

    def flush(self) -> None:
        """Write down what waits; what cannot be written now waits for the next time."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            self._records.note_downloads(waiting)
        except RepomanError as error:
            _log.warning(
                "The times of %d downloads could not be written yet: %s",
                len(waiting),
                error,
            )
            with self._lock:
                both = {**waiting, **self._waiting}
                self._waiting = dict(islice(both.items(), REMEMBERED))
            self._wake()


def trim(records: CacheRecords, content: ContentStore, kinds: tuple[str, ...], limit: int) -> int:
    """Remove assets of these kinds until the cache holds at most ``limit`` bytes.

    The least recently downloaded content is removed first. Compaction frees its bytes a while
    later, so that content that is being read stays readable. Returns how many were removed.
    """
    count = 0
    while (excess := records.size() - limit) > 0:
        paths = []
        for path, size in records.longest_unused(kinds, BATCH):
            paths.append(path)
            excess -= size
            if excess <= 0:
                break
        if not paths:
            break
        count += content.delete_assets(paths)
    return count
