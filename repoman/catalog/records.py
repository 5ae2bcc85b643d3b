"""The rows of the catalog, in the orders of indexes; values in, values out.

A list is read by **scans**: each is one range of one index, in its order, and yields rows as they
are asked for, so that the reader can stop anywhere. No statement sorts.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from operator import ge, gt, itemgetter, le, lt
from typing import Any

from repoman.content_rules import Span
from repoman.db.models import database_proxy
from repoman.db.sqlite import LAST_CHARACTER, batches

Row = tuple[Any, ...]
Values = tuple[Any, ...]
Limit = tuple[str, str, Any]  # A column, a comparison, and a value.

DIGEST = "sha256"  # The algorithm of the checksum that each blob is stored under.
COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
CONTAINED_DEPTH = 3
"""Steps from a part to what refers to it: part, whole, list of wholes, name."""

COLUMNS = {
    "component": "id, repository_id, kind, namespace, name, version, description, package_id, "
    "is_prerelease, size, created_at, updated_at, downloaded_at, version_key",
    "package": "id, repository_id, kind, namespace, name, assets, versions, size, own_size, "
    "updated_at, downloaded_at",
    "asset": "id, repository_id, kind, path, component_id, package_id, blob_id, media_type, "
    "attributes, uploader, uploader_address, created_at, updated_at, downloaded_at",
}
FIELDS = {
    table: {name: index for index, name in enumerate(columns.split(", "))}
    for table, columns in COLUMNS.items()
}


@dataclass(frozen=True, slots=True)
class Scan:
    """A range of an index.

    Attributes:
        index: its name.
        equal: values of its first columns.
        order: the columns that follow; the last one makes rows unique.
        bounds: comparisons with the first column of the order.
        names: of all repositories of the list, by id, if rows are sorted by them first.
    """

    table: str
    index: str
    equal: tuple[tuple[str, Any], ...]
    order: tuple[str, ...]
    bounds: tuple[tuple[str, Any], ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)

    @property
    def key(self) -> Callable[[Row], Values]:
        """Return what a row is sorted by, among those of all scans of the same order."""
        fields, names = FIELDS[self.table], self.names
        repository = fields["repository_id"]
        own = itemgetter(*map(fields.__getitem__, self.order), repository, fields["kind"])
        return (lambda row: (names.get(row[repository], ""), *own(row))) if names else own


def read_rows(scan: Scan, after: Values | None, *, is_descending: bool = False) -> Iterator[Row]:
    """Yield the rows of a scan after a key, which may come from another scan of the same order."""
    for condition, values in _steps(scan, after, is_descending):
        direction = " DESC" if is_descending else ""
        order = ", ".join(f'"{each}"{direction}' for each in scan.order)
        sql = (
            f'SELECT {COLUMNS[scan.table]} FROM "{scan.table}" '  # noqa: S608 - names of our own
            f'INDEXED BY "{scan.index}" WHERE {condition} ORDER BY {order}'
        )
        with closing(database_proxy.execute_sql(sql, values)) as cursor:
            yield from cursor


def _steps(
    scan: Scan, after: Values | None, is_descending: bool
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the conditions of the rows after a key, in order; each is one range of the index."""
    equal = list(scan.equal)
    if after is not None and scan.names:
        name = scan.names[dict(equal)["repository_id"]]
        if name != after[0] and (name < after[0]) is not is_descending:
            return
        after = after[1:] if name == after[0] else None
    if after is None:
        yield _condition(scan, equal)
        return
    own, (repository, kind) = after[: len(scan.order)], after[len(scan.order) :]
    more = "<" if is_descending else ">"
    # The key may be that of a scan with other bounds; then no row here begins as it does.
    has_beginning = all(COMPARE[each](own[0], value) for each, value in scan.bounds)
    if has_beginning and _may_have_equal(scan, (repository, kind), is_descending):
        yield _condition(scan, [*equal, *zip(scan.order, own, strict=True)])
    for length in reversed(range(len(scan.order) if has_beginning else 1)):
        fixed = [*equal, *zip(scan.order[:length], own, strict=False)]
        yield _condition(scan, fixed, (scan.order[length], more, own[length]))


