"""Whether a remote may be contacted: blocks by the administrator and after failures.

A failure counts for what failed, and no further:

- No connection to a host: that host is blocked, for 40 s times the n-th Fibonacci number after the
  n-th failure in a row. The hosts that a remote refers to (of a redirect, a token service) are
  blocked apart from it.
- An error for one address (5xx, no answer, a broken connection) may be of that address alone. The
  remote is asked by a probe how it is; it is blocked only if that fails too.
- ``Retry-After``: the address that sent it is not contacted until then.

When a block is over, a probe in the background or the next request finds out whether the host is
back.

A slow remote holds up no more than a number of requests, since each waits for it behind a gate.
Where a remote answers quickly, every request waits for its turn. Where one has been waiting for
long already, the next one that finds no place is refused at once. Requests for the same content
never take all places, so that one thing that hangs leaves some for the others.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from repoman.errors import UpstreamBlocked, UpstreamBusy, UpstreamError, UpstreamRateLimited
from repoman.waiting import waiting

BLOCK_STEP_S = 40.0  # A block lasts for this time, times a Fibonacci number.
BLOCK_MAX_S = 3600.0  # A host or an address is blocked for at most this time.
TRIAL_S = 30.0  # One request alone tests for this time whether a host is back.
PROBE_INTERVAL_S = 10.0  # One probe is sent in this time, however many addresses fail.
HOSTS_MAX = 1_000  # Hosts besides the remote's own that are remembered.
ADDRESSES_MAX = 10_000  # Addresses with a Retry-After that are remembered.
WAITERS_MAX = 32  # Requests that may wait for one remote.
WAITERS_PER_CONTENT_MAX = 24  # Requests that may wait for one and the same content.
WAIT_MAX_S = 3.0  # A request that has waited for longer shows that the remote is slow.
RETRY_AFTER_S = 10  # Clients that find no place are told to try again after this time.

OWN = ""  # the remote's own host, among those that it refers to

_log = logging.getLogger(__name__)


class Condition(StrEnum):
    """How a remote is, in words for the administrator."""

    READY = "Ready to Connect"
    AVAILABLE = "Remote Available"
    BLOCKED = "Remote Manually Blocked"
    AUTO_BLOCKED = "Remote Auto Blocked and Unavailable"
    UNAVAILABLE = "Remote Unavailable"
    LOGIN_REFUSED = "login refused"
    OFFLINE = "Repository Offline"  # by its settings, whatever the remote is like


@dataclass(slots=True)
class _Host:
    """A host that failed, and since when it is blocked; in ticks."""

    reason: str = ""
    until: float | None = None
    tried_until: float = 0.0
    pauses: Iterator[float] = field(default_factory=lambda: _pauses())


class RemoteHealth:
    """What is known of a remote's health; thread safe.

    Args:
        remote: its address, for the texts.
        clock: seconds, never running backwards.
        is_blocked: whether the administrator has blocked it.
        auto_block: whether it is blocked after failures.
        on_block: called with the length of a block of the remote, in seconds, when it begins.
        on_doubt: called when a probe has to find out whether the remote itself works.
        on_change: called when the condition or its reason has changed.

    Attributes:
        budget: what the remote last said of its limit of requests; None if it has none.
        is_blocked: whether the administrator has blocked it.
        is_retired: nobody has this proxy any more.
    """

    def __init__(
        self,
        remote: str,
        clock: Callable[[], float],
        *,
        is_blocked: bool = False,
        auto_block: bool = True,
        on_block: Callable[[float], object] = lambda _: None,
        on_doubt: Callable[[], object] = lambda: None,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self._remote = remote
        self._clock = clock
        self.is_blocked = is_blocked
        self._auto_block = auto_block
        self._on_block = on_block
        self._on_doubt = on_doubt
        self._on_change = on_change
        self.budget: Mapping[str, Any] | None = None
        self._lock = threading.Lock()
        self._hosts: OrderedDict[str, _Host] = OrderedDict()  # those that failed last time
        # Until when, in ticks, and whether that is a limit of our requests.
        self._addresses: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._limited_until = 0.0
        self._doubted_until = 0.0
        self._login_problem = ""
        self.is_retired = False
        self._condition = Condition.BLOCKED if is_blocked else Condition.READY

    # What is known ------------------------------------------------------------------------------

    @property
    def condition(self) -> Condition:
        """How the remote is."""
        is_well = self._condition in (Condition.READY, Condition.AVAILABLE)
        return Condition.LOGIN_REFUSED if self._login_problem and is_well else self._condition

    @property
    def reason(self) -> str:
        """The last failure that is still in effect; empty if there is none."""
        own = self._hosts.get(OWN)
        others = [each.reason for each in list(self._hosts.values())]
        return " ".join([own.reason] if own else [self._login_problem, *others]).strip()

    @property
    def blocked_for(self) -> float | None:
        """Seconds until the block after failures ends; None if there is no such block."""
        own = self._hosts.get(OWN)
        return None if own is None or own.until is None else max(0.0, own.until - self._clock())

    # Before a request ---------------------------------------------------------------------------

    def check(self, address: str = "") -> None:
        """Return if the remote may be contacted, at this address if one is given.

        Raises:
            UpstreamBlocked: it may not, and why.
            UpstreamRateLimited: it has limited the requests for this address.
        """
        if self.is_retired:
            raise UpstreamBlocked(f"{self._remote} is no longer the remote of this proxy.")
        if self.is_blocked:
            raise UpstreamBlocked(
                f"The remote {self._remote} is blocked by the administrator of this proxy."
            )
        self.check_host(OWN)
        found = self._addresses.get(address)
        if found is None:
            return
        until, is_limit = found
        if (left := until - self._clock()) > 0:
            asked = f"asked not to be contacted at this address for another {int(left) + 1} s."
            if is_limit:
                text = f"The remote {self._remote} limits the rate of our requests, and {asked}"
                raise UpstreamRateLimited(text, int(left) + 1)
            raise UpstreamBlocked(f"The remote {self._remote} {asked}", int(left) + 1)
        with self._lock:
            self._addresses.pop(address, None)

    def check_host(self, host: str) -> None:
        """Return if a host that the remote refers to may be contacted.

        Raises:
            UpstreamBlocked: it may not, and why.
        """
        failed = self._hosts.get(host)
        if failed is None or failed.until is None:
            return
        name = f"The host {host}" if host else f"The remote {self._remote}"
        if (left := failed.until - self._clock()) > 0:
            raise UpstreamBlocked(
                f"{name} failed recently and is blocked for another {int(left) + 1} s. "
                f"{failed.reason}",
                int(left) + 1,
            )
        if not self._begin_trial(failed):
            raise UpstreamBlocked(f"{name} failed recently and is being tested. {failed.reason}")

    def begin_trial(self) -> bool:
        """Return whether the caller is the one who tries a remote whose block is over."""
        failed = self._hosts.get(OWN)
        return failed is not None and self._begin_trial(failed)

    def end_trial(self) -> None:
        """Let others try: the result of the caller does not show whether the remote is back."""
        failed = self._hosts.get(OWN)
        if failed is not None:
            failed.tried_until = 0.0

    def _begin_trial(self, failed: _Host) -> bool:
        with self._lock:
            now = self._clock()
            if failed.tried_until > now:
                return False
            failed.tried_until = now + TRIAL_S
            return True

    def check_rate(self) -> None:
        """Return if requests that count against a rate limit may be sent.

        Raises:
            UpstreamRateLimited: the remote said how long to wait, and that is not over.
        """
        left = self._limited_until - self._clock()
        if left > 0:
            raise UpstreamRateLimited(
                f"The remote {self._remote} limits the rate of our requests.", int(left) + 1
            )

    # After a request ----------------------------------------------------------------------------

    def note_success(self, host: str = OWN) -> None:
        """A host answered as it should."""
        is_news = host == OWN and self._condition is not Condition.AVAILABLE
        if not self._hosts and not is_news:
            return
        with self._lock:
            failed = self._hosts.pop(host, None)
            if host == OWN and not self.is_blocked:
                self._condition = Condition.AVAILABLE
        if failed is not None:
            name = f"The host {host}" if host else f"The remote {self._remote}"
            _log.info("%s is reachable again.", name)
        if failed is not None or is_news:
            self._on_change()

    def note_failure(
        self, error: UpstreamError, address: str = "", *, is_probe: bool = False
    ) -> None:
        """A host could not be reached, or failed: it is blocked, if that is not of one address.

        Args:
            error: what happened, and to which host.
            address: the address of the request.
            is_probe: whether the request was a probe.
        """
        if error.retry_after is not None and address:
            self._leave_alone(address, error.retry_after)
        if error.is_unreachable or is_probe:
            self._block(error)
        elif error.host == OWN:
            self._doubt(error)

    def note_limit(self, error: UpstreamRateLimited, address: str = "") -> None:
        """A host has had enough of us for so many seconds, if it said how many.

        What another host than the remote's own says counts for the address alone.
        """
        if error.host == OWN:
            self._limited_until = self._clock() + min(error.retry_after or 0, BLOCK_MAX_S)
        if error.retry_after and address:
            self._leave_alone(address, error.retry_after, is_limit=True)

    def note_login(self, problem: str = "") -> None:
        """The remote took the proxy's login, or did not, for this reason."""
        if problem != self._login_problem:
            self._login_problem = problem
            if problem:
                _log.warning("%s", problem)
            self._on_change()

    def reset(self) -> None:
        """Forget all failures: all requests are allowed at once."""
        with self._lock:
            self._hosts.clear()
            self._addresses.clear()
            self._limited_until = self._doubted_until = 0.0
            self._login_problem = ""
            self._condition = Condition.BLOCKED if self.is_blocked else Condition.READY

    def retire(self) -> None:
        """Send no further requests: this proxy no longer exists."""
        self.is_retired = True

    # Inside -------------------------------------------------------------------------------------

    def _leave_alone(self, address: str, seconds: int, *, is_limit: bool = False) -> None:
        with self._lock:
            self._addresses[address] = self._clock() + min(seconds, BLOCK_MAX_S), is_limit
            self._addresses.move_to_end(address)
            if len(self._addresses) > ADDRESSES_MAX:
                self._addresses.popitem(last=False)

    def _block(self, error: UpstreamError) -> None:
        with self._lock:
            failed = self._hosts.setdefault(error.host, _Host())
            before = self._condition, failed.reason
            failed.reason = str(error)
            failed.tried_until = 0.0
            if error.host == OWN and self._condition is not Condition.AUTO_BLOCKED:
                self._condition = Condition.UNAVAILABLE
            if len(self._hosts) > HOSTS_MAX:
                del self._hosts[next(host for host in self._hosts if host != OWN)]
            pause = self._pause(failed, error.retry_after or 0) if self._auto_block else 0.0
            if pause and error.host == OWN:
                self._condition = Condition.AUTO_BLOCKED
        if pause:
            _log.warning("%s It is blocked for %.0f s.", error, pause)
            if error.host == OWN:
                self._on_block(pause)
        if pause or before != (self._condition, failed.reason):
            self._on_change()

    def _pause(self, failed: _Host, least: int) -> float:
        """Begin a block and return its length in seconds; 0 if there is none, or one already."""
        now = self._clock()
        if failed.until is not None and failed.until > now:
            return 0.0  # requests that ran side by side fail as one
        pause = min(max(next(failed.pauses), least), BLOCK_MAX_S)
        failed.until = now + pause
        return pause

    def _doubt(self, error: UpstreamError) -> None:
        """Start a probe, to find out whether the remote fails or only one address."""
        _log.warning("%s", error)
        with self._lock:
            now = self._clock()
            if self._doubted_until > now:
                return
            self._doubted_until = now + PROBE_INTERVAL_S
        self._on_doubt()


