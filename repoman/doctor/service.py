"""The doctor: makes all checks side by side, and keeps what they found."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import replace

from repoman.config import DoctorSettings
from repoman.db.database import Database
from repoman.doctor.doctor_records import list_results, save_results
from repoman.doctor.model import (
    ORDER,
    CheckResult,
    DoctorCheck,
    Finding,
    FindingState,
    unchecked,
    warn,
)
from repoman.errors import NotFound, RepomanError
from repoman.repositories.model import Repository
from repoman.threads import DaemonPool, describe
from repoman.waiting import waiting

THREADS_MAX = 32  # Checks that run at the same time.
FINDINGS_MAX = 50  # Findings of one check that are kept.
TEXT_MAX_CHARS = 2_000  # A longer text of a finding is cut.
FIRST_LOOK_S = 20.0  # Seconds after the start before the first look.
LOOK_INTERVAL_S = 10.0  # Seconds between two looks at whether checks are due.

_log = logging.getLogger(__name__)


class Doctor:
    """Makes the checks, and keeps the last result of each in the database; thread safe.

    Args:
        checks: of the core and of plugins, in the order in which they are shown.
        list_repositories: returns those that checks look at.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        settings: DoctorSettings,
        checks: Sequence[DoctorCheck],
        list_repositories: Callable[[], list[Repository]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._settings = settings
        self._checks = {each.id: each for each in checks}
        self._list_repositories = list_repositories
        self._clock = clock
        self._pool = DaemonPool("doctor", THREADS_MAX)
        self._lock = threading.Lock()
        self._running: dict[str, tuple[float, Future[tuple[Finding, ...]]]] = {}
        self._results: Mapping[str, CheckResult] = {}
        self._begun_at = self._full_at = clock()
        self._has_looked = False

    # What is known ------------------------------------------------------------------------------

    def load(self) -> None:
        """Take over what was found before this process began; called once."""
        kept = {each.check: each for each in list_results()}
        self._results = {
            id_: replace(kept[id_], title=check.title)
            for id_, check in self._checks.items()
            if id_ in kept
        }
        asking = [id_ for id_, check in self._checks.items() if check.asks_others]
        known = [self._results[id_].at for id_ in asking if id_ in self._results]
        if known:
            self._full_at = min(known)

    def results(self) -> list[CheckResult]:
        """Return the last result of each check that was made, the most urgent first."""
        return _sorted(self._results.values())

    def problems(self) -> list[Finding]:
        """Return the findings that somebody has to do something about, the most urgent first."""
        found = [each for result in self.results() for each in result.findings if each.is_problem]
        return sorted(found, key=lambda each: ORDER.index(each.state))

    # Checking -----------------------------------------------------------------------------------

    def examine(
        self, only: str = "", *, asks_others: bool = True, is_server: bool = True
    ) -> list[CheckResult]:
        """Make all checks, or ``only`` one, and return the results of all.

        ``asks_others``: also those that ask other machines. ``is_server``: this is the process that
        serves; others keep nothing, and tell what it has found where they cannot see it.

        Raises:
            NotFound: there is no such check.
            UpstreamBusy: too many wait for checks or remotes already.
        """
        if only and only not in self._checks:
            known = ", ".join(self._checks)
            raise NotFound(f"The doctor has no check {only[:100]!r}; choose one of: {known}.")
        chosen = [
            each
            for each in self._checks.values()
            if only in ("", each.id) and (asks_others or only or not each.asks_others)
        ]
        # Another worker takes the place of who waits: this server may be one of those that are
        # asked, and whoever comes next waits for the checks that are made now.
        with waiting(), self._lock:
            found = self._run([each for each in chosen if is_server or not each.needs_server])
            if not is_server:
                found += [_unseen(each) for each in chosen if not self._is_known(each)]
            self._results = {**self._results, **{each.check: each for each in found}}
            if is_server:
                self._save(found)
        return self.results()

    def look(self) -> None:
        """Make the checks that are due; call it repeatedly, from one thread.

        A while after the start only those that ask nobody.
        """
        now = self._clock()
        if now - self._full_at >= self._settings.interval:
            self._full_at = now
            self._has_looked = True
            self.examine()
        elif not self._has_looked and now - self._begun_at >= FIRST_LOOK_S:
            self._has_looked = True
            self.examine(asks_others=False)

    # Inside -------------------------------------------------------------------------------------

    def _is_known(self, check: DoctorCheck) -> bool:
        return not check.needs_server or check.id in self._results

    def _run(self, checks: Iterable[DoctorCheck]) -> list[CheckResult]:
        repositories = self._list_repositories()
        for each in checks:
            if each.id not in self._running:  # One that hangs does not take a thread each time.
                future = self._pool.submit(_findings_of, each, repositories)
                self._running[each.id] = (self._clock(), future)
        pending = [self._running[each.id][1] for each in checks]
        wait(pending, timeout=self._settings.timeout)
        return [self._result_of(each) for each in checks]

    def _result_of(self, check: DoctorCheck) -> CheckResult:
        begun_at, future = self._running[check.id]
        now = self._clock()
        if future.done():
            del self._running[check.id]
            findings = future.result()
        else:
            text = f"The check has not ended after {max(0, now - begun_at):.0f} seconds."
            findings = (warn(f"{check.title}: no answer", text),)
        return CheckResult(check.id, check.title, now, max(0.0, now - begun_at), findings)

    def _save(self, results: Iterable[CheckResult]) -> None:
        with suppress(RepomanError), self._database.transaction(touches=(), is_brief=True):
            save_results(results, self._checks)


def _findings_of(check: DoctorCheck, repositories: list[Repository]) -> tuple[Finding, ...]:
    """Return what a check finds; that it fails is a finding too."""
    try:
        found = list(check.run(repositories))
    except Exception as error:  # noqa: BLE001 - a check of a plugin may raise anything
        if not isinstance(error, RepomanError):
            _log.exception("The check %s of the doctor failed.", check.id)
        return (warn(f"{check.title}: not checked", f"The check failed: {describe(error)}"),)
    found.sort(key=lambda each: ORDER.index(each.state))
    return tuple(replace(each, text=each.text[:TEXT_MAX_CHARS]) for each in found[:FINDINGS_MAX])


def _unseen(check: DoctorCheck) -> CheckResult:
    text = "Only the running server can check this, and it has not done so yet."
    return CheckResult(check.id, check.title, 0.0, 0.0, (unchecked(text),))


def _sorted(results: Iterable[CheckResult]) -> list[CheckResult]:
    shown = [each for each in results if each.findings]
    return sorted(shown, key=lambda each: ORDER.index(each.state))


def worst_of(results: Iterable[CheckResult]) -> FindingState:
    """Return the most urgent state of all results; good if there are none."""
    return next((each.state for each in _sorted(results)), FindingState.GOOD)