def _may_have_equal(scan: Scan, place: tuple[int, str], is_descending: bool) -> bool:
    """Return whether rows with the values of a key may follow it, since it is of another scan."""
    found = dict(scan.equal)
    if "repository_id" not in found or scan.order[-1] == "id":
        return False
    mine = (found["repository_id"], found.get("kind", place[1]))
    return mine < place if is_descending else mine > place


def _condition(
    scan: Scan, equal: list[tuple[str, Any]], then: Limit | None = None
) -> tuple[str, list[Any]]:
    first = scan.order[0]
    bounds = () if first in {column for column, _ in equal} else scan.bounds
    limits = [(first, *each) for each in bounds] + ([] if then is None else [then])
    terms = [f'"{column}" = ?' for column, _ in equal]
    terms += [f'"{column}" {comparison} ?' for column, comparison, _ in _tightest(limits)]
    values = [*(value for _, value in equal), *(value for *_, value in _tightest(limits))]
    if scan.table == "asset" and ("uploader" in {column for column, _ in equal}):
        terms.append("\"uploader\" != ''")  # The index has no others.
    return " AND ".join(terms), values


def _tightest(limits: list[Limit]) -> list[Limit]:
    """Return the tightest limit of each column in each direction.

    SQLite begins at one of several limits and reads all rows up to the other one, which are as many
    as there are between two beginnings of names.
    """
    found: dict[tuple[str, str], Limit] = {}
    for limit in limits:
        column, comparison, value = limit
        known = found.setdefault((column, comparison[0]), limit)
        is_tighter = value < known[2] if comparison[0] == "<" else value > known[2]
        if is_tighter or (value == known[2] and len(comparison) == 1):
            found[column, comparison[0]] = limit
    return list(found.values())


def bounds_of(span: Span) -> tuple[tuple[str, Any], ...]:
    """Return a range of texts as bounds of a scan."""
    return ((">=", span[0]), ("<", span[1]))


def list_rows(table: str, ids: Iterable[int]) -> list[Row]:
    """Return the rows with these ids, in no order."""
    found: list[Row] = []
    for batch in batches(ids):
        query = (
            f'SELECT {COLUMNS[table]} FROM "{table}" '  # noqa: S608 - names of our own
            f"WHERE id IN ({_marks(batch)})"
        )
        found += _all(query, batch)
    return found


# The components are asked for one after the other, so that the reader can stop at any of them.
_COMPONENT_ASSETS = (
    f"SELECT value, {COLUMNS['asset']} FROM (SELECT value FROM json_each(?) AS wanted) "  # noqa: S608 - constants
    "LEFT JOIN asset INDEXED BY asset_component_id ON component_id = value"
)


def list_component_assets(components: Iterable[int], limit: int) -> dict[int, list[Row]]:
    """Return the assets of components by component id, in the order of the components.

    Each has all of its assets. The last component is the one with which there are ``limit`` of
    them; those that follow are left out.
    """
    found: dict[int, list[Row]] = {}
    count = 0
    sql, values = _COMPONENT_ASSETS, [json.dumps([*components])]
    with closing(database_proxy.execute_sql(sql, values)) as cursor:
        for id_, rows in groupby(cursor, key=itemgetter(0)):
            found[id_] = [row[1:] for row in rows if row[1] is not None]
            count += len(found[id_])
            if count >= limit:
                break
    return found


# The last one of the newest components of each package, where it has more.
_LAST_OF_NEWEST = """
SELECT last.package_id, last.kind, last.{column}, last.id FROM json_each(?1) AS wanted
CROSS JOIN component AS last ON last.id = (
    SELECT id FROM component INDEXED BY component_package_id_{column}
    WHERE package_id = json_extract(wanted.value, '$[0]')
    AND kind = json_extract(wanted.value, '$[1]')
    ORDER BY {column} DESC, id DESC LIMIT 1 OFFSET ?2
)
"""