def _pauses() -> Iterator[float]:
    """Yield the lengths of the blocks, in seconds."""
    now, following = 1, 1
    while True:
        yield BLOCK_STEP_S * now
        now, following = following, now + following


class RemoteGate:
    """Counts the threads that wait for one remote; thread safe.

    Args:
        remote: its address, for the text.
        ticks: seconds that never run backwards.
    """

    def __init__(self, remote: str, ticks: Callable[[], float] = time.monotonic) -> None:
        self._remote = remote
        self._ticks = ticks
        self._changed = threading.Condition()
        # By thread, since when and for what it waits; the longest wait first.
        self._inside: dict[int, tuple[float, str]] = {}
        self._waited_for: set[int] = set()  # threads

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        """Ask the remote inside of this for those who have places to wait for the calling thread.

        It takes no place: they could have taken them all, and would wait for each other.
        """
        me = threading.get_ident()
        self._waited_for.add(me)
        try:
            yield
        finally:
            self._waited_for.discard(me)

    @contextmanager
    def passed(self, what: str = "") -> Iterator[None]:
        """Wait for the remote inside of this; a thread that is inside may enter again.

        Args:
            what: is asked for, if others may wait for the same.

        Raises:
            UpstreamBusy: too many wait for it already, and for too long.
        """
        me = threading.get_ident()
        if me in self._inside or me in self._waited_for:
            yield
            return
        with waiting():
            self._enter(me, what)
            try:
                yield
            finally:
                with self._changed:
                    del self._inside[me]
                    self._changed.notify_all()

    def _enter(self, me: int, what: str) -> None:
        with self._changed:
            while before := self._before(what):
                longest = self._ticks() - before[0]
                if longest >= WAIT_MAX_S:
                    raise UpstreamBusy(
                        f"The remote {self._remote} is slow, and {len(before)} requests are "
                        "already waiting for "
                        f"{'the same content' if len(before) < WAITERS_MAX else 'it'}.",
                        RETRY_AFTER_S,
                    )
                self._changed.wait(WAIT_MAX_S - longest)
            self._inside[me] = self._ticks(), what

    def _before(self, what: str) -> list[float]:
        """Return since when those wait who leave no place; none if there is one."""
        same = [since for since, asked in self._inside.values() if asked == what]
        if what and len(same) >= WAITERS_PER_CONTENT_MAX:
            return same
        every = [since for since, _ in self._inside.values()]
        return every if len(every) >= WAITERS_MAX else []


