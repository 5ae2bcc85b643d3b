"""The types of tasks that the core brings along."""

import logging
from collections.abc import Callable, Iterable
from functools import partial

from pydantic import Field

from repoman.blobs.manager import BlobStoreManager
from repoman.compaction import Compactor
from repoman.errors import Unavailable, Unsupported
from repoman.printable import pluralize
from repoman.proxy.services import ProxyServices
from repoman.repositories.model import Repository
from repoman.repositories.purge import Purge
from repoman.repositories.sections import CleanupSection
from repoman.sections import Section
from repoman.security.sessions import SessionService
from repoman.security.user_tokens import UserTokens
from repoman.stores.service import BlobStores
from repoman.tasks.model import FirstTask, TaskContext, TaskPlace, TaskType
from repoman.verification import verify_all

_log = logging.getLogger(__name__)

BATCH_ROWS = 500  # Old records that are removed in one transaction.
PAUSE_S = 0.02  # A pause after each transaction, for others who want to write.
DAY_S = 86_400.0
PURGE = "repository.purge-deleted"


def compaction_task(compactor: Compactor, stores: BlobStores) -> TaskType:
    """Return the type of the task that frees the disk space of unreferenced blobs.

    It also removes deleted blob stores that are empty then.
    """

    def run(context: TaskContext) -> str:
        blobs, removed = compactor.compact(context), stores.finish_deletions()
        told = []
        if blobs:
            told.append(pluralize(blobs, "unreferenced blob"))
        if removed:
            told.append(pluralize(removed, "deleted blob store"))
        if not told:
            return ""
        result = f"Removed {' and '.join(told)}."
        _log.info(result)
        return result

    return TaskType(
        "blobstore.compact",
        "Admin - Compact blob stores",
        run,
        first=FirstTask("cron */30 * * * * *"),
        is_needed=lambda: compactor.is_needed() or stores.has_finished_deletions(),
        description="Frees the disk space of deleted content.",
    )


def sweep_task(compactor: Compactor) -> TaskType:
    """Return the type of the task that frees blobs without a row in the database."""

    def run(context: TaskContext) -> str:
        count = compactor.sweep_next(context)
        return f"Removed {pluralize(count, 'blob')} without a row in the database." if count else ""

    return TaskType(
        "blobstore.sweep",
        "Admin - Remove unknown blobs",
        run,
        first=FirstTask("hourly 40"),
        description="Removes files that the database does not know, as a crash may leave them.",
    )


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

    def run(_context: TaskContext) -> str:
        count = proxies.trim_caches()
        return f"Removed {pluralize(count, 'file')} from caches." if count else ""

    return TaskType(
        "repository.trim-caches",
        "Proxy - Trim caches",
        run,
        first=FirstTask("hourly 35"),
        description="Removes from proxies what exceeds the limits of their caches.",
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


def cleanup_task(list_repositories: Callable[[], list[Repository]]) -> TaskType:
    """Return the type of the task that applies cleanup policies to repositories.

    Policies are stored, but this version does not delete by them: where a repository has one, the
    run fails and says so, so that nobody relies on it.
    """

    def names() -> list[str]:
        return [
            each.name
            for each in list_repositories()
            if "cleanup" in each.config.sections
            and each.config.section("cleanup", CleanupSection).policy_names
        ]

    def run(context: TaskContext) -> str:
        found = names()
        for name in found:
            context.log(f"{name}: has cleanup policies, but nothing was deleted.")
        if found:
            told = pluralize(len(found), "repository has", "repositories have")
            raise Unsupported(
                f"Nothing was deleted: {told} cleanup policies, which are not applied yet."
            )
        return ""

    return TaskType(
        "repository.cleanup",
        "Admin - Apply cleanup policies",
        run,
        first=FirstTask("daily 01:00", name="Cleanup service"),
        is_needed=lambda: bool(names()),
        description="Reports the repositories with cleanup policies, which are not applied yet.",
    )


def verification_task(stores: BlobStoreManager) -> TaskType:
    """Return the type of the task that reads all blobs and finds damaged and missing ones."""

    def run(context: TaskContext) -> str:
        bad, told = verify_all(
            stores,
            stores.names(),
            context.log,
            lambda count, name: context.progress(count, message=name),
        )
        if bad:
            raise Unavailable(f"{told} The log of this run lists them.")
        return told

    return TaskType(
        "blobstore.verify",
        "Admin - Verify blob stores",
        run,
        place=TaskPlace.PROCESS,
        first=FirstTask("weekly sun 03:30", is_enabled=False),
        writes=False,
        description="Reads every blob, and finds those that are damaged or missing.",
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