def list_beyond_newest(ids: Iterable[int], count: int, column: str) -> set[int]:
    """Return those of the components that are not among the ``count`` newest of their packages.

    ``column`` is what they are sorted by: ``version_key`` or ``updated_at``.
    """
    package = itemgetter(*map(FIELDS["component"].__getitem__, ("package_id", "kind")))
    order = itemgetter(FIELDS["component"][column], 0)
    found: set[int] = set()
    for batch in batches(ids):
        rows = list_rows("component", batch)
        packages = json.dumps([*{package(row) for row in rows}])
        newest = _all(_LAST_OF_NEWEST.format(column=column), [packages, count - 1])
        last = {(row[0], row[1]): row[2:] for row in newest}
        found |= {
            row[0] for row in rows if package(row) in last and order(row) < last[package(row)]
        }
    return found


def list_kinds(repository: int) -> list[str]:
    """Return the kinds of components that a repository has, by skipping from one to the next."""
    kinds: list[str] = []
    query = "SELECT min(kind) FROM component WHERE repository_id = ? AND kind > ?"
    while (found := _all(query, [repository, kinds[-1] if kinds else ""])[0][0]) is not None:
        kinds.append(found)
    return kinds


# Which components satisfy a condition ------------------------------------------------------------

_BLOBS = (
    "SELECT blob.id FROM blob_store_usage CROSS JOIN blob ON blob.store = blob_store_usage.store "
    "WHERE blob.digest = ?"
)
_SUMS = "SELECT blob_id FROM blob_checksum WHERE algorithm = ? AND value = ?"
_USERS = (
    "SELECT user.id, user.component_id FROM asset CROSS JOIN reference "
    "ON reference.repository_id = asset.repository_id AND reference.path = asset.path "
    "CROSS JOIN asset AS user ON user.id = reference.asset_id "
    "WHERE asset.id IN ({marks}) LIMIT ?"
)
_PARTS = (
    "WITH RECURSIVE part(component_id, id, depth) AS ("  # noqa: S608 - constants
    "SELECT component_id, id, 0 FROM asset INDEXED BY asset_component_id "
    "WHERE component_id IN ({marks}) "
    "UNION SELECT part.component_id, target.id, part.depth + 1 FROM part "
    "CROSS JOIN reference ON reference.asset_id = part.id "
    "CROSS JOIN asset AS target ON target.repository_id = reference.repository_id "
    "AND target.path = reference.path "
    f"WHERE part.depth < {CONTAINED_DEPTH}) "
    "SELECT part.component_id FROM part CROSS JOIN asset ON asset.id = part.id "
    f"WHERE part.depth > 0 AND asset.blob_id IN ({_BLOBS})"
)


def find_by_checksum(algorithm: str, value: str, limit: int) -> set[int]:
    """Return components that have an asset with this checksum."""
    blobs, values = _blobs(algorithm, value)
    return _components("asset_blob_id", f"blob_id IN ({blobs})", values, limit)


def _blobs(algorithm: str, value: str) -> tuple[str, list[Any]]:
    """Return a statement for the ids of the blobs with a checksum, and its values."""
    return (_BLOBS, [value]) if algorithm == DIGEST else (_SUMS, [algorithm, value])


def find_by_part(digest: str, limit: int) -> set[int] | None:
    """Return components that refer to these bytes, directly or not; None: there are too many."""
    query = f"SELECT id FROM asset INDEXED BY asset_blob_id WHERE blob_id IN ({_BLOBS}) LIMIT ?"  # noqa: S608 - constants
    level = {id_ for (id_,) in _all(query, [digest, limit])}
    seen, found = set(level), set()
    for _ in range(CONTAINED_DEPTH):
        users: list[Row] = []
        for batch in batches(level):
            users += _all(_USERS.format(marks=_marks(batch)), [*batch, limit])
            if max(len(users), len(level)) >= limit:
                return None
        level = {id_ for id_, _ in users} - seen
        seen |= level
        found |= {component for _, component in users if component is not None}
    return found


def find_by_label(name: str, value: str, limit: int) -> set[int]:
    """Return components with a label."""
    query = "SELECT component_id FROM label WHERE name = ? AND value = ? LIMIT ?"
    return {id_ for (id_,) in _all(query, [name, value, limit])}


