"""The tasks of the Docker format."""

from collections.abc import Iterable

from pydantic import Field

from repoman.plugin import (
    CollectionOptions,
    Collector,
    ConfirmedClock,
    FirstTask,
    Frozen,
    NotFound,
    RepomanError,
    Repository,
    Section,
    TaskContext,
    TaskType,
    Unavailable,
    collect,
)
from repoman_docker.service import DockerRepository

MINUTE_S = 60.0
HOUR_S = 3600.0
ALL = "*"  # In place of the name of a repository.
COLLECTION_TASK = "repository.docker.gc"
AGE_MAX_HOURS = 87_600  # Ten years.


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


class CollectionSettings(Section):
    """What is collected, and for how long."""

    repository: str = Field(
        ALL,
        title="Repository",
        description="Name of a hosted Docker repository; * means all.",
    )
    age: int = Field(
        24,
        ge=1,
        le=AGE_MAX_HOURS,
        title="Grace",
        description="Hours for which content stays that nothing needs, since it was last pushed, "
        "mounted, or found there by a client that would have pushed it.",
        json_schema_extra={"unit": "hours"},
    )
    minutes: int = Field(
        20,
        ge=1,
        le=1440,
        title="Time of a run",
        description="Minutes after which a run ends; the next one goes on from there.",
        json_schema_extra={"unit": "minutes"},
    )


def collectors_of(
    repositories: Iterable[Repository], name: str = ALL
) -> list[tuple[str, Collector]]:
    """Return the collectors of hosted Docker repositories, with their names (NotFound: none)."""
    found = [
        (each.name, each.capabilities.collector)
        for each in repositories
        if each.capabilities.collector is not None
        and isinstance(each.service, DockerRepository)
        and name in (ALL, each.name)
    ]
    if name != ALL and not found:
        raise NotFound(f"There is no hosted Docker repository {name}.")
    return found


def collection_task() -> TaskType:
    """Return the type of the task that removes what nothing can reach any more."""
    clock = ConfirmedClock()

    def run(context: TaskContext) -> str:
        settings = context.settings(CollectionSettings)
        options = CollectionOptions(clock(), settings.age * HOUR_S)
        collectors = collectors_of(context.list_repositories(), settings.repository)
        return collect(collectors, options, context, settings.minutes * MINUTE_S).text

    return TaskType(
        COLLECTION_TASK,
        "Docker - Delete unused manifests and images",
        run,
        settings=CollectionSettings,
        first=FirstTask("hourly 25"),
        description="Deletes what nothing can reach any more in hosted repositories: layers that "
        "no manifest needs, and untagged images as the settings of their repository say.",
        frees=True,
    )


def incomplete_uploads_task() -> TaskType:
    """Return the type of the task that deletes uploads which nobody continues."""
    clock = ConfirmedClock()

    def run(context: TaskContext) -> str:
        idle_s = context.settings(IncompleteUploadsSettings).age * HOUR_S
        repositories = context.list_repositories()
        count, failed = 0, []
        for done, repository in enumerate(repositories):
            context.progress(done, len(repositories), repository.name)
            service = repository.service
            if not isinstance(service, DockerRepository) or service.drop_incomplete is None:
                continue
            try:
                dropped = service.drop_incomplete(clock(), idle_s, context.check_stop)
            except Frozen:
                raise
            except RepomanError as error:  # It must not keep the others waiting.
                context.log(f"{repository.name}: {error}")
                failed.append(repository.name)
                continue
            if dropped:
                context.log(f"{repository.name}: {dropped}")
            count += dropped
        uploads = "upload" if count == 1 else "uploads"
        result = f"Deleted {count} incomplete {uploads}." if count else ""
        if failed:
            told = f"{result} Not all in {', '.join(failed)}: the log of this run says why."
            raise Unavailable(told.strip())
        return result

    return TaskType(
        "repository.docker.upload-purge",
        "Docker - Delete incomplete uploads",
        run,
        settings=IncompleteUploadsSettings,
        first=FirstTask("hourly 10"),
        description="Deletes uploads that nobody continues.",
    )
