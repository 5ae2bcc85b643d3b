"""Usage over REST: what takes disk space, how that grew, and what came back; from kept sums."""

from dataclasses import asdict

from pydantic import Field

from repoman.catalog.model import Order, PackageQuery, PageRequest, Usage
from repoman.catalog.visibility import ActorViewer
from repoman.errors import PageKeyInvalid
from repoman.overview.space import FreedByTask, GrowthDay, SpaceReport, StoreSpace
from repoman.repositories.model import Repository
from repoman.rest.endpoints import API_ROOT, SIGNED_IN, Area, Call, Permission, RepositoryContent
from repoman.rest.resources import Page, PageQuery, Query, Resource, Timestamp
from repoman.rest.wording import wrong_token

PAGE_PACKAGES = 100  # Packages of a page, unless the request says otherwise.
GROWTH_DAYS = 91  # Days of growth, unless the request says otherwise.
GROWTH_DAYS_MAX = 36_500  # Days of growth that may be asked for.

usage = Area(
    "Usage", "What repositories, packages and blob stores take; sizes in bytes.", root=API_ROOT
)


class UsageView(Resource):
    """What a repository takes: each blob is counted once."""

    repository: str
    format: str
    type: str
    blob_store: str
    assets: int
    components: int
    packages: int
    size: int = Field(description="Bytes of all blobs of the repository.")
    own_size: int = Field(description="Bytes of the blobs that nothing else uses.")


class PackagesQuery(PageQuery):
    """Selects packages of a repository."""

    name: str = Field("", max_length=1000, description="A name, or a pattern with * and ?.")
    order: Order = Field(
        Order.NAME, description="Sorts by name, size, own (size), updated or downloaded."
    )
    is_descending: bool = Field(
        False, alias="descending", description="Whether the order is reversed."
    )
    limit: int = Field(PAGE_PACKAGES, ge=1, description="Maximum number of packages of a page.")


class PackageUsage(Resource):
    """What a package, such as an image, takes with all its versions."""

    namespace: str
    name: str
    versions: int
    assets: int
    size: int = Field(description="Bytes of all blobs of the package, each counted once.")
    own_size: int = Field(description="Bytes of the blobs that nothing else uses.")
    updated_at: Timestamp
    downloaded_at: Timestamp | None = Field(description="null: never.")


class StoreUsageView(Resource):
    """What a blob store holds."""

    name: str
    blobs: int
    size: int = Field(description="Bytes of all blobs.")
    reclaimable: int = Field(description="Bytes that nothing uses: a compaction frees them.")


class RepositorySpaceView(Resource):
    """What a repository takes in a blob store."""

    name: str
    size: int = Field(description="Bytes of all blobs of the repository, each counted once.")
    own_size: int = Field(description="Bytes of the blobs that no other repository uses.")
    by_rule: int | None = Field(
        description="Bytes that a rule could free, such as one for untagged images; null: not "
        "known yet."
    )


class StoreSpaceView(Resource):
    """What a blob store holds, and who uses it."""

    name: str
    size: int = Field(description="Bytes of all blobs.")
    waiting: int = Field(description="Bytes that nothing uses: compaction removes them by itself.")
    uploads: int = Field(description="Unfinished uploads.")
    uploads_size: int = Field(description="Bytes of unfinished uploads.")
    free: int | None = Field(description="Bytes that still fit; null: it knows no limit.")
    repositories: list[RepositorySpaceView] = Field(description="The largest own size comes first.")


class SpaceView(Resource):
    """Where the disk space went; sizes in bytes."""

    total: int
    blob_stores: list[StoreSpaceView]
    database: int = Field(description="Bytes of the file of the database.")
    log: int = Field(description="Bytes of the write-ahead log of the database.")
    reserve: int = Field(description="Bytes kept back so that deletions work on a full disk.")
    audit: int = Field(description="Bytes of the files of the audit log.")


class FreedView(Resource):
    """What the tasks of a type freed; sizes in bytes."""

    type: str
    title: str
    day: int = Field(description="Within the last 24 hours.")
    week: int = Field(description="Within the last seven days.")
    gives_back: bool = Field(
        description="Whether they remove bytes from the disk. What others free, these remove later."
    )
    tasks: list[str] = Field(description="The names of the tasks of this type.")
    next_run: Timestamp | None = Field(description="null: none runs by itself.")


class GrowthQuery(Query):
    """Selects days."""

    days: int = Field(GROWTH_DAYS, ge=1, le=GROWTH_DAYS_MAX, description="So many last days.")


class RepositoryDay(Resource):
    """What a repository took at the beginning of a day."""

    at: Timestamp
    size: int
    own_size: int


class StoreDay(Resource):
    """What a blob store held at the beginning of a day."""

    at: Timestamp
    size: int
    reclaimable: int


@usage.get("/usage/space", Permission("blobstores", "read"))
def show_space(call: Call) -> SpaceView:
    """Show where the disk space went: blob stores, repositories, and the files of the server.

    Repositories are those that you may know of.
    """
    return space_view(call.repoman.space.report(call.actor))


