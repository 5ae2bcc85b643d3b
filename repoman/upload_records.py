"""The rows of upload sessions; values in, values out."""

from repoman.db.models import UploadRecord

# Id, scope, actor, and when it began, in seconds since the epoch.
Row = tuple[str, str, str, float]

_COLUMNS = (UploadRecord.id, UploadRecord.scope, UploadRecord.actor, UploadRecord.started_at)


def add_upload(repository_id: int, blob_store: str, row: Row) -> None:
    """Save a new session, whose bytes will be in ``blob_store``."""
    upload_id, scope, actor, started_at = row
    UploadRecord.insert(
        id=upload_id,
        repository=repository_id,
        store=blob_store,
        scope=scope,
        actor=actor,
        started_at=started_at,
    ).execute()


def find_upload(repository_id: int, upload_id: str) -> Row | None:
    """Return a session of a repository."""
    query = UploadRecord.select(*_COLUMNS).where(
        (UploadRecord.id == upload_id) & (UploadRecord.repository == repository_id)
    )
    row: Row | None = query.tuples().first()
    return row


def list_begun(repository_id: int, before: float, after: str, limit: int) -> list[Row]:
    """Return sessions with ids after ``after``, in order, that began before a time."""
    query = UploadRecord.select(*_COLUMNS).where(
        (UploadRecord.repository == repository_id)
        & (UploadRecord.started_at < before)
        & (UploadRecord.id > after)
    )
    return list(query.order_by(UploadRecord.id).limit(limit).tuples())


def delete_upload(upload_id: str) -> None:
    """Forget a session; its bytes stay."""
    UploadRecord.delete().where(UploadRecord.id == upload_id).execute()


def open_upload_ids(blob_store: str) -> set[str]:
    """Return the ids of all sessions, of every repository, whose bytes are in a blob store."""
    query = UploadRecord.select(UploadRecord.id).where(UploadRecord.store == blob_store)
    return {upload_id for (upload_id,) in query.tuples()}
