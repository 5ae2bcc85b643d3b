"""Checks of repositories, their upstreams, tasks and backups."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from datetime import UTC, datetime

from repoman.doctor.model import DoctorCheck, Finding, Fix, bad, good, unchecked, warn
from repoman.errors import RepomanError
from repoman.printable import pluralize
from repoman.proxy.remote_health import Condition, Remote, RemoteState
from repoman.repositories.model import Repository
from repoman.tasks.model import Run, RunState
from repoman.tasks.service import Tasks, TaskState
from repoman.threads import DaemonPool

ASKED_MAX = 16  # Upstreams that are asked at the same time.
ASKING_S = 4.0  # Seconds that all upstreams together get.
FRESH_S = 3600.0  # An upstream that worked within so many seconds is not asked.
SERVED = "What is cached is served meanwhile."
VERIFY = "blobstore.verify"
COMPACT = "blobstore.compact"


def repository_check() -> DoctorCheck:
    """Return the check whether all repositories work."""

    def run(repositories: list[Repository]) -> Iterator[Finding]:
        for each in repositories:
            if each.problem:
                yield bad(
                    f"{each.name} does not work",
                    f"{each.problem} Requests are answered with 503.",
                    Fix("See its settings:", f"repoman repo show {each.name}"),
                    repository=each.name,
                )
        offline = sum(not each.config.is_online for each in repositories)
        told = f", {offline} of them offline by its settings" if offline else ""
        yield good(f"{pluralize(len(repositories), 'repository', 'repositories')}{told}")

    return DoctorCheck("repositories", "Repositories", run)


def upstream_check(clock: Callable[[], float] = time.time) -> DoctorCheck:
    """Return the check whether the remotes of proxies answer, and take the proxies' logins."""
    pool = DaemonPool("doctor upstreams", ASKED_MAX)

    def run(repositories: list[Repository]) -> Iterator[Finding]:
        remotes = {
            each.name: each.capabilities.remote
            for each in repositories
            if each.capabilities.remote is not None and each.config.is_online
        }
        states = _ask(pool, remotes, clock())
        for name, state in states.items():
            yield from _judged(name, state)
        conditions = [None if each is None else each.condition for each in states.values()]
        upstreams = pluralize(len(conditions), "upstream")
        if count := conditions.count(Condition.AVAILABLE):
            yield good(f"{count} of {upstreams} answering")
        elif conditions and set(conditions) == {Condition.BLOCKED}:
            yield good(f"{upstreams}, blocked by the settings")

    return DoctorCheck("upstreams", "Upstreams", run, asks_others=True)


def _ask(pool: DaemonPool, remotes: dict[str, Remote], now: float) -> dict[str, RemoteState | None]:
    """Return how the remotes are; None of those that did not answer in time."""
    states: dict[str, RemoteState | None] = {name: each.state for name, each in remotes.items()}
    asked = {
        name: pool.submit(remotes[name].check)
        for name, state in states.items()
        if state is not None and _is_in_doubt(state, now)
    }
    wait(asked.values(), timeout=ASKING_S)
    for name, future in asked.items():
        if not future.done():
            states[name] = None if not future.cancel() else states[name]
        elif isinstance(future.exception(), RepomanError):
            states[name] = remotes[name].state
        else:
            states[name] = future.result()
    return states


def _is_in_doubt(state: RemoteState, now: float) -> bool:
    if state.condition == Condition.BLOCKED:
        return False
    return state.condition != Condition.AVAILABLE or now - state.at > FRESH_S


def _judged(name: str, state: RemoteState | None) -> Iterator[Finding]:
    check = Fix("Ask it again:", f"repoman repo check {name}")
    if state is None:
        text = f"It did not answer within {ASKING_S:.0f} seconds. {SERVED}"
        yield warn(f"The upstream of {name} is slow", text, check, repository=name)
    elif state.condition == Condition.LOGIN_REFUSED:
        fix = Fix(
            "Set a user and a password or token that it accepts (the command reads it):",
            f"repoman repo set {name} --set http_client.username=NAME --stdin http_client.password",
        )
        yield bad(
            f"The upstream of {name} refuses the login",
            f"{state.reason} Only what is cached is served.",
            fix,
            check,
            repository=name,
        )
    elif state.condition in (Condition.AUTO_BLOCKED, Condition.UNAVAILABLE):
        yield warn(
            f"The upstream of {name} fails",
            f"{state.reason} {SERVED}",
            Fix(
                "If the upstream itself is down, wait. If only this server fails, check the "
                "address of the remote, the HTTP proxy, and the firewall."
            ),
            check,
            repository=name,
        )


def task_check(tasks: Tasks) -> DoctorCheck:
    """Return the check whether tasks fail, and whether space is freed."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        states = tasks.states()
        for each in states:
            if each.last is not None and each.last.state is RunState.FAILED:
                yield _failed_task(each)
        if not any(each.task.type == COMPACT and each.task.is_enabled for each in states):
            yield warn(
                "Space of deleted content is not freed",
                "No task that compacts blob stores is enabled.",
                Fix("Create one:", f"repoman task create {COMPACT} --schedule 'daily 02:00'"),
            )
        yield good(f"{pluralize(len(states), 'task')}")

    return DoctorCheck("tasks", "Tasks", run)


def _failed_task(state: TaskState) -> Finding:
    name, last = state.task.name, state.last
    result = "" if last is None else last.result
    return warn(
        f"The task {name} failed",
        result or "Its last run failed.",
        Fix("Read the log of the run:", f"repoman task show {state.task.id}"),
        Fix("Then run it again:", f"repoman task run {state.task.id}"),
    )


def verification_check(tasks: Tasks) -> DoctorCheck:
    """Return the check whether the blobs were read, and found to be whole."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        states = [each for each in tasks.states() if each.task.type == VERIFY]
        runs = [each.last for each in states if each.last is not None]
        if runs:
            yield _told_run(max(runs, key=lambda each: each.ended_at or 0.0))
            return
        fixes = []
        if states:
            command = f"repoman task set {states[0].task.id} --enabled"
            fixes = [Fix("Enable the task that does, which runs once a week:", command)]
        yield unchecked("Nobody has read all blobs to find damaged ones.", *fixes)

    return DoctorCheck("blobs", "Blobs", run)


def _told_run(run: Run) -> Finding:
    when = f"{datetime.fromtimestamp(run.ended_at or 0.0, UTC):%Y-%m-%d %H:%M} UTC"
    if run.state is RunState.OK:
        return good(f"read on {when}: {run.result}".rstrip("."))
    if run.state is not RunState.FAILED:
        return unchecked(f"The last verification ended early, on {when}.")
    return bad(
        "Blobs are damaged or missing",
        f"{when}: {run.result}",
        Fix("The log of the run lists them:", f"repoman task show {run.task_id}"),
        Fix("Restore them from a backup, or push them again."),
    )


def backup_check() -> DoctorCheck:
    """Return the check of backups, which only their makers can make."""

    def run(_repositories: list[Repository]) -> Iterator[Finding]:
        yield unchecked(
            "The server does not know of its backups. How to make one is in docs/operations.md."
        )

    return DoctorCheck("backup", "Backup", run)
