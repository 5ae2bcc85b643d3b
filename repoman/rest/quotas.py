"""Quotas over REST: what is used of them, and the hard quotas of blob stores.

Those of repositories are among their settings, the soft quotas of blob stores in the endpoints that
Sonatype Nexus Repository 3 has.
"""

from pydantic import Field

from repoman.rest.blob_stores import INT64_MAX, READ, UPDATE
from repoman.rest.endpoints import API_ROOT, Area, Call, RepositoryContent
from repoman.rest.resources import Resource
from repoman.rest.usage import viewer_of

quotas = Area("Quotas", "How much repositories and blob stores may take, in bytes.", root=API_ROOT)


class RepositoryQuotaView(Resource):
    """The quota of a repository; null: there is no such limit."""

    repository: str
    used: int = Field(description="Bytes of all blobs of the repository, each counted once.")
    soft_limit: int | None = Field(description="Beyond it there are warnings.")
    limit: int | None = Field(description="Beyond it nothing more is stored.")
    is_full: bool = Field(description="Whether nothing more is stored.")
    message: str = Field(description="What is exceeded; empty: nothing.")


class StoreQuotaChange(Resource):
    """The hard quota of a blob store."""

    limit: int | None = Field(
        ge=0, le=INT64_MAX, description="Beyond it nothing more is stored; null: no limit."
    )


class StoreQuotaView(StoreQuotaChange):
    """The hard quota of a blob store, and what is used of it."""

    blob_store: str
    used: int = Field(description="Bytes of all blobs of the blob store.")
    is_full: bool = Field(
        description="Whether nothing more is stored, for the quota or for a full disk."
    )
    message: str = Field(description="Why nothing more is stored; empty: it is.")


@quotas.get("/repositories/{name}/quota", RepositoryContent())
def show_repository_quota(call: Call) -> RepositoryQuotaView:
    """Show the quota of a repository and what is used of it; needs `browse` on something in it."""
    # Only for those who may see what it takes.
    call.repoman.catalog.usage(call.repository.name, viewer_of(call))
    found = call.repoman.quotas.find(call.repository)
    return RepositoryQuotaView(
        repository=found.repository,
        used=found.used,
        soft_limit=found.soft_limit,
        limit=found.limit,
        is_full=bool(found.refusal),
        message=found.refusal or found.violation,
    )


@quotas.get("/blobstores/{name}/quota", READ)
def show_blob_store_quota(call: Call, name: str) -> StoreQuotaView:
    """Show the hard quota of a blob store and what is used of it."""
    state = call.repoman.stores.state(name)
    return StoreQuotaView(
        blob_store=name,
        used=state.usage.size,
        limit=state.info.hard_quota,
        is_full=bool(state.refusal),
        message=state.refusal,
    )


@quotas.put("/blobstores/{name}/quota", UPDATE, matches=show_blob_store_quota)
def limit_blob_store(call: Call, name: str, body: StoreQuotaChange) -> None:
    """Set the hard quota of a blob store."""
    call.repoman.stores.limit(name, body.limit)
