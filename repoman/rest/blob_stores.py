"""Blob stores over REST: those of the type file, with their soft quotas."""

from pathlib import Path
from typing import Any, NoReturn

from pydantic import Field

from repoman.errors import Invalid
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import AnyCase, Resource
from repoman.stores.model import FILE, Quota, QuotaKind, StoreInfo, StoreState

INT64_MAX = 2**63 - 1  # The largest number that clients can read.

READ = Permission("blobstores", "read")
CREATE = Permission("blobstores", "create")
UPDATE = Permission("blobstores", "update")
DELETE = Permission("blobstores", "delete")

blob_stores = Area("Blob stores", "Where repositories keep their bytes, with soft quotas.")


class QuotaType(AnyCase):
    """What a soft quota limits: the bytes that are used, or those that are free."""

    REMAINING = "spaceRemainingQuota"
    USED = "spaceUsedQuota"


KINDS = {QuotaType.REMAINING: QuotaKind.REMAINING, QuotaType.USED: QuotaKind.USED}
TYPES = {kind: type_ for type_, kind in KINDS.items()}


class SoftQuota(Resource):
    """A limit that only causes warnings when it is exceeded."""

    type: QuotaType = Field(description="`spaceUsedQuota` or `spaceRemainingQuota`.")
    limit: int = Field(ge=0, le=INT64_MAX, description="The limit in bytes.")


class BlobStoreView(Resource):
    """A blob store with what is in it, and the space on its disk; sizes in bytes."""

    soft_quota: SoftQuota | None
    name: str
    type: str = Field(description="`File`, or the name of a type that a plugin provides.")
    unavailable: bool = Field(description="Whether it cannot be used at the moment.")
    blob_count: int
    total_size_in_bytes: int
    available_space_in_bytes: int


class FileBlobStoreView(Resource):
    """A blob store in a directory."""

    soft_quota: SoftQuota | None
    path: str


class FileBlobStoreUpdate(Resource):
    """Settings of a blob store in a directory."""

    path: str = Field(
        description="The directory. A relative path is below `blobs` in the data directory. It "
        "cannot be changed later."
    )
    soft_quota: SoftQuota | None = Field(None, description="The soft quota; null: none.")


class NewFileBlobStore(FileBlobStoreUpdate):
    """A new blob store in a directory."""

    name: str = Field(description="Its name, which no other one has in any case of letters.")


class QuotaStatus(Resource):
    """Whether the soft quota of a blob store is exceeded."""

    is_violation: bool
    message: str
    blob_store_name: str


@blob_stores.get("/v1/blobstores", READ)
def list_blob_stores(call: Call) -> list[BlobStoreView]:
    """List all blob stores, those of the settings file too."""
    return [_view(each) for each in call.repoman.stores.states()]


@blob_stores.post("/v1/blobstores/file", CREATE)
def create_file_blob_store(call: Call, body: NewFileBlobStore) -> None:
    """Create a blob store in a directory that is empty or does not exist.

    Only administrators, who have all permissions, can place it outside of the data directory.
    """
    may_administer = call.repoman.security.authorizer.may_administer
    if Path(body.path).is_absolute() and not may_administer(call.actor, "*", "*"):
        raise Invalid("path: only administrators can use an absolute path.", field="path")
    call.repoman.stores.create(body.name, body.path, _quota(body.soft_quota))


@blob_stores.get("/v1/blobstores/file/{name}", READ)
def get_file_blob_store(call: Call, name: str) -> FileBlobStoreView:
    """Show the settings of a blob store in a directory."""
    info = _get_file_store(call, name)
    return FileBlobStoreView(soft_quota=_soft_quota(info), path=info.path)


@blob_stores.put("/v1/blobstores/file/{name}", UPDATE, matches=get_file_blob_store)
def update_file_blob_store(call: Call, name: str, body: FileBlobStoreUpdate) -> None:
    """Set the soft quota of a blob store; the path must be the one that it has."""
    _get_file_store(call, name)
    call.repoman.stores.change(name, body.path, _quota(body.soft_quota))