@dataclass(frozen=True, slots=True)
class RemoteState:
    """How a remote is.

    Attributes:
        condition: in words, see :class:`repoman.proxy.remote_health.Condition`.
        reason: what failed last and still counts; empty if nothing did.
        budget: what the remote last said of a limit of requests, if it has one.
        at: when this was so, in seconds since the epoch.
        blocked_until: when the remote is asked again after failures, in seconds since the epoch;
            None if it is not blocked by failures.
    """

    condition: str
    reason: str
    budget: Mapping[str, Any] | None
    at: float
    blocked_until: float | None = None


def render_status(condition: str, *, is_online: bool) -> str:
    """Return the status of a proxy in the reference's words, such as Online - Remote Available."""
    return f"Online - {condition}" if is_online else f"Offline - {Condition.OFFLINE}"


class Remote(Protocol):
    """What the service of a proxy has as its attribute ``remote``."""

    @property
    def state(self) -> RemoteState:
        """How it is now, as far as this process knows."""

    def check(self) -> RemoteState:
        """Ask it now, whatever failed before, and return how it is; other processes do the same."""

    def examine(self) -> RemoteState:
        """Ask it now, and return how it is; other processes do not learn of it."""

    def invalidate(self) -> None:
        """Have it asked again for all that can change, by all processes."""

    def refresh(self, name: str) -> None:
        """The same, for all that the cache has under one name of the format's."""