@usage.get("/usage/freed", Permission("tasks", "read"))
def list_freed(call: Call) -> list[FreedView]:
    """List what tasks freed of late, and when they run next."""
    return [freed_view(each) for each in call.repoman.space.freed()]


@usage.get("/usage/blobstores/{name}/days", Permission("blobstores", "read"))
def list_store_days(call: Call, name: str, query: GrowthQuery) -> list[StoreDay]:
    """List what a blob store held at the beginning of each of the last days."""
    info = call.repoman.stores.get(name)
    days = call.repoman.space.growth_of_store(info.name, query.days)
    return [StoreDay(at=each.at, size=each.size, reclaimable=each.part) for each in days]


@usage.get("/repositories/{name}/usage/days", RepositoryContent())
def list_repository_days(call: Call, query: GrowthQuery) -> list[RepositoryDay]:
    """List what a repository took at the beginning of each of the last days."""
    call.repoman.catalog.usage(call.repository.name, viewer_of(call))
    days = call.repoman.space.growth_of_repository(call.repository.config.id, query.days)
    return repository_days(days)


@usage.get("/usage/repositories", SIGNED_IN)
def list_repository_usage(call: Call) -> list[UsageView]:
    """List what the repositories take in which you may browse."""
    sums = call.repoman.catalog.usages(viewer_of(call))
    found = (call.repoman.repositories.find(name) for name in sums)
    return [_view(each, sums[each.name]) for each in found if each is not None]


@usage.get("/usage/blobstores", Permission("blobstores", "read"))
def list_store_usage(call: Call) -> list[StoreUsageView]:
    """List what the blob stores hold."""
    sums = call.repoman.catalog.store_usages()
    return [StoreUsageView(name=name, **asdict(each)) for name, each in sorted(sums.items())]


@usage.get("/repositories/{name}/usage", RepositoryContent())
def show_usage(call: Call) -> UsageView:
    """Show what a repository takes; needs `browse` on something in it."""
    repository = call.repository
    return _view(repository, call.repoman.catalog.usage(repository.name, viewer_of(call)))


@usage.get("/repositories/{name}/packages", RepositoryContent())
def list_package_usage(call: Call, query: PackagesQuery) -> Page[PackageUsage]:
    """List the packages, such as images, of a repository with what they take.

    A page may be short even if there are more.
    """
    asked = PackageQuery(
        repositories=(call.repository.name,),
        name=query.name,
        order=query.order,
        is_descending=query.is_descending,
    )
    page = PageRequest(query.limit, query.continuation_token or "")
    try:
        found = call.repoman.catalog.packages(asked, page, viewer_of(call))
    except PageKeyInvalid as error:  # Lists of our own refuse it as any other wrong parameter.
        raise wrong_token() from error
    items = [
        PackageUsage.model_validate(
            {**asdict(each), "downloaded_at": each.downloaded_at or None}, by_name=True
        )
        for each in found.items
    ]
    return Page[PackageUsage](items=items, continuation_token=found.next)


def space_view(report: SpaceReport) -> SpaceView:
    """Return a report as a resource."""
    return SpaceView(
        total=report.total,
        blob_stores=[_store_view(each) for each in report.stores],
        database=report.database,
        log=report.log,
        reserve=report.reserve,
        audit=report.audit,
    )


def _store_view(store: StoreSpace) -> StoreSpaceView:
    return StoreSpaceView(
        name=store.state.info.name,
        size=store.state.usage.size,
        waiting=store.state.usage.reclaimable,
        uploads=store.uploads,
        uploads_size=store.uploads_size,
        free=store.state.free,
        repositories=[
            RepositorySpaceView(
                name=each.name,
                size=each.usage.size,
                own_size=each.usage.own_size,
                by_rule=each.by_rule,
            )
            for each in store.repositories
        ],
    )


def freed_view(freed: FreedByTask) -> FreedView:
    """Return what tasks of a type freed as a resource."""
    return FreedView(
        type=freed.type,
        title=freed.title,
        day=freed.day,
        week=freed.week,
        gives_back=freed.gives_back,
        tasks=[each.name for each in freed.tasks],
        next_run=freed.next_at,
    )


def repository_days(days: list[GrowthDay]) -> list[RepositoryDay]:
    """Return the growth of a repository as resources."""
    return [RepositoryDay(at=each.at, size=each.size, own_size=each.part) for each in days]


def viewer_of(call: Call) -> ActorViewer:
    """Return who asks for sums."""
    return ActorViewer(call.repoman.security.authorizer, call.repoman.repositories, call.actor)


def _view(repository: Repository, sums: Usage) -> UsageView:
    return UsageView(
        repository=repository.name,
        format=repository.config.format,
        type=repository.config.type,
        blob_store=repository.blob_store,
        assets=sums.assets,
        components=sums.components,
        packages=sums.packages,
        size=sums.size,
        own_size=sums.own_size,
    )
