"""Whether a remote is asked at present: by the administrator, and after failures.

After the n-th failure in a row it rests for 40 s times the n-th Fibonacci number; then a probe in
the background, or the next request, tells whether it is back. Until then nobody else asks.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from repoman.errors import UpstreamBlocked, UpstreamError, UpstreamRateLimited

PAUSE = 40.0  # seconds, times a Fibonacci number
LONGEST = 3600.0  # seconds that a remote rests at most
TRIAL = 30.0  # seconds for which one request alone tries whether it is back

_log = logging.getLogger(__name__)


class Condition(StrEnum):
    """How a remote is, in words for the administrator."""

    READY = "Ready to Connect"
    AVAILABLE = "Remote Available"
    BLOCKED = "Remote Manually Blocked"
    AUTO_BLOCKED = "Remote Auto Blocked and Unavailable"
    UNAVAILABLE = "Remote Unavailable"
    OFFLINE = "Repository Offline"  # by its settings, whatever the remote is like


class UpstreamStatus:
    """What is known of a remote's health; thread safe.

    Args:
        remote: its address, for the texts.
        clock: seconds, never running backwards.
        is_blocked: the administrator does not want it asked.
        auto_block: whether it rests after failures.
        on_block: called with the length of the rest, in seconds, whenever one begins.
        on_change: called when the condition or its reason has changed.

    Attributes:
        budget: what the remote last said of its limit of requests; None if it has none.
    """

    def __init__(
        self,
        remote: str,
        clock: Callable[[], float],
        *,
        is_blocked: bool = False,
        auto_block: bool = True,
        on_block: Callable[[float], object] = lambda _: None,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self._remote = remote
        self._clock = clock
        self._is_blocked = is_blocked
        self._auto_block = auto_block
        self._on_block = on_block
        self._on_change = on_change
        self.budget: Mapping[str, Any] | None = None
        self._lock = threading.Lock()
        self._failures = 0
        self._pauses = _pauses()
        self._blocked_until: float | None = None
        self._limited_until = 0.0
        self._tried_until = 0.0
        self._condition = Condition.BLOCKED if is_blocked else Condition.READY
        self._reason = ""

    @property
    def condition(self) -> Condition:
        """How the remote is."""
        return self._condition

    @property
    def reason(self) -> str:
        """What the last failure was; empty when there is none."""
        return self._reason

    def check(self) -> None:
        """Return if the remote may be asked.

        Raises:
            UpstreamBlocked: it may not, and why.
        """
        if self._is_blocked:
            raise UpstreamBlocked(
                f"The remote {self._remote} is blocked by the administrator of this proxy."
            )
        until = self._blocked_until
        if until is None:
            return
        if (left := until - self._clock()) > 0:
            raise UpstreamBlocked(
                f"The remote {self._remote} failed lately and is not asked for another "
                f"{int(left) + 1} s. {self._reason}"
            )
        if not self.begin_trial():
            raise UpstreamBlocked(
                f"The remote {self._remote} failed lately; whether it is back is being tried. "
                f"{self._reason}"
            )

    def begin_trial(self) -> bool:
        """Return whether the caller is the one who tries a remote whose rest is over."""
        with self._lock:
            now = self._clock()
            if self._tried_until > now:
                return False
            self._tried_until = now + TRIAL
            return True

    def end_trial(self) -> None:
        """Let others try: what the caller tried does not tell whether the remote is back."""
        self._tried_until = 0.0

    def check_rate(self) -> None:
        """Return if what counts against a limit of requests may be asked for.

        Raises:
            UpstreamRateLimited: the remote said how long to wait, and that is not over.
        """
        left = self._limited_until - self._clock()
        if left > 0:
            raise UpstreamRateLimited(
                f"The remote {self._remote} has limited our requests.", int(left) + 1
            )

    def note_success(self) -> None:
        """The remote answered as it should."""
        before = self._condition, self._reason
        with self._lock:
            if self._failures and self._blocked_until is not None:
                _log.info("The remote %s answers again.", self._remote)
            self._failures = 0
            self._pauses = _pauses()
            self._blocked_until = None
            self._tried_until = 0.0
            self._reason = ""
            if not self._is_blocked:
                self._condition = Condition.AVAILABLE
        if before != (self._condition, self._reason):
            self._on_change()

    def note_failure(self, error: UpstreamError) -> None:
        """The remote could not be reached, or failed: it rests, if it is to rest."""
        self._fail(error)
        self._on_change()

    def _fail(self, error: UpstreamError) -> None:
        with self._lock:
            self._reason = str(error)
            self._condition = Condition.UNAVAILABLE
            self._tried_until = 0.0
            now = self._clock()
            if not self._auto_block or (self._blocked_until or 0) > now:
                return  # requests that ran side by side fail as one
            self._failures += 1
            pause = min(next(self._pauses), LONGEST)
            self._blocked_until = now + pause
            self._condition = Condition.AUTO_BLOCKED
        _log.warning("%s The remote rests for %.0f s.", error, pause)
        self._on_block(pause)

    def note_limit(self, retry_after: int | None) -> None:
        """The remote has had enough of us for so many seconds, if it said how many."""
        self._limited_until = self._clock() + min(retry_after or 0, LONGEST)


def _pauses() -> Iterator[float]:
    """Yield the lengths of the rests, in seconds."""
    now, following = 1, 1
    while True:
        yield PAUSE * now
        now, following = following, now + following
