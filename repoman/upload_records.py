"""The rows of upload sessions; values in, values out.

In plain SQL: each request of a push runs some of it, and the query builder takes far longer than
the database.
"""

from typing import Any

from repoman.db.models import database_proxy

# Id, scope, actor, when it began, in seconds since the epoch, and the blob store of its bytes.
Row = tuple[str, str, str, float, str]

_INSERT = (
    'INSERT INTO "upload" (id, repository_id, store, scope, actor, started_at) '
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_FIND = (
    'SELECT id, scope, actor, started_at, store FROM "upload" WHERE id = ? AND repository_id = ?'
)
_LIST_BEGUN = (
    'SELECT id, scope, actor, started_at, store FROM "upload" '
    "WHERE repository_id = ? AND started_at < ? AND id > ? ORDER BY id LIMIT ?"
)


def add_upload(repository_id: int, row: Row) -> None:
    """Save a new session."""
    upload_id, scope, actor, started_at, store = row
    _execute(_INSERT, (upload_id, repository_id, store, scope, actor, started_at))


def find_upload(repository_id: int, upload_id: str) -> Row | None:
    """Return a session of a repository."""
    row: Row | None = _execute(_FIND, (upload_id, repository_id)).fetchone()
    return row


def list_begun(repository_id: int, before: float, after: str, limit: int) -> list[Row]:
    """Return sessions with ids after ``after``, in order, that began before a time."""
    return list(_execute(_LIST_BEGUN, (repository_id, before, after, limit)))


def delete_upload(upload_id: str, actor: str | None = None) -> bool:
    """Forget a session, only that of an actor if it is given; return whether it was there.

    Its bytes stay.
    """
    sql = 'DELETE FROM "upload" WHERE id = ? AND actor = coalesce(?, actor)'
    return bool(_execute(sql, (upload_id, actor)).rowcount)


def open_upload_ids(blob_store: str) -> set[str]:
    """Return the ids of all sessions, of every repository, whose bytes are in a blob store."""
    return {row[0] for row in _execute('SELECT id FROM "upload" WHERE store = ?', (blob_store,))}


def _execute(sql: str, values: tuple[Any, ...]) -> Any:
    return database_proxy.obj.execute_sql(sql, values)
