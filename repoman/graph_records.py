"""What of the content of a repository refers to what, and how old it is: for its collection.

Each question is one statement, whatever the number of paths that it is about. Times are in seconds
since the epoch, sizes in bytes.
"""

import json
import time
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from repoman.db.models import database_proxy

AFTER_ALL_TEXTS = b""  # To SQLite, bytes are greater than any text.
_COLUMNS = (
    "a.id, a.path, a.kind, b.id, b.digest, b.size, a.updated_at, coalesce(a.promised_at, 0), "
    "coalesce(a.downloaded_at, 0), a.released_at, a.released_by"
)
_GIVEN = "FROM json_each(?) given CROSS JOIN"
_NODES = (
    f"SELECT {_COLUMNS} {_GIVEN} asset a ON a.repository_id = ? AND a.path = given.value "
    "JOIN blob b ON b.id = a.blob_id"
)
_END = (
    "SELECT path FROM asset WHERE repository_id = ? AND kind = ? AND path > ? "
    "ORDER BY path LIMIT 1 OFFSET ?"
)
_UNNAMED = (
    f"SELECT {_COLUMNS} FROM asset a JOIN blob b ON b.id = a.blob_id "  # noqa: S608 - constants
    "WHERE a.repository_id = ?1 AND a.kind = ?2 AND a.path > ?3 AND a.path <= ?4 "
    "AND NOT EXISTS (SELECT 1 FROM reference r "
    "WHERE r.repository_id = ?1 AND r.path = a.path {kinds}) ORDER BY a.path"
)
_NAMED_BY = (
    f"SELECT r.path, r.kind, r.source {_GIVEN} reference r "
    "ON r.repository_id = ? AND r.path = given.value AND r.kind IN ({kinds}) LIMIT ?"
)
# Counted for each given row by itself: a GROUP BY would sort all that is counted.
_FIRST_NAME = (
    "SELECT given.value, (SELECT min(r.source) FROM reference r "
    "WHERE r.repository_id = ?2 AND r.path = given.value AND r.kind = ?3) FROM json_each(?1) given"
)
_NAMES = (
    f"SELECT a.path, r.kind, r.path {_GIVEN} asset a "
    "ON a.repository_id = ? AND a.path = given.value "
    "CROSS JOIN reference r ON r.asset_id = a.id AND r.kind IN ({kinds})"
)
_COUNT_NAMES = (
    "SELECT given.value, (SELECT count(*) FROM reference r "
    "WHERE r.repository_id = ?2 AND r.path = given.value) FROM json_each(?1) given"
)
_COUNT_USES = (
    "SELECT given.value, (SELECT sum(u.assets) FROM blob_repository u "
    "WHERE u.blob_id = given.value) FROM json_each(?) given"
)
_FREED = (
    "SELECT coalesce(sum(size), 0) FROM (SELECT b.size AS size, count(*) AS going, "  # noqa: S608
    "(SELECT sum(u.assets) FROM blob_repository u WHERE u.blob_id = b.id) AS uses "
    f"{_GIVEN} asset a ON a.repository_id = ? AND a.path = given.value "
    "JOIN blob b ON b.id = a.blob_id GROUP BY b.id) WHERE going >= coalesce(uses, 1)"
)
# What was told so before, and not stored again since, is left out: so a limit ends.
_RELEASE_REFERRING = (
    "UPDATE asset SET released_at = max(?1, updated_at), released_by = ?2 WHERE id IN "
    "(SELECT a.id FROM json_each(?3) given CROSS JOIN reference r ON r.repository_id = ?4 "
    "AND r.path = given.value AND r.kind = ?5 CROSS JOIN asset a ON a.id = r.asset_id "
    "WHERE (a.released_by IS NOT ?2 OR a.released_at < a.updated_at) "
    "AND (?6 OR NOT EXISTS (SELECT 1 FROM asset target "
    "WHERE target.repository_id = r.repository_id AND target.path = r.path)) LIMIT ?7)"
)
_RELEASED = (
    f"SELECT coalesce(sum(b.size), 0) {_GIVEN} blob b "
    "ON b.id = given.value WHERE b.released_at IS NOT NULL"
)
_PATHS_OF = (
    "SELECT a.path FROM blob b CROSS JOIN asset a ON a.blob_id = b.id "
    "WHERE b.store IN (SELECT store FROM blob_store_usage) AND b.digest = ? "
    "AND a.repository_id = ? AND a.kind = ? ORDER BY a.path LIMIT ?"
)
_HOLDERS = (
    "SELECT owner.id, owner.name, a.path FROM blob b CROSS JOIN asset a ON a.blob_id = b.id "
    "CROSS JOIN repository owner ON owner.id = a.repository_id "
    "WHERE b.store IN (SELECT store FROM blob_store_usage) AND b.digest = ? "
    "AND a.repository_id != ? AND owner.deleted_at IS NULL LIMIT ?"
)


class GraphNode(NamedTuple):
    """An asset, as far as it matters for whether it is needed.

    Attributes:
        blob_id: the row of its bytes.
        promised_at: about when a client was last told that it need not send it; 0: never.
        downloaded_at: about when a client last had it; 0: never.
        released_at: when something that referred to it last went or changed; None: never.
        released_by: the source of that change, as content events have it.
    """

    id: int
    path: str
    kind: str
    blob_id: int
    digest: str
    size: int
    updated_at: float
    promised_at: float
    downloaded_at: float
    released_at: float | None
    released_by: str | None


