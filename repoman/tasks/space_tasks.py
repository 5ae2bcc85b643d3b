"""The types of tasks that watch what takes disk space."""

import logging

from pydantic import Field

from repoman.catalog.sum_check import SumCheck
from repoman.db.database import Database
from repoman.errors import Unavailable
from repoman.printable import pluralize
from repoman.sections import Section
from repoman.tasks.model import FirstTask, TaskContext, TaskPlace, TaskType

LOGGED_MAX = 500  # Wrong sums that the log of a run names; the others are only counted.

_log = logging.getLogger(__name__)


class SumCheckSettings(Section):
    """What is done about sums that are wrong."""

    mend: bool = Field(
        True,
        title="Correct sums",
        description="Whether sums that are wrong are corrected. Otherwise the task fails.",
    )


def sum_check_task(database: Database) -> TaskType:
    """Return the type of the task that compares the kept sums of space with what is stored."""

    def run(context: TaskContext) -> str:
        is_mending, count = context.settings(SumCheckSettings).mend, 0
        for drift in SumCheck(database, is_mending=is_mending).run(context):
            count += 1
            if count <= LOGGED_MAX:
                context.log(str(drift))
                _log.warning("A kept sum was wrong. %s", drift)
        if not count:
            return "All sums are right."
        told = pluralize(count, "sum was wrong", "sums were wrong")
        if not is_mending:
            raise Unavailable(f"{told} and not corrected. The log of this run lists them.")
        return f"{told} and corrected. The log of this run lists them."

    return TaskType(
        "usage.check",
        "Admin - Check space sums",
        run,
        settings=SumCheckSettings,
        place=TaskPlace.PROCESS,
        first=FirstTask("weekly sun 02:30"),
        aliases=("blobstore.metrics.reconcile",),
        description="Compares the sums of used space with what is stored, and corrects them.",
    )
