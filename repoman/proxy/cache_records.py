"""The rows of a proxy's cache that its content store does not write: when, and how much."""

from collections.abc import Iterable
from typing import Any

from peewee import fn

from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.db.models import AssetRecord, RemoteRecord, RepositoryRecord, database_proxy
from repoman.db.sqlite import LAST_CHARACTER
from repoman.db.usage_models import RepositoryUsageRecord
from repoman.proxy.remote_health import RemoteState

# In the words of the index asset_last_use, or the database would sort all assets.
_LONGEST_UNUSED = (
    "SELECT max(coalesce(downloaded_at, 0), updated_at), asset.id, path, size "
    "FROM asset JOIN blob ON blob.id = asset.blob_id WHERE repository_id = ? AND kind = ? "
    "ORDER BY max(coalesce(downloaded_at, 0), updated_at), asset.id LIMIT ?"
)
FORGOTTEN_ROWS = 500  # Assets that are changed in one transaction.
CHECKS = "checks"  # the revision that moves with each check of any remote


class CacheRecords:
    """What is remembered of the cache of one proxy; thread safe. Times in seconds since epoch."""

    def __init__(self, database: Database, repository_id: int) -> None:
        self._database = database
        self._repository = repository_id
        self._token: ReadCache[float] = ReadCache(database)
        self._renewals: ReadCache[int] = ReadCache(database)

    def mark_checked(self, path: str, at: float) -> None:
        """Note that the remote still has an asset as it is."""
        with self._database.transaction(repository=self._repository):
            AssetRecord.update(checked_at=at).where(
                self._mine() & (AssetRecord.path == path)
            ).execute()

    def forget_checks(self, prefix: str, suffix: str = "") -> None:
        """Have the remote asked for everything whose path begins and ends so.

        Of many paths, some at a time are a transaction, unless one is open.
        """
        path = AssetRecord.path
        matches = (path >= prefix) & (path < prefix + LAST_CHARACTER)
        if suffix:
            matches &= fn.substr(path, -len(suffix)) == suffix
        checked = AssetRecord.select(AssetRecord.id).where(
            self._mine() & matches & AssetRecord.checked_at.is_null(False)
        )
        some = AssetRecord.id.in_(checked.limit(FORGOTTEN_ROWS))
        count = FORGOTTEN_ROWS
        while count == FORGOTTEN_ROWS:
            with self._database.transaction(repository=self._repository):
                count = int(AssetRecord.update(checked_at=None).where(some).execute())

    def renewals(self) -> int:
        """Return how often what is remembered in memory was declared worthless, by anybody."""
        return self._renewals.get("renewals", lambda: self._database.revision(self._renewal))

    def renew(self) -> None:
        """Declare worthless what any process remembers of the remote in memory."""
        with self._database.transaction():
            self._database.bump(self._renewal)

    def invalidated_at(self) -> float:
        """Return when the whole cache was last declared stale; 0 if never."""
        return self._token.get("token", self._read_token)

    def invalidate(self, at: float) -> None:
        """Declare everything stale that was checked before."""
        with self._database.transaction():
            RepositoryRecord.update(invalidated_at=at).where(
                RepositoryRecord.id == self._repository
            ).execute()

    def checks(self) -> int:
        """Return how many checks of the remote were requested."""
        return self._database.revision(self._check)

    def note_check(self) -> int:
        """Have all processes check the remote, and return the new number of checks."""
        with self._database.transaction():
            self._database.bump(CHECKS)
            self._database.bump(self._check)
            return self.checks()

    def save_state(self, state: RemoteState) -> None:
        """Write down how the remote is; waits for other writers briefly."""
        values = {
            "condition": state.condition,
            "reason": state.reason,
            "budget": None if state.budget is None else dict(state.budget),
            "at": state.at,
            "blocked_until": state.blocked_until,
        }
        with self._database.brief_waits(), self._database.transaction():
            RemoteRecord.insert(repository=self._repository, **values).on_conflict(
                conflict_target=[RemoteRecord.repository], update=values
            ).execute()

    def find_state(self) -> RemoteState | None:
        """Return how the remote was when the server last wrote it down; None if it never did."""
        record = RemoteRecord.get_or_none(RemoteRecord.repository == self._repository)
        if record is None:
            return None
        return RemoteState(
            record.condition, record.reason, record.budget, record.at, record.blocked_until
        )

    def sizes(self) -> tuple[int, int]:
        """Return how many bytes the cache holds, and how many of these nothing else needs.

        Each blob counts once. They are kept, not summed up.
        """
        record = RepositoryUsageRecord
        kept = record.select(record.size, record.own_size)
        row = kept.where(record.repository == self._repository).tuples().first()
        return (0, 0) if row is None else (int(row[0]), int(row[1]))

    def longest_unused(self, kinds: Iterable[str], limit: int) -> list[tuple[str, int, float]]:
        """Return path, size and last use of assets of these kinds, the oldest last use first.

        The last use is the last download, or, if that was later, when it was stored.
        """
        rows: list[tuple[float, int, str, int]] = []
        for kind in kinds:
            rows += database_proxy.execute_sql(_LONGEST_UNUSED, (self._repository, kind, limit))
        return [(path, size, used_at) for used_at, _, path, size in sorted(rows)[:limit]]

    @property
    def _check(self) -> str:
        return f"check {self._repository}"

    @property
    def _renewal(self) -> str:
        return f"remote {self._repository}"

    def _mine(self) -> Any:
        return AssetRecord.repository == self._repository

    def _read_token(self) -> float:
        token = RepositoryRecord.select(RepositoryRecord.invalidated_at).where(
            RepositoryRecord.id == self._repository
        )
        return float(token.scalar() or 0.0)
