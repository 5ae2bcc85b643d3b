"""The time of day, for decisions that destroy: a jump of the clock does not count at once."""

import threading
import time
from collections.abc import Callable

SLACK_S = 3600.0  # How far the clock may be set forward without being doubted.
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
