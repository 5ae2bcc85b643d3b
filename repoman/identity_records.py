"""The rows of what a database knows of its blob stores; values in, values out."""

from repoman.db.models import BlobRecord, BlobStoreRecord


def find_identity(store: str) -> str | None:
    """Return the identity of the store that belongs to this database; None: none was noted."""
    record = BlobStoreRecord.get_or_none(BlobStoreRecord.name == store)
    return None if record is None else str(record.identity)


def save_identity(store: str, identity: str) -> None:
    """Note which store belongs to this database."""
    BlobStoreRecord.replace(name=store, identity=identity).execute()


def list_newest(store: str, limit: int) -> list[str]:
    """Return digests of the blobs that were stored last."""
    query = BlobRecord.select(BlobRecord.digest).where(BlobRecord.store == store)
    return [digest for (digest,) in query.order_by(BlobRecord.id.desc()).limit(limit).tuples()]