class ContentGraph:
    """The references between the assets of one repository."""

    def __init__(self, repository_id: int) -> None:
        self._repository = repository_id

    def nodes(self, paths: Iterable[str]) -> dict[str, GraphNode]:
        """Return what is at these paths."""
        rows = _all(_NODES, (json.dumps(list(paths)), self._repository))
        return {each.path: each for each in map(GraphNode._make, rows)}

    def scan(
        self, kind: str, after: str, limit: int, kinds: Collection[str] = ()
    ) -> tuple[list[GraphNode], str | None]:
        """Examine the next ``limit`` assets of a kind, in the order of their paths.

        Returns those to which no reference of these kinds leads (none given: of any kind), and the
        path after which to go on; None: that were the last ones.
        """
        end = _all(_END, (self._repository, kind, after, limit - 1))
        last = end[0][0] if end else None
        sql = _UNNAMED.format(kinds=f"AND r.kind IN ({_marks(kinds, 5)})" if kinds else "")
        # Both bounds are those of the index: else a window costs all that comes after it.
        to = AFTER_ALL_TEXTS if last is None else last
        rows = _all(sql, (self._repository, kind, after, to, *kinds))
        return [*map(GraphNode._make, rows)], last

    def named_by(
        self, paths: Iterable[str], kinds: Collection[str], limit: int = -1
    ) -> list[tuple[str, str, str]]:
        """Return path, kind and source of the references that lead to these paths."""
        sql = _NAMED_BY.format(kinds=", ".join("?" * len(kinds)))
        return _all(sql, (json.dumps(list(paths)), self._repository, *kinds, limit))

    def first_names(self, paths: Iterable[str], kind: str) -> dict[str, str]:
        """Return for each path the first asset that refers to it by a kind, if there is one."""
        rows = _all(_FIRST_NAME, (json.dumps(list(paths)), self._repository, kind))
        return {path: source for path, source in rows if source is not None}

    def names(self, paths: Iterable[str], kinds: Collection[str]) -> list[tuple[str, str, str]]:
        """Return source, kind and path of the references of the assets at these paths."""
        sql = _NAMES.format(kinds=", ".join("?" * len(kinds)))
        return _all(sql, (json.dumps(list(paths)), self._repository, *kinds))

    def release_referring(
        self,
        paths: Iterable[str],
        kind: str,
        source: str,
        *,
        is_ahead: bool = False,
        limit: int = -1,
    ) -> int:
        """Note that what refers to these paths by a kind lost it, unless something is there.

        To be called in the transaction that removes it. Of very many, some are noted in others
        before that (``is_ahead``). Returns for how many it was noted now, at most ``limit``.
        """
        asked = json.dumps(list(paths))
        values = (time.time(), source, asked, self._repository, kind, is_ahead, limit)
        return int(database_proxy.execute_sql(_RELEASE_REFERRING, values).rowcount)

    def count_names(self, paths: Iterable[str]) -> dict[str, int]:
        """Return how many references lead to these paths."""
        return dict(_all(_COUNT_NAMES, (json.dumps(list(paths)), self._repository)))

    def paths_of(self, digest: str, kind: str, limit: int) -> list[str]:
        """Return the paths of assets of a kind with these bytes; the SHA-256 in hex."""
        return [path for (path,) in _all(_PATHS_OF, (digest, self._repository, kind, limit))]

    def elsewhere(self, digest: str, limit: int) -> list[tuple[int, str, str]]:
        """Return ids and names of other repositories, with paths there that have the same bytes.

        ``digest`` is the SHA-256 in hex.
        """
        return _all(_HOLDERS, (digest, self._repository, limit))


class FreedBytes:
    """Adds up the bytes that are freed if assets go: those of which no other asset remains."""

    def __init__(self) -> None:
        self._left: dict[int, int] = {}  # assets that remain of a blob, by its id

    def add(self, nodes: Iterable[GraphNode]) -> dict[str, int]:
        """Have some more assets go, of any repository; return the bytes of each, by path.

        The bytes of a blob count for the last asset that has it. At most some thousand at once.
        """
        nodes = list(nodes)
        unknown = {each.blob_id for each in nodes} - self._left.keys()
        uses = _all(_COUNT_USES, (json.dumps(list(unknown)),))
        self._left.update((blob, count) for blob, count in uses if count is not None)
        freed: dict[str, int] = {}
        for each in nodes:
            self._left[each.blob_id] = left = self._left.get(each.blob_id, 1) - 1
            freed[each.path] = 0 if left else each.size
            if not left:
                del self._left[each.blob_id]
        return freed


def released_bytes(nodes: Iterable[GraphNode]) -> int:
    """Return the bytes of these assets that no asset names any more."""
    ids = list({each.blob_id for each in nodes})
    return int(_all(_RELEASED, (json.dumps(ids),))[0][0])


def freed_bytes(repository_id: int, paths: Iterable[str]) -> int:
    """Return the bytes that are freed if the assets at these paths of a repository go.

    Those are the bytes of which no other asset remains, in any repository.
    """
    return int(_all(_FREED, (json.dumps([*set(paths)]), repository_id))[0][0])


def _marks(values: Collection[str], first: int) -> str:
    return ", ".join(f"?{number}" for number in range(first, first + len(values)))


def _all(sql: str, values: tuple[Any, ...]) -> list[Any]:
    found: list[Any] = database_proxy.execute_sql(sql, values).fetchall()
    return found
