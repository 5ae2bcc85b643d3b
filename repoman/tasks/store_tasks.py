"""The types of tasks on blob stores."""

import logging
import time
from collections.abc import Callable, Iterable
from enum import StrEnum

from pydantic import Field

from repoman.blobs.manager import BlobStoreManager
from repoman.compaction import Compactor
from repoman.errors import Attempts, Unavailable
from repoman.printable import pluralize
from repoman.sections import Section
from repoman.stores.orphans import OrphanCount, Orphans
from repoman.stores.service import BlobStores
from repoman.tasks.model import FirstTask, TaskContext, TaskPlace, TaskType
from repoman.upload_records import open_upload_ids
from repoman.verification import Verifier

MIB = 1 << 20
DAY_S = 86_400.0
VERIFY = "blobstore.verify"
COMPACT = "blobstore.compact"
ORPHANS = "blobstore.orphans"

_log = logging.getLogger(__name__)


class StoreSettings(Section):
    """Which blob store."""

    store: str = Field(
        "",
        max_length=200,
        title="Blob store",
        description="Name of the blob store; empty: all of them.",
    )

    def names(self, stores: BlobStoreManager) -> list[str]:
        """Return the names of the stores (Invalid: there is none with that name)."""
        if not self.store:
            return stores.names()
        stores.get(self.store)
        return [self.store]


class ReadingSettings(StoreSettings):
    """Which blob store, and how fast it is read."""

    mib_per_second: int = Field(
        50,
        ge=1,
        le=1_000_000,
        title="Read at most",
        description="MiB that are read in a second, so that the disk has time for others.",
        json_schema_extra={"unit": "MiB a second"},
    )

    @property
    def rate(self) -> int:
        """Bytes a second."""
        return self.mib_per_second * MIB


def compaction_task(
    compactor: Compactor, manager: BlobStoreManager, stores: BlobStores
) -> TaskType:
    """Return the type of the task that frees the disk space of unreferenced blobs.

    It also removes deleted blob stores that are empty then.
    """

    def run(context: TaskContext) -> str:
        names = context.settings(StoreSettings).names(manager)
        attempts, blobs = Attempts(), 0
        with attempts.attempt():
            blobs = compactor.compact(context, names)
        removed = stores.finish_deletions()
        attempts.check()
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
        COMPACT,
        "Admin - Compact blob stores",
        run,
        settings=StoreSettings,
        first=FirstTask("cron */30 * * * * *"),
        is_needed=lambda: compactor.is_needed() or stores.has_finished_deletions(),
        description="Frees the disk space of deleted content.",
        frees=True,
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
        frees=True,
    )


def verification_task(verifier: Verifier, stores: BlobStoreManager) -> TaskType:
    """Return the type of the task that reads all blobs and finds damaged and missing ones."""

    def run(context: TaskContext) -> str:
        settings = context.settings(ReadingSettings)
        found = verifier.run(settings.names(stores), context.log, context, settings.rate)
        if found.bad:
            raise Unavailable(f"{found} The log of this run and the blob store list them.")
        return str(found)

    return TaskType(
        VERIFY,
        "Admin - Verify blob stores",
        run,
        settings=ReadingSettings,
        place=TaskPlace.PROCESS,
        first=FirstTask("weekly sun 03:30", is_enabled=False),
        writes=False,
        description="Reads every blob, and puts those aside that are damaged.",
    )


class OrphanAction(StrEnum):
    """What is done with orphans."""

    LIST = "list"
    ADOPT = "adopt"
    REMOVE = "remove"


class OrphanSettings(ReadingSettings):
    """Which blob store, and what is done with what is found."""

    action: OrphanAction = Field(
        OrphanAction.LIST,
        title="What to do",
        description="list: only tell; adopt: count them as reclaimable, for compaction to free "
        "unless somebody stores the same bytes; remove: remove them now.",
        json_schema_extra={
            "labels": {
                "list": "Only list them",
                "adopt": "Adopt them: they count as reclaimable",
                "remove": "Remove them",
            }
        },
    )


def orphans_task(orphans: Orphans, stores: BlobStoreManager) -> TaskType:
    """Return the type of the task that finds files without a row in the database."""

    def list_all(context: TaskContext, name: str) -> OrphanCount:
        count = OrphanCount()
        for each in orphans.find(name, context):
            context.log(f"sha256:{each.digest} in {name}: {each.size:,} bytes")
            count = count.plus([each])
        return count

    def run(context: TaskContext) -> str:
        settings = context.settings(OrphanSettings)
        work: dict[OrphanAction, Callable[[str], OrphanCount]] = {
            OrphanAction.LIST: lambda name: list_all(context, name),
            OrphanAction.ADOPT: lambda name: orphans.adopt(name, context, settings.rate),
            OrphanAction.REMOVE: lambda name: orphans.remove(name, context),
        }
        counts = [work[settings.action](name) for name in settings.names(stores)]
        files, size = sum(each.files for each in counts), sum(each.size for each in counts)
        verb = {"list": "Found", "adopt": "Adopted", "remove": "Removed"}[settings.action]
        return f"{verb} {pluralize(files, 'unknown file')} ({size:,} bytes)."

    return TaskType(
        ORPHANS,
        "Repair - Find unknown files of blob stores",
        run,
        settings=OrphanSettings,
        place=TaskPlace.PROCESS,
        description="Lists, adopts or removes files that the database does not know.",
        frees=True,
    )


class TemporarySettings(StoreSettings):
    """Which blob store, and how old its files are."""

    days: int = Field(
        31,
        ge=1,
        title="Older than",
        description="Days since their last byte came.",
        json_schema_extra={"unit": "days"},
    )


def temporary_files_task(
    stores: BlobStoreManager, clock: Callable[[], float] = time.time
) -> TaskType:
    """Return the type of the task that deletes files of uploads that nobody continues."""

    def delete(context: TaskContext, name: str, before: float) -> int:
        store, count = stores.get(name), 0
        for writer_id in _without_session(name, store.list_writers(before)):
            store.open_writer(writer_id).cancel()
            count += 1
            context.progress(count, message=name)
        return count

    def run(context: TaskContext) -> str:
        settings = context.settings(TemporarySettings)
        before = clock() - settings.days * DAY_S
        count = sum(delete(context, name, before) for name in settings.names(stores))
        return f"Deleted {pluralize(count, 'temporary file')}." if count else ""

    return TaskType(
        "blobstore.delete-temp-files",
        "Admin - Delete blob store temporary files",
        run,
        settings=TemporarySettings,
        description="Deletes files of uploads that ended without a trace, as a crash leaves them.",
    )


def _without_session(name: str, writer_ids: Iterable[str]) -> set[str]:
    """Return the writers that belong to no upload session."""
    return set(writer_ids) - open_upload_ids(name)
