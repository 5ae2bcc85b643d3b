"""The health of the process: what does not work, for load balancers and administrators.

Each part of the server adds its checks. They run on request, at most once a
second, and one caller runs them for all.
"""

import threading
import time
from collections.abc import Callable, Mapping

FRESH_S = 1.0  # How long a result is told again without another look.
HUNG_S = 10.0  # A look that takes longer than this is a problem itself.

Check = Callable[[], str]  # Returns why something does not work; empty if it does.


class Health:
    """The checks of one process; thread safe.

    Args:
        ticks: seconds that never run backwards.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._checks: dict[str, Check] = {}
        self._problems: Mapping[str, str] = {}
        self._checked_at = ticks() - FRESH_S
        self._checking = threading.Lock()
        self._present = ""  # the check that runs

    def add(self, name: str, check: Check) -> None:
        """Have ``check`` asked from now on; whatever it raises is a problem as well."""
        self._checks = {**self._checks, name: check}

    def names(self) -> list[str]:
        """Return the names of all checks, in the order in which they were added."""
        return list(self._checks)

    def problems(self) -> Mapping[str, str]:
        """Return what does not work, with the reason, by the name of its check."""
        age = self._ticks() - self._checked_at
        if age < FRESH_S:
            return self._problems
        if self._checking.acquire(blocking=False):
            try:
                self._problems = self._look()
                self._checked_at = self._ticks()
            finally:
                self._checking.release()
        elif age > HUNG_S:
            return {self._present: f"The check has been running for {age:.0f} s."}
        return self._problems

    def _look(self) -> Mapping[str, str]:
        found = {}
        for name, check in self._checks.items():
            self._present = name
            try:
                problem = check()
            except Exception as error:  # noqa: BLE001 - whatever it is, it does not work
                problem = str(error) or type(error).__name__
            if problem:
                found[name] = problem
        return found
