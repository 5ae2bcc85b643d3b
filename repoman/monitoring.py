"""What monitoring is told of the services; they count nothing for it, but are asked."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from repoman.caching import BUDGET
from repoman.core import Repoman
from repoman.doctor.model import ORDER, PROBLEMS
from repoman.metrics import Metric, gauge, labelled
from repoman.tasks.model import Run, RunState
from repoman.tasks.service import TaskState


def collect_all(repoman: Repoman) -> list[Metric]:
    """Return all metrics of a started Repoman, those that its parts have added too."""
    return [
        *repoman.metrics.collect(),
        *_collect_state(repoman),
        *_collect_stores(repoman),
        *_collect_tasks(repoman),
        *_collect_doctor(repoman),
    ]


def _collect_state(repoman: Repoman) -> Iterator[Metric]:
    checks = {
        name: int(name not in problems)
        for health in (repoman.health, repoman.writing)
        for problems in (health.problems(),)
        for name in health.names()
    }
    text = "Whether a check succeeds (1) or not (0)."
    yield labelled("gauge", "repoman_healthy", text, "check", checks)
    frozen = int(repoman.database.read_only.state is not None)
    yield gauge("repoman_read_only", "Whether the server is in read-only mode.", frozen)
    yield gauge("repoman_cache_bytes", "Memory that the caches take.", BUDGET.used)
    yield gauge("repoman_cache_limit_bytes", "Memory that they may take.", BUDGET.size)
    yield gauge("repoman_repositories", "Repositories.", len(repoman.repositories.all()))
    sizes = repoman.database.sizes()
    text = "Size of the files of the database."
    yield labelled("gauge", "repoman_database_bytes", text, "file", sizes)


def _collect_stores(repoman: Repoman) -> Iterator[Metric]:
    states = repoman.stores.states()
    sizes = {each.info.name: each.usage.size for each in states}
    yield labelled("gauge", "repoman_blob_store_bytes", "Bytes of the blobs.", "store", sizes)
    blobs = {each.info.name: each.usage.blobs for each in states}
    yield labelled("gauge", "repoman_blob_store_blobs", "Blobs.", "store", blobs)
    free = {each.info.name: each.free for each in states if each.free is not None}
    yield labelled("gauge", "repoman_blob_store_free_bytes", "Free bytes.", "store", free)


def _collect_tasks(repoman: Repoman) -> Iterator[Metric]:
    states = repoman.tasks.states()
    failed = _by_name(states, lambda each: each.last, RunState.FAILED)
    text = "Whether the last run of the task failed."
    yield labelled("gauge", "repoman_task_failed", text, "task", failed)
    running = _by_name(states, lambda each: each.current, RunState.RUNNING)
    yield labelled("gauge", "repoman_task_running", "Whether the task runs.", "task", running)


def _by_name(
    states: Iterable[TaskState], run_of: Callable[[TaskState], Run | None], wanted: RunState
) -> dict[str, int]:
    """Return 1 for the name of each task whose run is in a state, and 0 for all others.

    Tasks may have the same name: then one of them is enough.
    """
    found: dict[str, int] = {}
    for each in states:
        run, name = run_of(each), each.task.name
        found[name] = max(found.get(name, 0), int(run is not None and run.state is wanted))
    return found


def _collect_doctor(repoman: Repoman) -> Iterator[Metric]:
    found = Counter(each.state for each in repoman.doctor.problems())
    counts = {state.value: found[state] for state in ORDER if state in PROBLEMS}
    text = "What the doctor has found and somebody has to mend."
    yield labelled("gauge", "repoman_doctor_findings", text, "state", counts)