@blob_stores.delete("/v1/blobstores/{name}", DELETE, bare=(404,))
def delete_blob_store(call: Call, name: str) -> None:
    """Delete a blob store that no repository uses, with the files in it.

    What deleted repositories have left in it is removed within minutes.
    """
    call.repoman.stores.delete(name)


@blob_stores.get("/v1/blobstores/{name}/quota-status", READ, bare=(404,))
def get_blob_store_quota_status(call: Call, name: str) -> QuotaStatus:
    """Show whether the soft quota of a blob store is exceeded."""
    state = call.repoman.stores.state(name)
    told = f"The blob store {name} is within its soft quota."
    if state.info.quota is None:
        told = f"The blob store {name} has no soft quota."
    return QuotaStatus(
        is_violation=bool(state.violation),
        message=state.violation or state.problem or told,
        blob_store_name=name,
    )


# Types that the server does not have -------------------------------------------------------------


@blob_stores.post("/v1/blobstores/s3", CREATE)
def create_s3_blob_store(call: Call, body: dict[str, Any]) -> None:
    """Refuse the request: blob stores of the type S3 cannot be created."""
    _refuse("S3")


@blob_stores.get("/v1/blobstores/s3/{name}", READ)
def get_s3_blob_store(call: Call, name: str) -> None:
    """Refuse the request: no blob store has the type S3."""
    _refuse_existing(call, name, "S3")


@blob_stores.put("/v1/blobstores/s3/{name}", UPDATE)
def update_s3_blob_store(call: Call, name: str, body: dict[str, Any]) -> None:
    """Refuse the request: no blob store has the type S3."""
    _refuse_existing(call, name, "S3")


@blob_stores.post("/v1/blobstores/group", CREATE)
def create_group_blob_store(call: Call, body: dict[str, Any]) -> None:
    """Refuse the request: groups of blob stores cannot be created."""
    _refuse("Group")


@blob_stores.get("/v1/blobstores/group/{name}", READ)
def get_group_blob_store(call: Call, name: str) -> None:
    """Refuse the request: there are no groups of blob stores."""
    _refuse_existing(call, name, "Group")


@blob_stores.put("/v1/blobstores/group/{name}", UPDATE)
def update_group_blob_store(call: Call, name: str, body: dict[str, Any]) -> None:
    """Refuse the request: there are no groups of blob stores."""
    _refuse_existing(call, name, "Group")


def _refuse(type_: str) -> NoReturn:
    raise Invalid(f"This server has no blob stores of the type {type_}. Create one of type File.")


def _refuse_existing(call: Call, name: str, type_: str) -> NoReturn:
    info = call.repoman.stores.get(name)
    raise Invalid(f"The blob store {name!r} has the type {_type_name(info)}, not {type_}.")


def _get_file_store(call: Call, name: str) -> StoreInfo:
    info = call.repoman.stores.get(name)
    if info.type != FILE:
        raise Invalid(f"The blob store {name!r} has the type {_type_name(info)}, not File.")
    return info


def _view(state: StoreState) -> BlobStoreView:
    free = INT64_MAX if state.free is None else state.free
    return BlobStoreView(
        soft_quota=_soft_quota(state.info),
        name=state.info.name,
        type=_type_name(state.info),
        unavailable=bool(state.problem),
        blob_count=state.usage.blobs,
        total_size_in_bytes=state.usage.size,
        available_space_in_bytes=0 if state.problem else free,
    )


def _type_name(info: StoreInfo) -> str:
    return info.type.capitalize()


def _soft_quota(info: StoreInfo) -> SoftQuota | None:
    quota = info.quota
    return None if quota is None else SoftQuota(type=TYPES[quota.kind], limit=quota.limit)


def _quota(given: SoftQuota | None) -> Quota | None:
    return None if given is None else Quota(KINDS[given.type], given.limit)
