"""The values of tasks: the types that the core and plugins provide, tasks, runs, and contexts."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from repoman.repositories.model import Repository
from repoman.sections import Section, parse_section
from repoman.tasks.schedule import MANUAL, Schedule

LINE_MAX_CHARS = 500  # A longer line of a log is cut.
WAITING_LINES_MAX = 1_000  # Lines of a log that may wait to be written; older ones are dropped.

AnySection = TypeVar("AnySection", bound=Section)


class TaskStopped(Exception):
    """Somebody asked a run to stop; it ends between two steps."""


class TaskPlace(StrEnum):
    """Where a run takes place."""

    THREAD = "thread"  # of the server, for what mostly waits
    PROCESS = "process"  # of its own with the lowest priority, for what reads or computes long


class RunState(StrEnum):
    """The state of a run, and how it ended."""

    QUEUED = "queued"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    STOPPED = "stopped"  # by a user
    INTERRUPTED = "interrupted"  # by the end of its process


class NoSettings(Section):
    """The settings of a task without any."""


def always() -> bool:
    """Return True: there may always be something to do."""
    return True


@dataclass(frozen=True, slots=True)
class FirstTask:
    """The task of a type that every database gets once; it does not come back when deleted.

    Without a ``name`` it has the title of its type.
    """

    schedule: str
    is_enabled: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True, slots=True)
class TaskType:
    """A kind of task.

    Attributes:
        id: its name in the database and for administrators, such as ``blobstore.compact``.
        title: its name for people.
        run: does the work, in a thread of its own; returns the result in a sentence, or an empty
            text if there was nothing to do. A RepomanError is a failure with that message.
        settings: the settings that a task of this type takes.
        place: where it runs.
        is_visible: whether users can create tasks of this type and see them in lists.
        first: the task that exists from the beginning.
        is_needed: a cheap check, made when the schedule of a task is due, whether there is
            anything to do. If not, there is no run.
        aliases: other ids under which tasks of this type can be created, such as the one that
            Sonatype Nexus Repository 3 has for the same task.
        writes: whether it changes content or configuration; it then pauses in read-only mode.
        description: what it does, in a sentence for people.
        frees: whether it frees disk space, or has compaction free it; see
            :meth:`TaskContext.freed`.
    """

    id: str
    title: str
    run: Callable[["TaskContext"], str] = field(repr=False)
    settings: type[Section] = NoSettings
    place: TaskPlace = TaskPlace.THREAD
    is_visible: bool = True
    first: FirstTask | None = None
    is_needed: Callable[[], bool] = field(default=always, repr=False)
    aliases: tuple[str, ...] = ()
    writes: bool = True
    description: str = ""
    frees: bool = False

    def parse(self, values: Mapping[str, Any]) -> Section:
        """Return the settings made of plain values (Invalid)."""
        return parse_section(self.settings, values, "settings")


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it is stored.

    Attributes:
        next_at: when it is due, in seconds since the epoch.
        uid: its id for clients of the REST API, which no other task ever has.
        kept: what such a client set and the server makes no use of.
    """

    id: int
    type: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    schedule: Schedule = MANUAL
    is_enabled: bool = True
    next_at: float | None = None
    uid: str = ""
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a task; times in seconds since the epoch.

    Attributes:
        done: the number of steps that are done.
        total: the number of all steps, if it is known.
        message: what it does at the moment.
        owner: the process that runs it.
        lease_until: until when the owner is considered alive.
        attempt: how many runs in a row were interrupted before this one.
        result: the result in a sentence.
        freed_bytes: what nothing needs any more because of it.
    """

    id: int
    task_id: int
    type: str
    state: RunState
    done: int = 0
    total: int | None = None
    message: str = ""
    owner: str = ""
    lease_until: float | None = None
    is_stop_requested: bool = False
    attempt: int = 0
    queued_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    result: str = ""
    freed_bytes: int = 0

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state not in (RunState.QUEUED, RunState.RUNNING)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log of a run; numbers begin at 1."""

    number: int
    at: float
    text: str


class TaskContext:
    """What the ``run`` of a task type works with; used by one thread, read by others.

    Attributes:
        name: of the task.
        flush_pulls: writes down what clients pulled up to now (RepomanError: it cannot), before
            something is judged by its last pull. It is quick if nothing was pulled.
    """

    def __init__(
        self,
        name: str,
        settings: Section,
        list_repositories: Callable[[], list[Repository]] = list,
        clock: Callable[[], float] = lambda: 0.0,
        flush_pulls: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = name
        self.flush_pulls = flush_pulls
        self.list_repositories = list_repositories
        self._settings = settings
        self._clock = clock
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._lines: deque[tuple[float, str]] = deque(maxlen=WAITING_LINES_MAX)
        self._progress: tuple[int, int | None, str] = (0, None, "")
        self._freed = 0

    def settings(self, kind: type[AnySection]) -> AnySection:
        """Return the settings of the task as the model that its type declares."""
        if not isinstance(self._settings, kind):
            raise TypeError(f"The settings of {self.name} are not a {kind.__name__}.")
        return self._settings

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Report the progress; cheap, because it is written to the database at most once a second.

        Raises:
            TaskStopped: somebody asked the run to stop.
        """
        self._progress = (done, total, message[:LINE_MAX_CHARS])
        self.check_stop()

    def log(self, text: str) -> None:
        """Add a line to the log of the run; it is written to the database within about a second."""
        with self._lock:
            self._lines.append((self._clock(), text[:LINE_MAX_CHARS]))

    def freed(self, size: int) -> None:
        """Note so many bytes that nothing needs any more because of the run; they add up.

        Where the task itself does not remove them from the disk, compaction does so later.
        """
        with self._lock:
            self._freed += size

    def check_stop(self) -> None:
        """Raise if the run is to stop; call it between steps of a second or less.

        Raises:
            TaskStopped: somebody asked the run to stop.
        """
        if self._stopping.is_set():
            raise TaskStopped

    def pause(self, seconds: float) -> None:
        """Wait, so that others can work; errors as of :meth:`check_stop`."""
        self._stopping.wait(seconds)
        self.check_stop()

    # For the runner -----------------------------------------------------------------------------

    def configure(self, settings: Section) -> None:
        """Set the settings of the task."""
        self._settings = settings

    def stop(self) -> None:
        """Ask the run to stop at its next check."""
        self._stopping.set()

    @property
    def position(self) -> tuple[int, int | None, str]:
        """The last progress: steps done, all steps, message."""
        return self._progress

    def take_lines(self) -> list[tuple[float, str]]:
        """Return the lines that are not written yet, with their times; they count as written."""
        with self._lock:
            lines = list(self._lines)
            self._lines.clear()
        return lines

    def take_freed(self) -> int:
        """Return the freed bytes that are not written yet; they count as written."""
        with self._lock:
            freed, self._freed = self._freed, 0
        return freed

    def put_back(self, lines: list[tuple[float, str]], freed: int) -> None:
        """Put lines and freed bytes back that could not be written."""
        with self._lock:
            self._lines.extendleft(reversed(lines))
            self._freed += freed
