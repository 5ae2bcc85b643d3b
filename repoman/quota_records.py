"""The kept sums that hard quotas are compared with; values in, values out, sizes in bytes."""

from repoman.db.models import database_proxy

_SIZES = (
    "SELECT (SELECT size FROM repository_usage WHERE repository_id = ?), "
    "(SELECT size FROM blob_store_usage WHERE store = ?)"
)
_OWNERS = (
    "SELECT EXISTS (SELECT 1 FROM blob_repository WHERE blob_id = blob.id AND repository_id = ?) "
    "FROM blob WHERE store = ? AND digest = ?"
)


def find_sizes(repository: int, store: str) -> tuple[int, int]:
    """Return the bytes of all blobs of a repository, each once, and of all blobs of a store."""
    found = database_proxy.execute_sql(_SIZES, (repository, store)).fetchone()
    return found[0] or 0, found[1] or 0


def find_owners(repository: int, store: str, digest: str) -> tuple[bool, bool]:
    """Return whether a repository has a blob, and whether its store has it."""
    found = database_proxy.execute_sql(_OWNERS, (repository, store, digest)).fetchone()
    return (False, False) if found is None else (bool(found[0]), True)
