"""The type of the task that moves repositories to other blob stores."""

from pydantic import Field

from repoman.sections import Section
from repoman.stores.moves import Moves
from repoman.tasks.model import FirstTask, TaskContext, TaskType

MIB = 1 << 20
MOVE = "repository.move"


class MoveSettings(Section):
    """How fast repositories are moved."""

    mib_per_second: int = Field(
        100,
        ge=1,
        le=1_000_000,
        title="Copy at most",
        description="MiB that are copied in a second, so that the disks have time for others.",
        json_schema_extra={"unit": "MiB a second"},
    )


def move_task(moves: Moves) -> TaskType:
    """Return the type of the task that copies what repositories have in other blob stores."""

    def run(context: TaskContext) -> str:
        rate = context.settings(MoveSettings).mib_per_second * MIB
        return moves.run(context, context.log, rate)

    return TaskType(
        MOVE,
        "Admin - Change repository blob store",
        run,
        settings=MoveSettings,
        first=FirstTask("cron */30 * * * * *"),
        is_needed=moves.is_needed,
        description="Moves the blobs of repositories that have got another blob store.",
    )