def find_by_uploader(uploader: str, repositories: Iterable[int], limit: int) -> set[int]:
    """Return components that have an asset which somebody stored."""
    found: set[int] = set()
    for repository in repositories:
        condition = "repository_id = ? AND uploader = ? AND uploader != ''"
        index, values = "asset_repository_id_uploader", [repository, uploader]
        found |= _components(index, condition, values, limit - len(found))
        if len(found) >= limit:
            break
    return found


def _components(index: str, condition: str, values: list[Any], limit: int) -> set[int]:
    query = (
        f"SELECT component_id FROM asset INDEXED BY {index} "  # noqa: S608 - constants
        f"WHERE {condition} "
        "AND component_id IS NOT NULL LIMIT ?"
    )
    return {id_ for (id_,) in _all(query, [*values, limit])}


def among_labelled(ids: Iterable[int], name: str, value: str) -> set[int]:
    """Return those of the components that have a label."""
    return _among("label", "name = ? AND value = ?", ids, [name, value])


def among_uploaded(ids: Iterable[int], uploader: str) -> set[int]:
    """Return those of the components that have an asset which somebody stored."""
    return _among("asset", "uploader = ?", ids, [uploader])


def among_with_checksum(ids: Iterable[int], algorithm: str, value: str) -> set[int]:
    """Return those of the components that have an asset with this checksum."""
    blobs, values = _blobs(algorithm, value)
    return _among("asset", f"blob_id IN ({blobs})", ids, values)


def among_with_part(ids: Iterable[int], digest: str) -> set[int]:
    """Return those of the components that refer to these bytes, directly or not."""
    found: set[int] = set()
    for batch in batches(ids):
        query = _PARTS.format(marks=_marks(batch))
        found |= {id_ for (id_,) in _all(query, [*batch, digest])}
    return found


# How to find what belongs to components, however common the rest of the condition is.
_BY_COMPONENT = {
    "asset": "asset INDEXED BY asset_component_id",
    "label": "label INDEXED BY sqlite_autoindex_label_1",
}


def _among(table: str, condition: str, ids: Iterable[int], values: list[Any]) -> set[int]:
    found: set[int] = set()
    for batch in batches(ids):
        query = (
            f"SELECT component_id FROM {_BY_COMPONENT[table]} "  # noqa: S608 - constants
            f"WHERE component_id IN ({_marks(batch)}) AND {condition}"
        )
        found |= {id_ for (id_,) in _all(query, [*batch, *values])}
    return found


# Blobs, packages, sums ---------------------------------------------------------------------------


def list_blob_ids(digest: str = "", checksum: tuple[str, str] | None = None) -> list[int]:
    """Return the blobs with a digest or a checksum, one per store at most."""
    rows = _all(_BLOBS, [digest]) if checksum is None else _all(_SUMS, list(checksum))
    return [id_ for (id_,) in rows]


def list_blobs(ids: Iterable[int]) -> dict[int, Row]:
    """Return store, digest, size and time of creation of blobs, by id."""
    found: dict[int, Row] = {}
    for batch in batches(ids):
        query = (
            "SELECT id, store, digest, size, created_at FROM blob "  # noqa: S608 - constants
            f"WHERE id IN ({_marks(batch)})"
        )
        found |= {row[0]: row[1:] for row in _all(query, batch)}
    return found


def list_checksums(ids: Iterable[int]) -> dict[int, dict[str, str]]:
    """Return the stored checksums of blobs by id and algorithm, in hex."""
    found: dict[int, dict[str, str]] = {}
    for batch in batches(ids):
        query = (
            "SELECT blob_id, algorithm, value FROM blob_checksum "  # noqa: S608 - constants
            f"WHERE blob_id IN ({_marks(batch)})"
        )
        for id_, algorithm, value in _all(query, batch):
            found.setdefault(id_, {})[algorithm] = value
    return found


def list_package_ids(repository: int, name: str, namespace: str | None) -> list[int]:
    """Return the packages of a name."""
    query = "SELECT id FROM package WHERE repository_id = ? AND name = ?"
    values = [repository, name]
    if namespace is not None:
        query, values = f"{query} AND namespace = ?", [*values, namespace]
    return [id_ for (id_,) in _all(query, values)]


_USAGE = "assets, components, versions, packages, size, own_size"


