"""Blob stores over REST: those of the type file, with their soft quotas."""

from typing import Any

from pydantic import Field

from repoman.errors import Invalid
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import AnyCase, Resource
from repoman.rest.wording import worded
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
    is_anywhere = call.repoman.security.authorizer.may_administer(call.actor, "*", "*")
    with worded({}, taken="name"):
        call.repoman.stores.create(
            body.name, body.path, _quota(body.soft_quota), is_anywhere=is_anywhere
        )


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


def _add_refusals(path: str, type_: str) -> None:
    """Add the endpoints of a type that refuse every request."""

    def create(call: Call, body: dict[str, Any]) -> None:
        """Refuse the request: blob stores of the type {} are not supported."""
        raise Invalid(
            f"Blob stores of the type {type_} are not supported. Create a blob store of the type "
            "File."
        )

    def get(call: Call, name: str) -> None:
        """Refuse the request: no blob store has the type {}."""
        info = call.repoman.stores.get(name)
        raise Invalid(f"The blob store {name!r} has the type {_type_name(info)}, not {type_}.")

    def update(call: Call, name: str, body: dict[str, Any]) -> None:
        """Refuse the request: no blob store has the type {}."""
        get(call, name)

    for function in (create, get, update):
        function.__name__ += f"_{path}_blob_store"
        function.__doc__ = (function.__doc__ or "").format(type_)
    blob_stores.post(f"/v1/blobstores/{path}", CREATE)(create)
    blob_stores.get(f"/v1/blobstores/{path}/{{name}}", READ)(get)
    blob_stores.put(f"/v1/blobstores/{path}/{{name}}", UPDATE)(update)


for _path, _type in (("s3", "S3"), ("azure", "Azure"), ("google", "Google"), ("group", "Group")):
    _add_refusals(_path, _type)


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
