"""Asks the members of a group, one after the other or side by side.

Members are called, not sent HTTP requests. The format merges their answers.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from repoman.db.topics import note_failure
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

# Members of a group that are asked side by side, by all requests together. These are twice as many
# as may wait for one remote: if it hangs, threads are left to others, and to what is in a cache.
MEMBER_THREADS_MAX = 64
# With one of these, a member cannot tell whether it has something.
OUTAGE_ERRORS = (UpstreamError, StorageFull, Unavailable)


@dataclass(frozen=True, slots=True)
class Collected(Generic[Answer]):
    """The answers of members, in their order, and the names of the others with their errors."""

    answers: list[Answer]
    failures: list[tuple[str, Exception]]


def first_found(
    members: Iterable[tuple[str, Member]],
    ask: Callable[[Member], Answer],
    is_missing: Callable[[Exception], bool] = lambda error: isinstance(error, NotFound),
) -> tuple[str, Answer]:
    """Return the name of the first member that answers, and its answer.

    Members that do not have the content, or fail, are skipped. If no member answers and one of them
    failed, its failure is raised, because an outage must not look like an absence. ``is_missing``
    returns whether an error means, in this format, that a member does not have the content.

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
            note_failure()
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
    """Asks the members of one group side by side, in threads that start when they are needed.

    ``errors`` are the errors, besides RepomanError, that mean that a member has no answer.
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
        """Return the answers of all members that do not fail within ``timeout`` seconds.

        The time counts from now, for all members together. Quick members are asked in the calling
        thread, so they do not wait for a thread of the pool.
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
    """Ask a member in the calling thread, and return its answer or error as a future."""
    future: Future[Answer] = Future()
    try:
        future.set_result(ask(member))
    except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
        future.set_exception(error)
    return future
