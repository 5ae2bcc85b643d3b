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
# The referrers of the pulled assets and of the wholes that these are in, by at most two steps.
_SELECT_REFERRERS = (
    "WITH RECURSIVE used(repository_id, path, kind, whole, n, at, depth) AS ("
    "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), "
    "json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), 0 "
    "FROM json_each(?) UNION "
    "SELECT r.repository_id, r.source, used.kind, used.whole, 0, used.at, used.depth + 1 FROM used "
    "CROSS JOIN reference r ON r.repository_id = used.repository_id AND r.path = used.path "
    "AND r.kind = used.whole WHERE used.depth < 2) "
    "SELECT * FROM (SELECT r.repository_id, r.source, used.n, used.at FROM used "
    "CROSS JOIN reference r ON r.repository_id = used.repository_id AND r.path = used.path "
    "AND r.kind = used.kind "
    "UNION ALL SELECT repository_id, path, n, at FROM used WHERE depth > 0) LIMIT ?"
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


def list_referrers(rows: Sequence[tuple[PullRow, str, str]], limit: int) -> list[PullRow]:
    """Return at most ``limit`` pulls, of the assets that refer to the pulled ones.

    Each row comes with the kind of reference to follow, and that by which wholes refer to parts.
    Wholes, and what refers to them, have a count of 0.
    """
    given = json.dumps(
        [
            [each.repository_id, each.path, kind, whole, each.count, each.at]
            for each, kind, whole in rows
        ]
    )
    return [PullRow(*row) for row in database_proxy.execute_sql(_SELECT_REFERRERS, (given, limit))]


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
