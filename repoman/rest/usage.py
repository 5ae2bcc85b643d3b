"""Usage over REST: how much repositories, their packages and blob stores take, from kept sums."""

from dataclasses import asdict

from pydantic import Field

from repoman.catalog.model import Order, PackageQuery, PageRequest, Usage
from repoman.catalog.visibility import ActorViewer
from repoman.errors import PageKeyInvalid
from repoman.repositories.model import Repository
from repoman.rest.endpoints import API_ROOT, SIGNED_IN, Area, Call, Permission, RepositoryContent
from repoman.rest.resources import Page, PageQuery, Resource, Timestamp
from repoman.rest.wording import wrong_token

PAGE_PACKAGES = 100  # Packages of a page, unless the request says otherwise.

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
    order: Order = Field(Order.NAME, description="Sorts by name, size, updated or downloaded.")
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


@usage.get("/usage/repositories", SIGNED_IN)
def list_repository_usage(call: Call) -> list[UsageView]:
    """List what the repositories take in which you may browse."""
    sums = call.repoman.catalog.usages(_viewer(call))
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
    return _view(repository, call.repoman.catalog.usage(repository.name, _viewer(call)))


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
        found = call.repoman.catalog.packages(asked, page, _viewer(call))
    except PageKeyInvalid as error:  # Lists of our own refuse it as any other wrong parameter.
        raise wrong_token() from error
    items = [
        PackageUsage.model_validate(
            {**asdict(each), "downloaded_at": each.downloaded_at or None}, by_name=True
        )
        for each in found.items
    ]
    return Page[PackageUsage](items=items, continuation_token=found.next)


def _viewer(call: Call) -> ActorViewer:
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
