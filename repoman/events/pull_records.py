"""The rows of pulls: when an asset was last pulled, and how often on each day."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from repoman.db.models import database_proxy

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class PullRow:
    """Pulls of one asset: how many, and when the last one was, in seconds since the epoch."""

    repository_id: int
    path: str
    count: int
    at: float


_GIVEN = (
    "WITH given AS (SELECT json_extract(value, '$[0]') AS repository_id, "
    "json_extract(value, '$[1]') AS path, json_extract(value, '$[2]') AS n, "
    "json_extract(value, '$[3]') AS at FROM json_each(?)) "
)
_UPDATE_ASSETS = _GIVEN + (  # noqa: S608 - constants
    "UPDATE asset SET downloaded_at = given.at FROM given "
    "WHERE asset.repository_id = given.repository_id AND asset.path = given.path "
    "AND coalesce(asset.downloaded_at, 0) < given.at"
)
# Only assets of components are counted; other assets are parts of these.
_INSERT_DAYS = _GIVEN + (
    "INSERT INTO pull_day (repository_id, path, day, n) "
    "SELECT given.repository_id, given.path, CAST(given.at / 86400 AS INTEGER), given.n "
    "FROM given JOIN asset ON asset.repository_id = given.repository_id "
    "AND asset.path = given.path AND asset.component_id IS NOT NULL WHERE given.n > 0 "
    "ON CONFLICT (repository_id, path, day) DO UPDATE SET n = n + excluded.n"
)
_COUNT_WHOLE = _GIVEN + (  # noqa: S608 - constants
    "SELECT coalesce(sum(given.n), 0) FROM given CROSS JOIN asset "
    "ON asset.repository_id = given.repository_id AND asset.path = given.path "
    "AND asset.component_id IS NOT NULL"
)
# An index answers in the order of the given rows and of the sources, so a page ends where it ends.
_SELECT_REFERRERS = (
    "SELECT given.key, r.source FROM json_each(?) given CROSS JOIN reference r "
    "ON r.repository_id = json_extract(given.value, '$[0]') "
    "AND r.path = json_extract(given.value, '$[1]') "
    "AND r.kind = json_extract(given.value, '$[2]') "
    "AND r.source > json_extract(given.value, '$[3]') LIMIT ?"
)


def save_pulls(rows: Sequence[PullRow]) -> None:
    """Store pulls of at most some hundred assets, one row for each; within a transaction."""
    given = _given(rows)
    database_proxy.execute_sql(_UPDATE_ASSETS, (given,))
    database_proxy.execute_sql(_INSERT_DAYS, (given,))


def count_whole(rows: Sequence[PullRow]) -> int:
    """Return how many of these pulls were of assets of components, not of their parts."""
    return int(database_proxy.execute_sql(_COUNT_WHOLE, (_given(rows),)).fetchone()[0])


def _given(rows: Sequence[PullRow]) -> str:
    return json.dumps([[each.repository_id, each.path, each.count, each.at] for each in rows])


def list_referrers(
    assets: Sequence[tuple[int, str, str]], after: str, limit: int
) -> list[tuple[int, str]]:
    """Return at most ``limit`` paths that refer to assets, each with the number of its asset.

    An asset is a repository, a path, and the kind of the references. The paths are in the order of
    the assets, and sorted for each; those of the first asset are greater than ``after``.
    """
    given = [[*asset, "" if number else after] for number, asset in enumerate(assets)]
    rows = database_proxy.execute_sql(_SELECT_REFERRERS, (json.dumps(given), limit))
    return [(int(number), source) for number, source in rows]


def delete_before(at: float, limit: int) -> int:
    """Remove at most ``limit`` of the days that ended before a time; within a transaction."""
    return int(
        database_proxy.execute_sql(
            "DELETE FROM pull_day WHERE (repository_id, path, day) IN "
            "(SELECT repository_id, path, day FROM pull_day WHERE day < ? LIMIT ?)",
            (int(at // DAY_S), limit),
        ).rowcount
    )


def find_oldest() -> float | None:
    """Return when the first day of any row began; None if there is none."""
    day = database_proxy.execute_sql("SELECT min(day) FROM pull_day").fetchone()[0]
    return None if day is None else float(day) * DAY_S


def find_newest() -> float | None:
    """Return when the last day of any row began; None if there is none."""
    day = database_proxy.execute_sql("SELECT max(day) FROM pull_day").fetchone()[0]
    return None if day is None else float(day) * DAY_S
