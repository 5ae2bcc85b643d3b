"""Slows down password guessing without locking out users who know their password.

Wrong passwords are counted for a user from one address, for the user from everywhere, and for the
address whomever it tries. Beyond what is allowed, each further one doubles the time in which none
is looked at. The two wide counts allow more and make nobody wait who has got in from the same
address lately: neither a stranger nor a colleague behind the same router keeps somebody out.

The secret of a user token cannot be guessed, and one that has ended is sent for as long as nobody
takes it out of some script. So wrong ones count for their address alone, and keep no other token
and no password of the user out.

All of it is in memory: a restart clears it, and so would cost a guesser more than waiting.

Logins that wait for a directory are bounded too, by a :class:`LoginQueue`.
"""

import math
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Any

from repoman.errors import TooManyRequests, Unavailable

# Where innocent people may be meant, this many times more failures are allowed,
WIDE_COUNT_FACTOR = 10
WIDE_WAIT_DIVISOR = 10  # and the longest wait is this many times shorter.
FORGET_AFTER_WAITS = 3  # Failures are forgotten after this many longest waits without another one.
COUNTS_MAX = 20_000  # Counts, and pairs of a user and an address, that are kept.
NAME_MAX_CHARS = 256  # What counts of the name of a user.
KNOWN_ADDRESS_S = 86400.0  # How long an address counts as one of its user's.


@dataclass(slots=True)
class _Count:
    failures: int = 0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class _Rule:
    """How many failures are allowed under a key, and for how many seconds further ones count."""

    key: Hashable
    allowed: int
    longest: float


class Lockout:
    """Counts failed logins; thread safe.

    Args:
        allowed: wrong passwords for a user from one address before there is a wait; 0: any number.
        longest: seconds that the wait grows to.
        ticks: seconds that never run backwards.
    """

    def __init__(
        self, allowed: int, longest: float, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._allowed = allowed
        self._longest = longest
        self._ticks = ticks
        self._lock = threading.Lock()
        self._counts: OrderedDict[Hashable, _Count] = OrderedDict()
        self._greeted: OrderedDict[Hashable, float] = OrderedDict()

    def check(self, user: str, address: str, *, is_token: bool = False) -> None:
        """Return if a password for this user, or what has the form of a token, may be looked at.

        Raises:
            TooManyRequests: not yet.
        """
        if wait := self._wait(user, address, is_token):
            raise TooManyRequests(f"Too many failed logins. Try again in {wait} s.", wait)

    def note_failure(self, user: str, address: str, *, is_token: bool = False) -> int:
        """Count a wrong password; return in how many seconds the next one is looked at."""
        now = self._ticks()
        with self._lock:
            for rule in self._rules(user, address, is_token):
                count = self._counts.setdefault(rule.key, _Count())
                self._forget(count, rule, now)
                count.failures += 1
                count.last = now
                self._counts.move_to_end(rule.key)
            _shorten(self._counts)
        return self._wait(user, address, is_token)

    def note_success(self, user: str, address: str, *, is_token: bool = False) -> None:
        """Remember that a user and an address belong together, and forget their failures.

        A client with a token may still have to guess the password, so a token forgets none.
        """
        key = _pair(user, address)
        with self._lock:
            if not is_token:
                self._counts.pop(key, None)
            self._greeted[key] = self._ticks()
            self._greeted.move_to_end(key)
            _shorten(self._greeted)

    def _wait(self, user: str, address: str, is_token: bool) -> int:
        if not self._counts:
            return 0
        now = self._ticks()
        with self._lock:
            rules = self._rules(user, address, is_token)
            pair = _pair(user, address)
            if now - self._greeted.get(pair, float("-inf")) < KNOWN_ADDRESS_S:
                rules = [rule for rule in rules if rule.key == pair]
            return max((self._rest(rule, now) for rule in rules), default=0)

    def _rest(self, rule: _Rule, now: float) -> int:
        """Return the seconds that are left of a wait, rounded up."""
        count = self._counts.get(rule.key)
        if count is None:
            return 0
        self._forget(count, rule, now)
        excess = count.failures - rule.allowed
        if excess < 0:
            return 0
        # The exponent is bounded, since a long attack would make the number astronomical.
        wait = min(rule.longest, 2.0 ** min(excess, 30))
        return max(0, math.ceil(count.last + wait - now))

    def _forget(self, count: _Count, rule: _Rule, now: float) -> None:
        if now - count.last > FORGET_AFTER_WAITS * rule.longest:
            count.failures = 0

    def _rules(self, user: str, address: str, is_token: bool) -> list[_Rule]:
        if not self._allowed:
            return []
        many, short = self._allowed * WIDE_COUNT_FACTOR, self._longest / WIDE_WAIT_DIVISOR
        _, name, network = pair = _pair(user, address)
        anybody = _Rule(("address", network), many, short)
        if is_token:
            return [anybody]
        return [
            _Rule(pair, self._allowed, self._longest),
            _Rule(("user", name), many, short),
            anybody,
        ]


def _pair(user: str, address: str) -> tuple[str, str, str]:
    return "pair", _spelled(user), network_of(address)


def _spelled(user: str) -> str:
    """Return a name as a directory compares it: without blanks around it, in any case (RFC 4518).

    Otherwise each spelling would have guesses of its own.
    """
    return " ".join(unicodedata.normalize("NFKC", user[:NAME_MAX_CHARS]).casefold().split())


def network_of(address: str) -> str:
    """Return the address; of IPv6 its first half, since the rest is for each client to choose.

    A listener for both has IPv4 in the form of IPv6, and all of that in one half.
    """
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except AddressValueError:
        return address
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))


def _shorten(table: OrderedDict[Hashable, Any]) -> None:
    while len(table) > COUNTS_MAX:
        table.popitem(last=False)


RETRY_AFTER_S = 1  # When a client that found no place may try again.


class LoginQueue:
    """Gives places to logins that take their time, and none beyond; thread safe.

    A directory may be slow to answer, and logins must not keep every worker waiting for it; so
    there are fewer places than workers.
    """

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for as long as the block runs.

        Raises:
            Unavailable: all are taken.
        """
        if not self._places.acquire(blocking=False):
            error = Unavailable("Too many logins at the same time. Try again in a moment.")
            error.retry_after = RETRY_AFTER_S
            raise error
        try:
            yield
        finally:
            self._places.release()
