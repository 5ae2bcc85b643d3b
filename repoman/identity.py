"""Which blob store belongs to which database: neither may be started with another one.

Whatever a database does not name is removed from its blob stores. So a start with an empty or a
foreign database, or with a disk that is not mounted, would end in the loss of everything. A store
and the database carry the same random identity, given to them when they first meet; what does not
fit refuses the start, before anything is made or removed.
"""

import logging
import secrets
from contextlib import suppress

from repoman import blob_records as records
from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.store import BlobStore
from repoman.db.database import Database
from repoman.errors import Conflict, Unavailable

SAMPLE = 20  # Blobs that are looked for to see whether a store has what a database names.
REMEDY = (
    "No blob was changed. Restore the database and the blob store that belong together. To use "
    "these two together from now on, start once with --adopt; blobs that the database does not "
    "reference are then removed."
)

_log = logging.getLogger(__name__)


def check_new_database(stores: BlobStoreManager) -> None:
    """Refuse to make a database beside blobs, which it could not know.

    Raises:
        Conflict: a blob store has blobs.
        Unavailable: a blob store cannot be used.
    """
    for name in stores.names():
        store = stores.get(name)
        if not store.is_empty():
            raise Conflict(
                f"There is no database yet, but the blob store {name} ({store}) contains blobs. Is "
                f"repoman.db (with repoman.db-wal) missing? {REMEDY}"
            )


def pair_stores(database: Database, stores: BlobStoreManager, *, adopt: bool) -> None:
    """Create the stores that are new, and refuse those that belong to another database.

    ``adopt`` takes whatever is there.

    Raises:
        Conflict: a store and the database do not belong together.
        StorageFull, Unavailable: a store cannot be used.
    """
    for name in stores.names():
        store = stores.get(name)
        known = records.find_identity(name)
        if known is None or known != store.identity():
            with database.transaction():
                _pair(name, store, adopt=adopt)
        else:
            store.create(known)


def belongs(store: BlobStore, name: str) -> bool:
    """Return whether a store is still the one that belongs to the database (Unavailable)."""
    return store.identity() == records.find_identity(name)


def check_belongs(store: BlobStore, name: str) -> None:
    """Return if a store is still the one that belongs to the database (Unavailable)."""
    if not belongs(store, name):
        raise Unavailable(
            f"The blob store {name} was replaced by another one. Is its disk mounted?"
        )


def _pair(name: str, store: BlobStore, *, adopt: bool) -> None:
    known, found = records.find_identity(name), store.identity()
    problem = _find_problem(name, store, known, found)
    if problem and not adopt:
        raise Conflict(f"{problem} {REMEDY}")
    identity = known or found or secrets.token_hex(16)
    if problem:
        _log.warning("Adopted the blob store %s. %s", name, problem)
        identity = secrets.token_hex(16)  # the database that it belonged to is refused from now on
    store.create(identity)
    records.save_identity(name, identity)


def _find_problem(name: str, store: BlobStore, known: str | None, found: str | None) -> str:
    """Return a sentence on why a store does not belong to the database; empty if it may."""
    if found == "":
        return f"The file with the identity of the blob store {name} ({store}) is damaged."
    if known is not None and found is not None and known != found:
        return f"The blob store {name} ({store}) belongs to another database."
    digests = records.list_newest(name, SAMPLE)
    if digests:
        if any(_has(store, digest) for digest in digests):
            return ""
        return (
            f"The blob store {name} ({store}) contains none of the blobs that the database "
            "references. Is its disk mounted?"
        )
    if known is not None:
        return f"The blob store {name} ({store}) is missing. Is its disk mounted?"
    if not store.is_empty():
        return (
            f"The blob store {name} ({store}) contains blobs, but the database references none of "
            "them: the database is new or belongs to another blob store."
        )
    return ""


def _has(store: BlobStore, digest: str) -> bool:
    with suppress(Unavailable):  # its directories are not there
        return store.stat(digest) is not None
    return False
