"""What tests of tasks share: times, and the runs of a task."""

from repoman.tasks import task_records as records
from repoman.tasks.schedule import parse_schedule
from tests.clock import wait_until

HOUR = 3600.0
DAILY = parse_schedule("daily 03:00")
# A midnight, UTC.
MIDNIGHT = 1_790_035_200.0


def last_run(task):
    return records.list_runs(task.id, 1)[0]


def end_of(task):
    """The last run of a task, once it has ended."""
    return wait_until(lambda: last_run(task).is_over and last_run(task), what="the end of the run")
