"""What the server did in each hour and on each day: pulls, refusals, and what caches answered.

The numbers come from counters that begin at zero with the process. Once a minute the differences
are added to the samples, so a kill loses about a minute.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from repoman.catalog.sample_records import DAY_S, HOUR_S, add_to_samples
from repoman.db.database import Database
from repoman.errors import RepomanError
from repoman.metrics import Requests
from repoman.overview import overview_records as records

INTERVAL_S = 60.0  # The differences are added once in this time.

PULLS = "server pulls"
FAILURES = "server failures"
CACHE_HITS = "server cache hits"
CACHE_MISSES = "server cache misses"
CACHE_BYTES = "server cache bytes"
NAMES = (PULLS, FAILURES, CACHE_HITS, CACHE_MISSES, CACHE_BYTES)
"""The names of the samples; the bytes are those that no remote had to send."""

# Answers that tell clients that something was not done. 401 is none of them: it asks who they are.
REFUSALS = frozenset({"403", "409", "413", "429"})
MISS = "MISS"  # See repoman.proxy.cache.Source; all others needed no download.

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened in each of the last 24 hours, the oldest first, and within seven days.

    Attributes:
        pulls: by hour; failures: the same, of requests that were refused or failed.
        cache_share: of the requests to proxies, what was answered without a download, from 0 to 1;
            None if there were none.
        cache_bytes: what needed no download.
    """

    pulls: tuple[int, ...]
    failures: tuple[int, ...]
    cache_share: float | None
    cache_bytes: int


class ActivityLog:
    """Adds up what the process did; thread safe for one writer.

    Args:
        count_pulls: returns the number of pulls since the start.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        requests: Requests,
        count_pulls: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._requests = requests
        self._count_pulls = count_pulls
        self._clock = clock
        self._saved = dict.fromkeys(NAMES, 0)
        self._saved_at = clock()

    def take(self) -> None:
        """Add what was done since the last minute; call it often, from one thread."""
        if not 0 <= self._clock() - self._saved_at < INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Add what was done until now; what cannot be written waits for the next time."""
        self._saved_at = now = self._clock()
        counted = self._count()
        new = {name: n - self._saved[name] for name, n in counted.items() if n > self._saved[name]}
        if not new:
            return
        try:
            with self._database.transaction(touches=(), is_brief=True):
                add_to_samples(new, now)
        except RepomanError as error:
            _log.warning("What the server did in the last minute is written later: %s", error)
        else:
            self._saved = counted

    def _count(self) -> dict[str, int]:
        statuses, sources, sent = self._requests.totals()
        return {
            PULLS: self._count_pulls(),
            FAILURES: sum(n for status, n in statuses.items() if _is_failure(status)),
            CACHE_HITS: sources.total() - sources[MISS],
            CACHE_MISSES: sources[MISS],
            CACHE_BYTES: sent.total() - sent[MISS],
        }


def read_activity(now: float) -> Activity:
    """Return what is known of the hours until now."""
    hours = [now - now % HOUR_S - HOUR_S * back for back in reversed(range(24))]
    week = now - now % DAY_S - 6 * DAY_S
    found = records.list_samples(NAMES, hours[0], week)
    by_hour = {(name, at): int(n) for name, period, at, n in found if period == "hour"}
    sums: dict[str, int] = dict.fromkeys(NAMES, 0)
    for name, period, _, n in found:
        sums[name] += int(n) if period == "day" else 0
    asked = sums[CACHE_HITS] + sums[CACHE_MISSES]
    return Activity(
        _row_of(PULLS, hours, by_hour),
        _row_of(FAILURES, hours, by_hour),
        sums[CACHE_HITS] / asked if asked else None,
        sums[CACHE_BYTES],
    )


def _row_of(
    name: str, hours: list[float], by_hour: Mapping[tuple[str, float], int]
) -> tuple[int, ...]:
    return tuple(by_hour.get((name, at), 0) for at in hours)


def _is_failure(status: str) -> bool:
    return status in REFUSALS or status.startswith("5")
