"""The types of tasks that the core brings along, but for those on blob stores."""

from collections.abc import Callable, Iterable
from functools import partial

from pydantic import Field

from repoman.catalog.version_order import VersionOrders
from repoman.cleanup.cleaner import Cleaner
from repoman.db.database import Database
from repoman.errors import Unavailable
from repoman.printable import pluralize
from repoman.proxy.services import ProxyServices, Trimmed
from repoman.repositories.model import Repository
from repoman.repositories.purge import Purge
from repoman.sections import Section
from repoman.security.sessions import SessionService
from repoman.security.user_tokens import UserTokens
from repoman.tasks.model import FirstTask, TaskContext, TaskType

BATCH_ROWS = 500  # Old records that are removed in one transaction.
PAUSE_S = 0.02  # A pause after each transaction, for others who want to write.
DAY_S = 86_400.0
PURGE = "repository.purge-deleted"


def purge_task(purge: Purge) -> TaskType:
    """Return the type of the task that removes the content of deleted repositories."""

    def run(context: TaskContext) -> str:
        count = purge.run(context)
        told = pluralize(count, "deleted repository", "deleted repositories")
        return f"Removed the content of {told}." if count else ""

    return TaskType(
        PURGE,
        "Admin - Remove deleted repositories",
        run,
        first=FirstTask("hourly 20"),
        description="Removes the content of deleted repositories.",
        frees=True,
    )


class ExpirySettings(Section):
    """Which expired tokens are removed."""

    token_days: int = Field(
        30,
        ge=1,
        title="Keep expired tokens",
        description="Days after which an expired user token is removed.",
        json_schema_extra={"unit": "days"},
    )


def expiry_task(sessions: SessionService, tokens: UserTokens) -> TaskType:
    """Return the type of the task that removes expired sessions and user tokens."""

    def run(context: TaskContext) -> str:
        age_s = context.settings(ExpirySettings).token_days * DAY_S
        ended = _repeat(context, sessions.remove_expired)
        expired = _repeat(context, partial(tokens.remove_expired, age_s))
        if not ended + expired:
            return ""
        told = [pluralize(ended, "expired session"), pluralize(expired, "expired user token")]
        return f"Removed {' and '.join(told)}."

    return TaskType(
        "security.purge-expired",
        "Admin - Remove expired sessions and tokens",
        run,
        settings=ExpirySettings,
        first=FirstTask("hourly 50"),
        description="Removes ended browser sessions, and user tokens that expired long ago.",
    )


def trim_task(proxies: ProxyServices) -> TaskType:
    """Return the type of the task that holds the caches of proxies to their limits."""

    def run(context: TaskContext) -> str:
        trimmed = proxies.trim_caches()
        for name, each in sorted(trimmed.items()):
            context.freed(each.freed_size)
            context.log(f"{name}: removed {each}")
        return f"Removed {sum(trimmed.values(), Trimmed())}." if trimmed else ""

    return TaskType(
        "repository.trim-caches",
        "Proxy - Trim caches",
        run,
        first=FirstTask("hourly 35"),
        description="Removes from proxies what exceeds the limits of their caches.",
        frees=True,
    )


def _repeat(context: TaskContext, remove: Callable[[int], int]) -> int:
    """Remove rows in batches until none is left to remove, and return how many there were.

    ``remove`` removes at most so many in one transaction, and returns how many.
    """
    total = 0
    while count := remove(BATCH_ROWS):
        total += count
        context.progress(total)
        context.pause(PAUSE_S)
    return total


def cleanup_task(cleaner: Cleaner) -> TaskType:
    """Return the type of the task that removes what cleanup policies choose."""

    def run(context: TaskContext) -> str:
        removed = cleaner.run(context)
        if removed.failed:
            raise Unavailable(f"{removed} The log of this run has the reasons.")
        return str(removed)

    return TaskType(
        "repository.cleanup",
        "Admin - Cleanup repositories using their associated policies",
        run,
        first=FirstTask("daily 01:00", name="Cleanup service"),
        is_needed=cleaner.is_needed,
        description="Removes what the cleanup policies of repositories choose.",
        frees=True,
    )


def version_order_task(
    database: Database, repositories: Callable[[], Iterable[Repository]]
) -> TaskType:
    """Return the type of the task that sorts versions again after an upgrade."""
    orders = VersionOrders(database, repositories)
    return TaskType(
        "repository.version-order",
        "Repair - Sort versions again",
        orders.run,
        first=FirstTask("cron */30 * * * * *"),
        is_needed=orders.is_needed,
        description="Sorts stored versions as their formats sort them since an upgrade.",
    )


def pruning_task(prunes: Iterable[Callable[[int], int]]) -> TaskType:
    """Return the type of the task that removes old events and old numbers of pulls.

    Each of ``prunes`` removes at most so many rows in one transaction, and returns how many.
    """
    prunes = tuple(prunes)

    def run(context: TaskContext) -> str:
        total = sum(_repeat(context, prune) for prune in prunes)
        return f"Removed {pluralize(total, 'old record')}." if total else ""

    return TaskType(
        "events.prune",
        "Admin - Remove old events",
        run,
        first=FirstTask("hourly 50"),
        description="Removes old audit events, content events and numbers of pulls.",
    )
