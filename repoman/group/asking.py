"""Groups: several repositories asked as one, in the order of the members.

Calls fan out, not HTTP requests. What members answer is put together by the format.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from repoman.errors import (
    NotFound,
    RepomanError,
    StorageFull,
    Unavailable,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from repoman.threads import DaemonPool
from repoman.waiting import waiting

Member = TypeVar("Member")
Answer = TypeVar("Answer")

MEMBER_THREADS_MAX = 8  # members of a group asked side by side
OUTAGE_ERRORS = (UpstreamError, StorageFull, Unavailable)  # why a member cannot say what it has


@dataclass(frozen=True, slots=True)
class Collected(Generic[Answer]):
    """What members answered, in their order, and the errors of the others, by their names."""

    answers: list[Answer]
    failures: list[tuple[str, Exception]]


def first_found(
    members: Iterable[tuple[str, Member]],
    ask: Callable[[Member], Answer],
    is_missing: Callable[[Exception], bool] = lambda error: isinstance(error, NotFound),
) -> tuple[str, Answer]:
    """Return the first answer, with the name of the member that gave it.

    A member that does not have it is passed over; so is one that fails, but then its failure, and
    not that nobody has it, is what comes out if nobody answers: an outage must not look like an
    absence. ``is_missing`` tells the format's way to say that it has nothing.

    Raises:
        NotFound: no member has it.
        Exception: the :func:`main_outage`, or the last of the errors that mean absence.
    """
    outages: list[Exception] = []
    absence: Exception = NotFound("No member of the group has this content.")
    for name, member in members:
        try:
            return name, ask(member)
        except OUTAGE_ERRORS as error:
            outages.append(error)
        except Exception as error:
            if not is_missing(error):
                raise
            absence = error
    raise main_outage(outages) or absence


def main_outage(errors: Iterable[Exception]) -> Exception | None:
    """Return the failure to report to the client; None if the errors contain no failure.

    It is the first one, but a rate limit takes precedence: it says when to try again.
    """
    outages = [each for each in errors if isinstance(each, OUTAGE_ERRORS)]
    return min(outages, key=lambda each: not isinstance(each, UpstreamRateLimited), default=None)


class MemberPool:
    """Asks the members of one group side by side; threads begin when they are needed.

    ``errors`` are what a member may raise to say that it has no answer, besides RepomanError.
    """

    def __init__(self, *errors: type[Exception]) -> None:
        self._errors: tuple[type[Exception], ...] = (RepomanError, *errors)
        self._pool = DaemonPool("group", MEMBER_THREADS_MAX)

    def collect(
        self,
        members: Iterable[tuple[str, Member]],
        ask: Callable[[Member], Answer],
        timeout: float,
        is_quick: Callable[[Member], bool] = lambda _: False,
    ) -> Collected[Answer]:
        """Return all answers; a member that fails or takes longer than ``timeout`` is left out.

        All of them have the same ``timeout`` seconds, which begin now. Those that are quick are
        asked in the calling thread, so that they wait for no other one.
        """
        end = time.monotonic() + timeout
        named = list(members)
        running = {
            name: self._pool.submit(ask, member) for name, member in named if not is_quick(member)
        }
        asked = [(name, running.get(name) or _ask(ask, member)) for name, member in named]
        answers: list[Answer] = []
        failures: list[tuple[str, Exception]] = []
        with waiting():
            for name, future in asked:
                try:
                    answers.append(future.result(max(0.0, end - time.monotonic())))
                except TimeoutError:
                    future.cancel()  # if it has not begun
                    failures.append((name, UpstreamTimeout(f"{name} took too long to answer.")))
                except self._errors as error:
                    failures.append((name, error))
        return Collected(answers, failures)


def _ask(ask: Callable[[Member], Answer], member: Member) -> Future[Answer]:
    """Ask a member at once; what it answers or raises is the result."""
    future: Future[Answer] = Future()
    try:
        future.set_result(ask(member))
    except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
        future.set_exception(error)
    return future
