"""The rows of blobs and of the assets that name them; values out."""

from repoman.db.models import AssetRecord, BlobRecord, RepositoryRecord


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
