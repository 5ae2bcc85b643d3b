"""The values of the doctor: checks, what they find, and what mends it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from repoman.repositories.model import Repository


class FindingState(StrEnum):
    """How urgent a finding is."""

    BAD = "bad"  # something does not work
    WARN = "warn"  # something will not work soon, or is dangerous
    GOOD = "good"
    UNCHECKED = "unchecked"  # nobody could look


# The most urgent one first.
ORDER = (FindingState.BAD, FindingState.WARN, FindingState.UNCHECKED, FindingState.GOOD)
PROBLEMS = frozenset({FindingState.BAD, FindingState.WARN})


@dataclass(frozen=True, slots=True)
class Fix:
    """What mends a finding: a sentence, and lines to copy, if there are any."""

    text: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found.

    Attributes:
        title: what is wrong, in a few words; empty: the title of the check.
        text: what was seen, and what it breaks.
        fixes: each of them is enough, unless it says otherwise.
        repository: the name of the repository that it is about; empty: none.
    """

    state: FindingState
    text: str
    title: str = ""
    fixes: tuple[Fix, ...] = ()
    repository: str = ""

    @property
    def is_problem(self) -> bool:
        """Whether somebody has to do something."""
        return self.state in PROBLEMS


def good(text: str) -> Finding:
    """Return that all is well, and in which way."""
    return Finding(FindingState.GOOD, text)


def unchecked(text: str, *fixes: Fix) -> Finding:
    """Return that this could not be checked, and why."""
    return Finding(FindingState.UNCHECKED, text, fixes=fixes)


def warn(title: str, text: str, *fixes: Fix, repository: str = "") -> Finding:
    """Return what will not work soon, or is dangerous."""
    return Finding(FindingState.WARN, text, title, fixes, repository)


def bad(title: str, text: str, *fixes: Fix, repository: str = "") -> Finding:
    """Return what does not work."""
    return Finding(FindingState.BAD, text, title, fixes, repository)


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """Something that can be wrong.

    Attributes:
        id: its name for scripts, such as ``connectors``.
        title: its name for people.
        run: takes the repositories, and returns what it finds; nothing: there is nothing to check.
            It is called in a thread of its own. Whatever it raises is a finding too.
        asks_others: whether it asks other machines. Such a check is not made at each start.
        needs_server: whether only the process that serves can see it.
    """

    id: str
    title: str
    run: Callable[[list[Repository]], Iterable[Finding]] = field(repr=False)
    asks_others: bool = False
    needs_server: bool = False


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    Attributes:
        check: its id; title: its name for people.
        at: when it was made, in seconds since the epoch.
        took: its duration, in seconds.
    """

    check: str
    title: str
    at: float
    took: float
    findings: tuple[Finding, ...]

    @property
    def state(self) -> FindingState:
        """The most urgent state of its findings."""
        found = {each.state for each in self.findings}
        return next((each for each in ORDER if each in found), FindingState.GOOD)
