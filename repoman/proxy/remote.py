"""The remote of a proxy as an administrator sees it, whatever its format."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from repoman.proxy.status import Condition


@dataclass(frozen=True, slots=True)
class RemoteState:
    """How a remote is.

    Attributes:
        condition: in words, see :class:`repoman.proxy.status.Condition`.
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

    def invalidate(self) -> None:
        """Have it asked again for all that can change, by all processes."""

    def refresh(self, name: str) -> None:
        """The same, for all that the cache has under one name of the format's."""
