"""The rows of blobs and of the stores that keep them; values in, values out."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from repoman.db.models import (
    AssetRecord,
    BlobRecord,
    BlobStoreRecord,
    CondemnedRecord,
    RepositoryRecord,
    UploadRecord,
)
from repoman.db.usage_models import BlobStoreUsageRecord


@dataclass(frozen=True, slots=True)
class StoreRow:
    """A blob store as the database knows it.

    Attributes:
        settings: of one that was created while the server ran; None: it is in the settings file.
        quota: the kind and the limit of its soft quota.
        hard_quota: in bytes; None: it has none.
        is_deleted: whether it is a tombstone.
    """

    name: str
    settings: dict[str, Any] | None = None
    quota: dict[str, Any] | None = None
    hard_quota: int | None = None
    is_deleted: bool = False


def list_stores() -> list[StoreRow]:
    """Return all blob stores by name, also those that the settings file does not have any more."""
    query = BlobStoreRecord.select().order_by(BlobStoreRecord.name)
    return [_store(each) for each in query]


def find_store(name: str) -> StoreRow | None:
    """Return a blob store, or None."""
    record = BlobStoreRecord.get_or_none(BlobStoreRecord.name == name)
    return None if record is None else _store(record)


def insert_store(row: StoreRow, identity: str) -> None:
    """Store a new blob store."""
    BlobStoreRecord.insert(
        name=row.name,
        identity=identity,
        settings=row.settings,
        quota=row.quota,
        hard_quota=row.hard_quota,
    ).execute()


def update_store(row: StoreRow, deleted_at: float | None = None) -> None:
    """Set what can change of a blob store; a tombstone has the time of its deletion."""
    BlobStoreRecord.update(quota=row.quota, hard_quota=row.hard_quota, deleted_at=deleted_at).where(
        BlobStoreRecord.name == row.name
    ).execute()


def delete_store(name: str) -> None:
    """Remove the row of a blob store that nothing is in, with its sums."""
    BlobStoreRecord.delete().where(BlobStoreRecord.name == name).execute()
    BlobStoreUsageRecord.delete().where(BlobStoreUsageRecord.store == name).execute()


def is_store_empty(name: str) -> bool:
    """Return whether there is no row of a blob or an upload in a store."""
    return not any(
        model.select().where(model.store == name).limit(1).exists()
        for model in (BlobRecord, CondemnedRecord, UploadRecord)
    )


def _store(record: Any) -> StoreRow:
    is_deleted = record.deleted_at is not None
    return StoreRow(record.name, record.settings, record.quota, record.hard_quota, is_deleted)


def find_identity(store: str) -> str | None:
    """Return the identity of the store that belongs to this database; None: none was noted."""
    record = BlobStoreRecord.get_or_none(BlobStoreRecord.name == store)
    return None if record is None else str(record.identity)


def save_identity(store: str, identity: str) -> None:
    """Note which store belongs to this database."""
    BlobStoreRecord.insert(name=store, identity=identity).on_conflict(
        conflict_target=[BlobStoreRecord.name], update={BlobStoreRecord.identity: identity}
    ).execute()


def list_newest(store: str, limit: int) -> list[str]:
    """Return digests of the blobs that were stored last."""
    query = BlobRecord.select(BlobRecord.digest).where(BlobRecord.store == store)
    return [digest for (digest,) in query.order_by(BlobRecord.id.desc()).limit(limit).tuples()]


def list_blobs(store: str, after: str, limit: int) -> list[str]:
    """Return digests of a store's blobs in order, those after the given one."""
    query = BlobRecord.select(BlobRecord.digest).where(
        (BlobRecord.store == store) & (BlobRecord.digest > after)
    )
    return [digest for (digest,) in query.order_by(BlobRecord.digest).limit(limit).tuples()]


def list_places(store: str, digest: str, limit: int) -> list[tuple[str, str]]:
    """Return repository and path of assets that name a blob."""
    query = (
        AssetRecord.select(RepositoryRecord.name, AssetRecord.path)
        .join(RepositoryRecord)
        .switch(AssetRecord)
        .join(BlobRecord)
        .where(
            (BlobRecord.store == store)
            & (BlobRecord.digest == digest)
            & RepositoryRecord.deleted_at.is_null()
        )
        .limit(limit)
    )
    return list(query.tuples())


def list_released(store: str, before: float, limit: int, after: float = float("-inf")) -> list[str]:
    """Return digests of blobs whose last asset was removed between two times, the oldest first."""
    query = BlobRecord.select(BlobRecord.digest).where(
        (BlobRecord.store == store)
        & (BlobRecord.released_at < before)
        & (BlobRecord.released_at > after)
    )
    return [digest for (digest,) in query.order_by(BlobRecord.released_at).limit(limit).tuples()]


def list_condemned(store: str, limit: int) -> list[str]:
    """Return digests of blobs whose bytes are being removed."""
    query = CondemnedRecord.select(CondemnedRecord.digest).where(CondemnedRecord.store == store)
    return [digest for (digest,) in query.order_by(CondemnedRecord.digest).limit(limit).tuples()]


def condemn(store: str, digests: Collection[str]) -> None:
    """Condemn blobs: nothing that names them can be stored while their bytes are removed."""
    rows = [{"store": store, "digest": digest} for digest in digests]
    if rows:
        CondemnedRecord.insert_many(rows).on_conflict_ignore().execute()


def absolve(store: str, digests: Collection[str]) -> None:
    """Stop condemning blobs: what names them can be stored again."""
    CondemnedRecord.delete().where(
        (CondemnedRecord.store == store) & CondemnedRecord.digest.in_(list(digests))
    ).execute()


def list_known(store: str, digests: Collection[str]) -> set[str]:
    """Return those of the digests that have a row."""
    query = BlobRecord.select(BlobRecord.digest).where(_among(store, digests))
    return {digest for (digest,) in query.tuples()}


def list_named(store: str, digests: Collection[str]) -> set[str]:
    """Return those of the digests that an asset names."""
    query = BlobRecord.select(BlobRecord.digest).join(AssetRecord).where(_among(store, digests))
    return {digest for (digest,) in query.distinct().tuples()}


def adopt(store: str, blobs: Iterable[tuple[str, int]], at: float) -> set[str]:
    """Make rows of blobs that no asset names, digests and sizes; return the digests of those made.

    Not of those that have a row, or whose bytes compaction is removing.
    """
    found = dict(blobs)
    condemned = CondemnedRecord.select(CondemnedRecord.digest).where(
        (CondemnedRecord.store == store) & CondemnedRecord.digest.in_(list(found))
    )
    left = found.keys() - list_known(store, found) - {each for (each,) in condemned.tuples()}
    rows = [
        {
            "store": store,
            "digest": digest,
            "size": found[digest],
            "created_at": at,
            "released_at": at,
        }
        for digest in sorted(left)
    ]
    if rows:
        BlobRecord.insert_many(rows).execute()
    return set(left)


def delete_rows(store: str, digests: Collection[str]) -> None:
    """Remove the rows of blobs that no asset names."""
    BlobRecord.delete().where(_among(store, digests)).execute()


def note_release(store: str, digests: Collection[str], at: float | None) -> None:
    """Set when the last asset that named the blobs was removed; None: an asset names them."""
    BlobRecord.update(released_at=at).where(_among(store, digests)).execute()


def _among(store: str, digests: Collection[str]) -> Any:
    return (BlobRecord.store == store) & BlobRecord.digest.in_(list(digests))
