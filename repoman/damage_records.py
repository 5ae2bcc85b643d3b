"""The rows of damaged blobs, and of how far blob stores were verified; values in, values out.

Times are seconds since the epoch, sizes are in bytes.
"""

from collections.abc import Collection, Iterable
from dataclasses import astuple, dataclass
from typing import Any

from repoman.db.models import database_proxy
from repoman.db.sqlite import batches

_NAMED = (
    "EXISTS (SELECT 1 FROM blob b JOIN asset a ON a.blob_id = b.id "
    "WHERE b.store = d.store AND b.digest = d.digest)"
)
_SAVE_DAMAGE = (
    "INSERT INTO damaged_blob (store, digest, problem, found_at) VALUES (?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET problem = excluded.problem"
)
_LIST_DAMAGED = (
    "SELECT d.digest, d.problem, d.found_at, b.size FROM damaged_blob d "  # noqa: S608 - constants
    "JOIN blob b ON b.store = d.store AND b.digest = d.digest "
    f"WHERE d.store = ? AND d.digest > ? AND {_NAMED} ORDER BY d.digest LIMIT ?"
)
_LIST_PLACES = (
    "SELECT digest, repository, path FROM (SELECT b.digest, r.name AS repository, a.path, "
    "row_number() OVER (PARTITION BY b.id ORDER BY a.id) AS number FROM blob b "
    "JOIN asset a ON a.blob_id = b.id JOIN repository r ON r.id = a.repository_id "
    "WHERE b.store = ? AND b.digest IN ({}) AND r.deleted_at IS NULL) WHERE number <= ?"
)
_COUNT_DAMAGED = f"SELECT d.store, count(*) FROM damaged_blob d WHERE {_NAMED} GROUP BY d.store"  # noqa: S608
_SAVE_VERIFICATION = (
    "INSERT OR REPLACE INTO blob_verification (store, began_at, ended_at, after, blobs, size) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob whose bytes are damaged or missing.

    Attributes:
        found_at: when that was first seen.
    """

    digest: str
    problem: str
    found_at: float
    size: int


@dataclass(frozen=True, slots=True)
class Verification:
    """How far the last verification of a blob store came.

    Attributes:
        ended_at: when it had read all blobs; None: it has not yet.
        after: the digest of the last blob that was read.
        blobs: how many were read, ``size`` their bytes.
    """

    began_at: float
    ended_at: float | None = None
    after: str = ""
    blobs: int = 0
    size: int = 0


def save_damage(store: str, digest: str, problem: str, now: float) -> None:
    """Note that a blob is damaged; when that was found first stays."""
    _execute(_SAVE_DAMAGE, (store, digest, problem, now))


def delete_damages(store: str, digests: Iterable[str]) -> None:
    """Note that blobs are whole again."""
    for batch in batches(digests):
        marks = ", ".join("?" * len(batch))
        sql = f"DELETE FROM damaged_blob WHERE store = ? AND digest IN ({marks})"  # noqa: S608
        _execute(sql, (store, *batch))


def list_damages(store: str, after: str, limit: int) -> list[Damage]:
    """Return damaged blobs that an asset names, in the order of their digests."""
    return [Damage(*row) for row in _execute(_LIST_DAMAGED, (store, after, limit))]


def list_places(
    store: str, digests: Collection[str], limit: int
) -> dict[str, list[tuple[str, str]]]:
    """Return repository and path of assets that name blobs, at most ``limit`` by digest."""
    found: dict[str, list[tuple[str, str]]] = {}
    for batch in batches(digests):
        sql = _LIST_PLACES.format(", ".join("?" * len(batch)))
        for digest, repository, path in _execute(sql, (store, *batch, limit)):
            found.setdefault(digest, []).append((repository, path))
    return found


def list_marked(store: str, digests: Collection[str]) -> set[str]:
    """Return those of the digests that are noted as damaged."""
    found: set[str] = set()
    for batch in batches(digests):
        marks = ", ".join("?" * len(batch))
        sql = f"SELECT digest FROM damaged_blob WHERE store = ? AND digest IN ({marks})"  # noqa: S608
        found.update(digest for (digest,) in _execute(sql, (store, *batch)))
    return found


def count_damages() -> dict[str, int]:
    """Return how many damaged blobs each store has that an asset names, by its name."""
    return dict(_execute(_COUNT_DAMAGED, ()).fetchall())


def find_verification(store: str) -> Verification | None:
    """Return how far the last verification of a store came; None: there was none."""
    sql = "SELECT began_at, ended_at, after, blobs, size FROM blob_verification WHERE store = ?"
    row = _execute(sql, (store,)).fetchone()
    return None if row is None else Verification(*row)


def save_verification(store: str, state: Verification) -> None:
    """Store how far the verification of a store is."""
    _execute(_SAVE_VERIFICATION, (store, *astuple(state)))


def delete_verification(store: str) -> None:
    """Forget how far the verification of a store came."""
    _execute("DELETE FROM blob_verification WHERE store = ?", (store,))


def _execute(sql: str, values: tuple[Any, ...]) -> Any:
    return database_proxy.execute_sql(sql, values)
