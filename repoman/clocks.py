"""The time of day, for decisions that destroy: a jump of the clock does not count at once."""

import threading
import time
from collections.abc import Callable

SLACK_S = 3600.0  # How far the clock may be set forward without being doubted.
DAY_S = 86_400.0
PRUNE_INTERVAL_S = 3600.0  # How long nothing is deleted but the oldest rows of one day.
HOLD_S = 86_400.0  # How long a clock that jumped has to stay there until it is believed.


def uptime() -> float:
    """Return the seconds since the machine was started, with those in which it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ConfirmedClock:
    """The time of day, as far as it is confirmed; thread safe.

    A clock that jumps forward is believed once it has stayed there for a while; until then the
    time goes on from where it was. A clock that is set back is believed at once: it makes things
    seem younger, which destroys nothing.

    Args:
        clock: seconds since the epoch.
        known: a time that has passed for sure, in seconds since the epoch; without it the first
            reading is believed.
        slack: seconds by which the clock may be set forward without being doubted.
        hold: seconds for which a clock that jumped has to stay there.
        ticks: seconds that never run backwards.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        known: float | None = None,
        *,
        slack: float = SLACK_S,
        hold: float = HOLD_S,
        ticks: Callable[[], float] = uptime,
    ) -> None:
        self._clock = clock
        self._ticks = ticks
        self._slack = slack
        self._hold = hold
        self._lock = threading.Lock()
        # What the ticks have to be added to.
        self._confirmed = (clock() if known is None else known) - ticks()
        self._doubted = float("-inf")
        self._doubted_since = 0.0

    def __call__(self) -> float:
        """Return the time, in seconds since the epoch."""
        with self._lock:
            tick = self._ticks()
            return tick + self._judge(self._clock() - tick, tick)

    def _judge(self, offset: float, tick: float) -> float:
        if offset > self._confirmed + self._slack:
            if abs(offset - self._doubted) > self._slack:
                self._doubted, self._doubted_since = offset, tick
            if tick - self._doubted_since < self._hold:
                return self._confirmed
        self._confirmed = offset
        return offset


class Retention:
    """Before which time rows are too old to be kept, if the clock is to be trusted; thread safe.

    A jump of the clock deletes nothing at once (:class:`ConfirmedClock`). Within an hour no more is
    deleted than the oldest rows of one day, even where a wrong clock has written new ones.

    Args:
        days: for which rows are kept.
        find_newest: returns the time of the row that was written last; None if there is none.
        find_oldest: returns the earliest time of any row; None if there is none.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        days: int,
        find_newest: Callable[[], float | None],
        find_oldest: Callable[[], float | None],
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = uptime,
    ) -> None:
        self._age = days * DAY_S
        self._find_newest = find_newest
        self._find_oldest = find_oldest
        self._clock = clock
        self._ticks = ticks
        self._confirmed: ConfirmedClock | None = None
        self._limit: tuple[float, float] | None = None  # the time, and the tick when it was found

    def confirm(self) -> ConfirmedClock:
        """Compare the clock with the newest row, before this process writes its first one."""
        if self._confirmed is None:
            self._confirmed = ConfirmedClock(self._clock, self._find_newest(), ticks=self._ticks)
        return self._confirmed

    def limit(self) -> float | None:
        """Return the time before which rows may be deleted; None if there are none."""
        now = min(self._clock(), self.confirm()())
        if self._limit is None or self._ticks() - self._limit[1] > PRUNE_INTERVAL_S:
            oldest = self._find_oldest()
            if oldest is None:
                return None
            self._limit = oldest + DAY_S, self._ticks()
        return min(now - self._age, self._limit[0])
