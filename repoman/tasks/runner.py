"""The runner: starts the runs that are due, renews their leases, and takes over those of the dead.

Each process that runs tasks has one. It looks at the database once a second. A run belongs to the
process that claimed it, as long as that process renews its lease. What a run reports (progress,
lines of its log) is written together with the lease, and requests to stop are read with it.

Clocks decide when a task is due, but not whether a process is alive: a lease has ended when its row
has not changed for ``LEASE_S`` seconds, measured in this process.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from repoman.clocks import ConfirmedClock, uptime
from repoman.db.database import Database
from repoman.errors import Frozen, RepomanError
from repoman.events.origin import SYSTEM, Origin, acting_as
from repoman.repositories.model import Repository
from repoman.tasks import task_records as records
from repoman.tasks.model import (
    NoSettings,
    Run,
    RunState,
    Task,
    TaskContext,
    TaskPlace,
    TaskStopped,
    TaskType,
)
from repoman.threads import Periodic

TASKS = "tasks"  # The revision that moves when a task is changed or a run is requested.
LOOK_INTERVAL_S = 1.0  # How often the runner looks at the database.
LEASE_S = 60.0  # How long a run belongs to a process that does not renew its lease.
RENEW_INTERVAL_S = 10.0  # How often a lease is renewed if there is nothing else to write.
CLOCK_JUMP_S = 60.0  # After a larger jump of the clock, the next fire times are computed again.
CLOCK_HOLD_S = 600.0  # A clock that was set forward makes no task due for this time.
STOP_TIMEOUT_S = 5.0  # How long the end of the process waits for runs that were asked to stop.
CHILD_POLL_S = 0.2  # How often the runner checks whether a child process has ended.
END_RETRY_S = 1.0  # The pause before another attempt to record the end of a run.
# The owners of these kinds hold the blob stores, one at a time.
HOLDERS = ("server:", "command:")
ATTEMPTS_MAX = 5  # Interrupted runs in a row after which a task waits for its next fire time.
KILLED = "The process ended without finishing the task."
SERVER_STOPPED = "The server was stopped."
PAUSED = "The server went into read-only mode; the task continues after it."

_log = logging.getLogger(__name__)


class Child(Protocol):
    """A process that executes a run; the part of subprocess.Popen that the runner uses."""

    def poll(self) -> int | None:
        """Return the exit status, or None while the process runs."""

    def terminate(self) -> None:
        """End the process."""


# Starts a process that executes a run, which is claimed for it.
Launch = Callable[[Run], Child]


@dataclass(slots=True)
class _Execution:
    """A run of this process."""

    run: Run
    context: TaskContext
    written: tuple[int, int | None, str] = (0, None, "")
    renewed_at: float = 0.0
    problem: str = ""  # Why it cannot begin.
    is_pausing: bool = False  # Whether it ends because of read-only mode.


class Runner:
    """Runs tasks in this process; thread safe.

    Args:
        types: the types of tasks, by id.
        list_repositories: for the contexts of runs.
        most: the maximum number of concurrent runs.
        launch: executes a run in a process of its own; without it, all run in threads.
        notice: takes over the changes of other processes; for a process that does not serve.
        flush_pulls: writes down what clients pulled up to now; for the contexts of runs.
        kind: the kind of the process, with which its name as an owner begins.
        clock: seconds since the epoch.
        ticks: seconds that never run backwards.
    """

    def __init__(
        self,
        database: Database,
        types: Mapping[str, TaskType],
        list_repositories: Callable[[], list[Repository]] = list,
        *,
        most: int = 1,
        launch: Launch | None = None,
        notice: Callable[[], object] | None = None,
        flush_pulls: Callable[[], object] = lambda: None,
        kind: str = "server",
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = uptime,
    ) -> None:
        self._database = database
        self._types = types
        self._list_repositories = list_repositories
        self._most = most
        self._launch = launch
        self._notice = notice
        self._flush_pulls = flush_pulls
        self.owner = _new_owner(kind)
        self._clock = clock
        self._ticks = ticks
        self._due_clock = ConfirmedClock(clock, hold=CLOCK_HOLD_S, ticks=ticks)
        self._lock = threading.Lock()
        self._executions: dict[int, _Execution] = {}
        self._threads: dict[int, threading.Thread] = {}  # by run, also those that await a child
        self._tasks: list[Task] = []  # those that are due at some time
        self._revision = -1
        self._offset = clock() - ticks()
        # Of other processes; each is unchanged since that tick.
        self._leases: dict[int, tuple[Run, float]] = {}
        self._stopping = threading.Event()
        self._problems: dict[str, str] = {}  # by type: unexpected errors of the last runs
        self.thread = Periodic("tasks", self.look, LOOK_INTERVAL_S)
        self.wake = self.thread.wake

    @property
    def problem(self) -> str:
        """What is wrong with the runner or with its runs; empty if nothing is."""
        return "; ".join(filter(None, [self.thread.problem, *list(self._problems.values())]))

    # The life of the runner ---------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread; only in the process that serves, of which there is one."""
        self.recover()
        self.thread.start()

    def stop(self) -> None:
        """Ask the runs to stop; those that do not stop in time are left to the next process."""
        self._stopping.set()
        self.thread.stop()
        with self._lock:
            executions, threads = list(self._executions.values()), list(self._threads.values())
        for execution in executions:
            execution.context.stop()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            executions = list(self._executions.values())
        for execution in executions:
            self._try_end(execution, RunState.INTERRUPTED, SERVER_STOPPED)

    def look(self) -> None:
        """Renew leases, start what is due, and take over the runs of dead processes."""
        self._renew_leases()
        self._follow_changes()
        self._queue_due()
        open_runs = records.list_open_runs()
        self._take_over([run for run in open_runs if run.state is RunState.RUNNING])
        self._start_queued([run for run in open_runs if run.state is RunState.QUEUED])

    # What is due --------------------------------------------------------------------------------

    def _follow_changes(self) -> None:
        """Read the tasks again if any of them has changed or the clock was set."""
        offset = self._clock() - self._ticks()
        revision = self._database.revision(TASKS)
        if revision == self._revision and abs(offset - self._offset) < CLOCK_JUMP_S:
            return
        self._tasks = [self._corrected(task) for task in records.list_tasks() if task.is_enabled]
        self._revision, self._offset = revision, offset

    def _corrected(self, task: Task) -> Task:
        """Return the task, due no later than its schedule says: the clock may have been ahead."""
        following = task.schedule.next_after(self._due_clock())
        if following is None or (task.next_at is not None and task.next_at <= following):
            return task
        with self._database.transaction():
            records.set_due(task.id, following)
        return replace(task, next_at=following)

    def _queue_due(self) -> None:
        now = self._due_clock()
        for number, task in enumerate(self._tasks):
            if task.next_at is None or task.next_at > now or task.type not in self._types:
                continue
            if self._is_paused(task.type):
                continue
            following = task.schedule.next_after(now)
            # A recurring task without anything to do leaves no trace in the database.
            if following is None or _is_needed(self._types[task.type]):
                with self._database.transaction():
                    # Only one of several processes succeeds; what was missed runs once.
                    if records.move_due(task.id, now, following):
                        records.queue_run(task, self._clock())
            self._tasks[number] = replace(task, next_at=following)

    # Runs ---------------------------------------------------------------------------------------

    def _start_queued(self, runs: list[Run]) -> None:
        for run in runs:
            if self._stopping.is_set() or len(self._threads) >= self._most:
                return
            type_ = self._types.get(run.type)
            if type_ is not None and not self._is_paused(run.type):
                is_child = type_.place == TaskPlace.PROCESS and self._launch is not None
                self._start_run(run, self._await_child if is_child else self._execute_claimed)

    def _is_paused(self, type_id: str) -> bool:
        """Return whether read-only mode keeps tasks of a type from running."""
        return self._database.read_only.state is not None and self._types[type_id].writes

    def _start_run(self, run: Run, target: Callable[[Run], object]) -> None:
        owner = _new_owner("process") if target == self._await_child else self.owner
        claimed = self._claim(run, owner)
        if claimed is None:
            return

        def work() -> None:
            try:
                target(claimed)
            finally:
                self._threads.pop(run.id, None)

        thread = threading.Thread(target=work, name=f"task {run.type}", daemon=True)
        self._threads[run.id] = thread
        thread.start()

    def _claim(self, run: Run, owner: str) -> Run | None:
        """Claim a queued run for an owner; return None if it cannot begin now."""
        now = self._clock()
        with self._database.transaction():
            if not records.claim_run(run, owner, now, now + LEASE_S):
                return None
        return replace(run, owner=owner, state=RunState.RUNNING)

    def _await_child(self, run: Run) -> None:
        """Execute a run in a process of its own, and return when the process has ended."""
        try:
            child = self._launch(run) if self._launch is not None else None
        except OSError as error:
            self._end_child(run, f"No process could be started for it: {error.strerror}.")
            return
        while child is not None and child.poll() is None:
            if self._stopping.wait(CHILD_POLL_S):
                child.terminate()
                time.sleep(CHILD_POLL_S)
        status = None if child is None else child.poll()
        self._end_child(run, f"Its process ended with the status {status}; see the server log.")

    def _end_child(self, run: Run, problem: str) -> None:
        """Record the end of the run of a child process, unless the child did so itself."""
        state, result = RunState.FAILED, problem
        if self._stopping.is_set():
            state, result = RunState.INTERRUPTED, SERVER_STOPPED
        context = TaskContext(run.type, NoSettings(), clock=self._clock)
        execution = _Execution(run, context)
        while not self._try_end(execution, state, result):
            time.sleep(END_RETRY_S)

    def _execute_claimed(self, run: Run) -> RunState:
        """Execute a run that this process has claimed, in the calling thread."""
        task = records.find_task(run.task_id)
        if task is None:  # deleted since, and the run with it
            return RunState.STOPPED
        context = TaskContext(
            task.name, NoSettings(), self._list_repositories, self._clock, self._flush_pulls
        )
        execution = _Execution(run, context, renewed_at=self._ticks())
        try:
            values = self._database.keyring.unseal(task.settings)
            context.configure(self._types[task.type].parse(values))
        except RepomanError as error:
            execution.problem = str(error)
        with self._lock:
            self._executions[run.id] = execution
        if self._stopping.is_set():  # stop() may have missed it
            context.stop()
        return self._execute(execution)

    def execute(self, run: Run) -> RunState | None:
        """Execute a queued run in the calling thread; return how it ended.

        None: it cannot begin now, because another run of its type has not ended.
        """
        claimed = self._claim(run, self.owner)
        return None if claimed is None else self.adopt(claimed)

    def adopt(self, run: Run) -> RunState:
        """Execute a run in the calling thread that the server claimed for this process."""
        self.owner = run.owner
        watching = Periodic("task", self._watch, LOOK_INTERVAL_S)
        watching.start()
        try:
            return self._execute_claimed(run)
        finally:
            watching.stop()

    def _execute(self, execution: _Execution) -> RunState:
        state, result = self._work(execution)
        if state is RunState.STOPPED and self._stopping.is_set():
            state, result = RunState.INTERRUPTED, SERVER_STOPPED
        elif state is RunState.STOPPED and execution.is_pausing:
            state, result = RunState.INTERRUPTED, PAUSED
        while not self._try_end(execution, state, result):
            time.sleep(END_RETRY_S)
        return state

    def _work(self, execution: _Execution) -> tuple[RunState, str]:
        """Run the function of the task type; return how it ended, and the result."""
        if execution.problem:
            return RunState.FAILED, execution.problem
        type_ = self._types[execution.run.type]
        name = execution.context.name
        try:
            with acting_as(Origin(SYSTEM.actor, source=f"task {name}")):
                result = type_.run(execution.context)
        except (TaskStopped, KeyboardInterrupt):
            return RunState.STOPPED, "The task was stopped."
        except Frozen:
            execution.is_pausing = True
            return RunState.STOPPED, PAUSED
        except RepomanError as error:
            _log.warning("The task %r failed: %s", name, error)
            return RunState.FAILED, str(error)
        except BaseException as error:  # noqa: BLE001 - of a plugin; it must not end the thread
            _log.error("The task %r failed", name, exc_info=error)
            self._problems[type_.id] = f"The task {name!r} failed: {type(error).__name__}."
            return RunState.FAILED, "An unexpected error; see the server log."
        self._problems.pop(type_.id, None)
        return RunState.OK, result

    def _try_end(self, execution: _Execution, state: RunState, result: str) -> bool:
        try:
            self._end(execution, state, result)
        except RepomanError as error:  # the database is busy, or its disk is full
            _log.warning("The end of the task %r is not recorded yet: %s", execution.run.id, error)
            return False
        return True

    def _end(self, execution: _Execution, state: RunState, result: str) -> None:
        run, context = execution.run, execution.context
        lines, freed = context.take_lines(), context.take_freed()
        try:
            with self._database.transaction():
                if freed:
                    records.add_freed(run, freed, self._clock())
                self._record_end(execution, lines, state, result)
        except RepomanError:
            context.put_back(lines, freed)
            raise
        with self._lock:
            self._executions.pop(run.id, None)
        for stale in records.list_stale_runs(run.task_id):
            with self._database.transaction():
                records.delete_run(stale)

    def _record_end(
        self, execution: _Execution, lines: list[tuple[float, str]], state: RunState, result: str
    ) -> None:
        run, now = execution.run, self._clock()
        if execution.context.position != execution.written:
            records.renew_run(run.id, run.owner, execution.context.position, now)
        if not records.end_run(run.id, run.owner, state, result, now):
            return
        records.append_lines(run.id, lines)
        if state is RunState.OK and not result:
            records.delete_idle_before(run)
        if state is RunState.INTERRUPTED:
            self._queue_again(run, run.attempt)

    # Leases -------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Do beside a run what the server does beside all of its runs."""
        self._renew_leases()
        if self._notice is not None:
            self._notice()

    def _renew_leases(self) -> None:
        with self._lock:
            executions = list(self._executions.values())
        states = records.states_of(each.run.id for each in executions) if executions else {}
        for each in executions:
            is_running, is_stop_requested = states.get(each.run.id, (False, True))
            if is_stop_requested or not is_running:
                each.context.stop()
            elif self._is_paused(each.run.type):
                each.is_pausing = True
                each.context.stop()
            self._renew(each)

    def _renew(self, execution: _Execution) -> None:
        """Write the progress and the new lines of a run, and renew its lease."""
        context, position = execution.context, execution.context.position
        lines, freed = context.take_lines(), context.take_freed()
        is_due = self._ticks() - execution.renewed_at >= RENEW_INTERVAL_S
        if not (lines or freed or is_due or position != execution.written):
            return
        until = self._clock() + LEASE_S
        try:
            with self._database.transaction(touches=(), is_brief=True):
                if records.renew_run(execution.run.id, execution.run.owner, position, until):
                    records.append_lines(execution.run.id, lines)
                else:
                    context.stop()  # another process has taken it over
                if freed:
                    records.add_freed(execution.run, freed, self._clock())
        except RepomanError:  # the database is busy: the next look tries again
            context.put_back(lines, freed)
            if self._ticks() - execution.renewed_at >= LEASE_S:
                context.stop()
            return
        execution.written, execution.renewed_at = position, self._ticks()

    def _take_over(self, running: list[Run]) -> None:
        """Interrupt the runs of processes that have died, and queue them again."""
        leases = {}
        for run in running:
            if run.id in self._executions:
                continue
            lease, since = self._leases.get(run.id, (run, self._ticks()))
            if lease != run:
                lease, since = run, self._ticks()
            leases[run.id] = (lease, since)
            if self._ticks() - since >= LEASE_S:
                self._interrupt(run)
        self._leases = leases

    def recover(self) -> None:
        """Interrupt the runs of earlier processes; only for the process that holds the blob stores.

        An earlier holder has ended: otherwise it would still hold them.
        """
        for run in records.list_open_runs():
            if run.owner.startswith(HOLDERS) and run.state is RunState.RUNNING:
                self._interrupt(run)

    def _interrupt(self, run: Run) -> None:
        with self._database.transaction():
            now = self._clock()
            if records.end_run(run.id, run.owner, RunState.INTERRUPTED, KILLED, now):
                self._queue_again(run, run.attempt + 1)
                _log.warning("A run of the task %s was interrupted: %s", run.type, KILLED)

    def _queue_again(self, run: Run, attempt: int) -> None:
        task = records.find_task(run.task_id)
        if task is not None and task.is_enabled and attempt < ATTEMPTS_MAX:
            records.queue_run(task, self._clock(), attempt)


def _is_needed(type_: TaskType) -> bool:
    """Return whether there may be something to do: also if the check of a plugin fails."""
    try:
        return type_.is_needed()
    except Exception:  # noqa: BLE001 - of a plugin; the other tasks are due nevertheless
        _log.exception("Cannot check whether tasks of the type %s are needed", type_.id)
        return True


def _new_owner(kind: str) -> str:
    return f"{kind}:{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
