"""The tasks of the Docker format."""

from pydantic import Field

from repoman.plugin import ConfirmedClock, FirstTask, Section, TaskContext, TaskType
from repoman_docker.service import DockerRepository

HOUR_S = 3600.0


class IncompleteUploadsSettings(Section):
    """Which incomplete uploads are deleted."""

    age: int = Field(
        24,
        ge=1,
        le=8760,
        title="Idle for",
        description="Hours without activity after which an upload is deleted.",
        json_schema_extra={"unit": "hours"},
    )


class UnusedBlobsSettings(Section):
    """Which blobs are deleted."""

    age: int = Field(
        24,
        ge=1,
        le=87_600,
        title="Older than",
        description="Hours after its push before which no blob is deleted.",
        json_schema_extra={"unit": "hours"},
    )


def unused_blobs_task() -> TaskType:
    """Return the type of the task that deletes the blobs which deleted manifests needed."""
    clock = ConfirmedClock()

    def run(context: TaskContext) -> str:
        before = clock() - context.settings(UnusedBlobsSettings).age * HOUR_S
        repositories = context.list_repositories()
        count = 0
        for done, repository in enumerate(repositories):
            context.progress(done, len(repositories), repository.name)
            service = repository.service
            if isinstance(service, DockerRepository) and service.delete_unused is not None:
                deleted = service.delete_unused(before, context.check_stop)
                if deleted:
                    context.log(f"{repository.name}: {deleted}")
                count += deleted
        blobs = "blob" if count == 1 else "blobs"
        return f"Deleted {count} unused {blobs}." if count else ""

    return TaskType(
        "repository.docker.gc",
        "Docker - Delete unused blobs",
        run,
        settings=UnusedBlobsSettings,
        description="Deletes the blobs of hosted repositories that no manifest needs.",
    )


def incomplete_uploads_task() -> TaskType:
    """Return the type of the task that deletes uploads which nobody continues."""
    clock = ConfirmedClock()

    def run(context: TaskContext) -> str:
        idle_s = context.settings(IncompleteUploadsSettings).age * HOUR_S
        repositories = context.list_repositories()
        count = 0
        for done, repository in enumerate(repositories):
            context.progress(done, len(repositories), repository.name)
            service = repository.service
            if isinstance(service, DockerRepository) and service.drop_incomplete is not None:
                dropped = service.drop_incomplete(clock(), idle_s, context.check_stop)
                if dropped:
                    context.log(f"{repository.name}: {dropped}")
                count += dropped
        uploads = "upload" if count == 1 else "uploads"
        return f"Deleted {count} incomplete {uploads}." if count else ""

    return TaskType(
        "repository.docker.upload-purge",
        "Docker - Delete incomplete uploads",
        run,
        settings=IncompleteUploadsSettings,
        first=FirstTask("hourly 10"),
        description="Deletes uploads that nobody continues.",
    )
