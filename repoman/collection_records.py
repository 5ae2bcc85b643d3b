"""The rows that say how far the collection of each repository has come."""

from collections.abc import Collection
from dataclasses import dataclass

from repoman.db.models import database_proxy
from repoman.db.usage_models import CollectionRecord

_SAVE = (
    "INSERT INTO collection (repository_id, position, count, size) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (repository_id) DO UPDATE SET position = excluded.position, "
    "count = excluded.count, size = excluded.size"
)
_END = (
    "UPDATE collection SET reclaimable_count = count, reclaimable_size = size, ended_at = ?, "
    "position = '', count = 0, size = 0 WHERE repository_id = ?"
)


@dataclass(frozen=True, slots=True)
class CollectionState:
    """How far the present pass has come, and what the last whole one found; sizes in bytes.

    Attributes:
        position: where it goes on; empty: at the beginning.
        count: assets that a rule could remove, as far as this pass has come.
        size: the bytes that this would free.
        reclaimable_count: the same of the last whole pass; None: there was none yet.
        ended_at: when that one ended.
    """

    position: str = ""
    count: int = 0
    size: int = 0
    reclaimable_count: int | None = None
    reclaimable_size: int | None = None
    ended_at: float | None = None


def find_state(repository_id: int) -> CollectionState:
    """Return how far the collection of a repository has come."""
    return find_states([repository_id]).get(repository_id, CollectionState())


def find_states(repositories: Collection[int]) -> dict[int, CollectionState]:
    """Return this of several repositories; nothing where there was no collection yet."""
    query = CollectionRecord.select().where(CollectionRecord.repository.in_(list(repositories)))
    return {
        each.repository_id: CollectionState(
            each.position,
            each.count,
            each.size,
            each.reclaimable_count,
            each.reclaimable_size,
            each.ended_at,
        )
        for each in query
    }


def save_position(repository_id: int, position: str, count: int, size: int) -> None:
    """Note how far a pass has come; within a transaction."""
    database_proxy.execute_sql(_SAVE, (repository_id, position, count, size))


def end_pass(repository_id: int, at: float) -> None:
    """Note that a pass has come to its end; within a transaction."""
    database_proxy.execute_sql(_END, (at, repository_id))