# Each is one step in an index. Where there are no packages, components of the first kind count.
_TIMES = (
    "SELECT r.id, coalesce((SELECT max(updated_at) FROM package WHERE repository_id = r.id), "
    "(SELECT max(updated_at) FROM component WHERE repository_id = r.id "
    "AND kind = (SELECT min(kind) FROM component WHERE repository_id = r.id))), "
    "(SELECT max(downloaded_at) FROM asset WHERE repository_id = r.id) "
    "FROM repository r WHERE r.deleted_at IS NULL"
)


def find_repository_usage(repository: int) -> Row | None:
    """Return assets, components, versions, packages, size and own size of a repository."""
    query = f"SELECT {_USAGE} FROM repository_usage WHERE repository_id = ?"  # noqa: S608 - constants
    return next(iter(_all(query, [repository])), None)


def list_repository_usages() -> dict[int, Row]:
    """Return the same of all repositories, by id."""
    rows = _all(f"SELECT repository_id, {_USAGE} FROM repository_usage", [])  # noqa: S608
    return {row[0]: row[1:] for row in rows}


def list_repository_times() -> dict[int, Row]:
    """Return when something was last stored and last downloaded in repositories, by id.

    In seconds since the epoch; None: never.
    """
    return {row[0]: row[1:] for row in _all(_TIMES, [])}


def list_store_usages() -> dict[str, Row]:
    """Return blobs, size and reclaimable bytes of all blob stores."""
    rows = _all("SELECT store, blobs, size, reclaimable FROM blob_store_usage", [])
    return {row[0]: row[1:] for row in rows}


# Trees -------------------------------------------------------------------------------------------

# From one child to the next: the first path behind everything that a child has below it.
_CHILDREN = """
WITH RECURSIVE child(path) AS (
    SELECT min(path) FROM asset WHERE repository_id = ?1 AND path > ?2 AND path < ?3
    UNION ALL
    SELECT (
        SELECT min(path) FROM asset WHERE repository_id = ?1 AND path < ?3 AND path > (
            CASE WHEN instr(substr(child.path, ?4), '/') THEN
                substr(child.path, 1, ?4 - 1 + instr(substr(child.path, ?4), '/')) || ?5
            ELSE child.path END
        )
    ) FROM child WHERE child.path IS NOT NULL LIMIT ?6
)
SELECT path FROM child WHERE path IS NOT NULL
"""


def list_children(repository: int, directory: str, after: str, limit: int) -> list[str]:
    """Return the first path of each child of a directory, in order, of those behind ``after``.

    The directory is empty or ends with a slash. Each child costs one search of the index, however
    much is below it.
    """
    end, start = directory + LAST_CHARACTER, len(directory) + 1
    after = f"{after}{LAST_CHARACTER}" if after.endswith("/") else after
    values = [repository, max(after, directory), end, start, LAST_CHARACTER, limit]
    return [path for (path,) in _all(_CHILDREN, values)]


def find_assets(repository: int, paths: Iterable[str]) -> dict[str, Row]:
    """Return the assets at these paths, by path."""
    found: dict[str, Row] = {}
    path = FIELDS["asset"]["path"]
    for batch in batches(paths):
        query = (
            f"SELECT {COLUMNS['asset']} FROM asset "  # noqa: S608 - constants
            f"WHERE repository_id = ? AND path IN ({_marks(batch)})"
        )
        found |= {row[path]: row for row in _all(query, [repository, *batch])}
    return found


def count_copies(store: str, digest: str, limit: int) -> int:
    """Return how many assets have these bytes, at most ``limit``."""
    query = (
        "SELECT count(*) FROM (SELECT 1 FROM blob JOIN asset ON asset.blob_id = blob.id "
        "WHERE blob.store = ? AND blob.digest = ? LIMIT ?)"
    )
    [(count,)] = _all(query, [store, digest, limit])
    return int(count)


def _all(sql: str, values: list[Any]) -> list[Row]:
    rows: list[Row] = database_proxy.execute_sql(sql, values).fetchall()
    return rows


def _marks(batch: list[Any]) -> str:
    return ", ".join("?" * len(batch))
