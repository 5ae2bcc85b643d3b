"""What lists of content sort, filter and sum by; see ``repoman.catalog``.

A **package** is what all versions of one name are together. The sums are filled here for what is
there already; the next migration makes the triggers that keep them.
"""

from typing import Any

from repoman.versions import is_prerelease, version_key

BATCH = 500  # rows of a transaction
TABLES = (
    'CREATE TABLE "package" ("id" INTEGER NOT NULL PRIMARY KEY, '
    '"repository_id" INTEGER NOT NULL REFERENCES "repository" ("id") ON DELETE CASCADE, '
    '"kind" TEXT NOT NULL, "namespace" TEXT NOT NULL, "name" TEXT NOT NULL, '
    '"assets" INTEGER NOT NULL DEFAULT 0, "versions" INTEGER NOT NULL DEFAULT 0, '
    '"size" INTEGER NOT NULL DEFAULT 0, "own_size" INTEGER NOT NULL DEFAULT 0, '
    '"updated_at" REAL NOT NULL DEFAULT 0, "downloaded_at" REAL NOT NULL DEFAULT 0)',
    'CREATE UNIQUE INDEX "package_repository_id_kind_namespace_name" '
    'ON "package" ("repository_id", "kind", "namespace", "name")',
    'CREATE TABLE "repository_usage" ("repository_id" INTEGER NOT NULL PRIMARY KEY '
    'REFERENCES "repository" ("id") ON DELETE CASCADE, '
    '"assets" INTEGER NOT NULL DEFAULT 0, "components" INTEGER NOT NULL DEFAULT 0, '
    '"versions" INTEGER NOT NULL DEFAULT 0, "packages" INTEGER NOT NULL DEFAULT 0, '
    '"size" INTEGER NOT NULL DEFAULT 0, "own_size" INTEGER NOT NULL DEFAULT 0)',
    'CREATE TABLE "blob_store_usage" ("store" TEXT NOT NULL PRIMARY KEY, '
    '"blobs" INTEGER NOT NULL DEFAULT 0, "size" INTEGER NOT NULL DEFAULT 0, '
    '"reclaimable" INTEGER NOT NULL DEFAULT 0)',
    'CREATE TABLE "blob_repository" ("blob_id" INTEGER NOT NULL, '
    '"repository_id" INTEGER NOT NULL, "assets" INTEGER NOT NULL, '
    'PRIMARY KEY ("blob_id", "repository_id")) WITHOUT ROWID',
    'CREATE TABLE "blob_package" ("blob_id" INTEGER NOT NULL, "package_id" INTEGER NOT NULL, '
    '"assets" INTEGER NOT NULL, PRIMARY KEY ("blob_id", "package_id")) WITHOUT ROWID',
    'CREATE TABLE "label" ('
    '"component_id" INTEGER NOT NULL REFERENCES "component" ("id") ON DELETE CASCADE, '
    '"name" TEXT NOT NULL, "value" TEXT NOT NULL, PRIMARY KEY ("component_id", "name"))',
    'CREATE INDEX "label_name_value_component_id" ON "label" ("name", "value", "component_id")',
    'CREATE TABLE "blob_checksum" ('
    '"blob_id" INTEGER NOT NULL REFERENCES "blob" ("id") ON DELETE CASCADE, '
    '"algorithm" TEXT NOT NULL, "value" TEXT NOT NULL, PRIMARY KEY ("blob_id", "algorithm"))',
    'CREATE INDEX "blob_checksum_algorithm_value" ON "blob_checksum" ("algorithm", "value")',
    'CREATE TABLE "sample" ("name" TEXT NOT NULL, "period" TEXT NOT NULL, "at" REAL NOT NULL, '
    '"value" REAL NOT NULL, PRIMARY KEY ("name", "period", "at"))',
)
COLUMNS = {
    "component": (
        '"package_id" INTEGER',
        "\"version_key\" TEXT NOT NULL DEFAULT ''",
        '"is_prerelease" INTEGER NOT NULL DEFAULT 0',
        '"size" INTEGER NOT NULL DEFAULT 0',
        '"downloaded_at" REAL NOT NULL DEFAULT 0',
    ),
    "asset": (
        '"package_id" INTEGER',
        "\"uploader\" TEXT NOT NULL DEFAULT ''",
        "\"uploader_address\" TEXT NOT NULL DEFAULT ''",
        '"transfer_size" INTEGER',
    ),
    "reference": ('"size" INTEGER',),
}


def up(_migrator: Any, db: Any) -> None:
    """Add tables and columns; nobody read the columns that go."""
    for statement in TABLES:
        db.execute_sql(statement)
    for table, columns in COLUMNS.items():
        for column in columns:
            db.execute_sql(f'ALTER TABLE "{table}" ADD COLUMN {column}')
    db.execute_sql('ALTER TABLE "component" DROP COLUMN "attributes"')
    db.execute_sql('ALTER TABLE "blob" DROP COLUMN "used_at"')


def _next(db: Any, table: str, after: int) -> tuple[int, int] | None:
    """Return the first and the last id of the next batch; None at the end of the table."""
    query = f"SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT {BATCH}"  # noqa: S608
    ids = [id_ for (id_,) in db.execute_sql(query, (after,)).fetchall()]
    return (ids[0], ids[-1]) if ids else None


def fill_packages(db: Any, after: int) -> int | None:
    """Give components their order and, where content refers to other content, packages."""
    batch = _next(db, "component", after)
    if batch is None:
        return None
    rows = db.execute_sql(
        "SELECT id, repository_id, kind, namespace, name, version FROM component "
        "WHERE id BETWEEN ? AND ?",
        batch,
    ).fetchall()
    kinds = {each: _kinds_of_packages(db, each) for each in {row[1] for row in rows}}
    for id_, repository, kind, namespace, name, version in rows:
        package = None
        if kinds[repository]:
            package = _save_package(db, repository, kind, namespace, name, kinds[repository])
        order = (version_key(version), int(is_prerelease(version))) if version else ("", 0)
        db.execute_sql(
            "UPDATE component SET package_id = ?, version_key = ?, is_prerelease = ? WHERE id = ?",
            (package, *order, id_),
        )
    return batch[1]


def _kinds_of_packages(db: Any, repository: int) -> list[str]:
    """Return the kinds of components of a repository; none if it has no packages."""
    uses = db.execute_sql("SELECT 1 FROM reference WHERE repository_id = ? LIMIT 1", (repository,))
    if uses.fetchone() is None:
        return []
    kinds: list[str] = []
    query = "SELECT min(kind) FROM component WHERE repository_id = ? AND kind > ?"
    while found := db.execute_sql(query, (repository, kinds[-1] if kinds else "")).fetchone()[0]:
        kinds.append(found)
    return kinds


def _save_package(
    db: Any, repository: int, kind: str, namespace: str, name: str, kinds: list[str]
) -> int:
    """Return the id of the package of a name; its kind is that of what has the name alone."""
    for each in kinds:
        values = (repository, each, namespace, name)
        found = db.execute_sql(
            "SELECT 1 FROM component WHERE repository_id = ? AND kind = ? AND namespace = ? "
            "AND name = ? AND version = ''",
            values,
        )
        if found.fetchone() is not None:
            kind = each
    values = (repository, kind, namespace, name)
    db.execute_sql(
        "INSERT OR IGNORE INTO package (repository_id, kind, namespace, name) VALUES (?, ?, ?, ?)",
        values,
    )
    found = db.execute_sql(
        "SELECT id FROM package WHERE repository_id = ? AND kind = ? AND namespace = ? "
        "AND name = ?",
        values,
    )
    return int(found.fetchone()[0])


def fill_references(db: Any, after: int) -> int | None:
    """Note how large that is which is referred to, where it is stored."""
    batch = _next(db, "reference", after)
    if batch is None:
        return None
    db.execute_sql(
        "UPDATE reference SET size = (SELECT blob.size FROM asset JOIN blob "
        "ON blob.id = asset.blob_id WHERE asset.repository_id = reference.repository_id "
        "AND asset.path = reference.path) WHERE id BETWEEN ? AND ?",
        batch,
    )
    return batch[1]


def fill_assets(db: Any, after: int) -> int | None:
    """Give assets the packages of their components, or of what refers to them."""
    batch = _next(db, "asset", after)
    if batch is None:
        return None
    db.execute_sql(
        "UPDATE asset SET package_id = coalesce("
        "(SELECT package_id FROM component WHERE component.id = asset.component_id), "
        "(SELECT component.package_id FROM reference "
        "JOIN asset AS user ON user.id = reference.asset_id "
        "JOIN component ON component.id = user.component_id "
        "WHERE reference.repository_id = asset.repository_id AND reference.path = asset.path "
        "AND component.package_id IS NOT NULL LIMIT 1)) WHERE id BETWEEN ? AND ?",
        batch,
    )
    # What has the bytes of what it refers to is another name of that.
    db.execute_sql(
        "UPDATE asset SET transfer_size = coalesce("
        "(SELECT target.transfer_size FROM reference JOIN asset AS target "
        "ON target.repository_id = reference.repository_id AND target.path = reference.path "
        "WHERE reference.asset_id = asset.id AND target.blob_id = asset.blob_id), "
        "(SELECT sum(reference.size) + blob.size FROM reference, blob "
        "WHERE reference.asset_id = asset.id AND blob.id = asset.blob_id)) "
        "WHERE id BETWEEN ? AND ?",
        batch,
    )
    return batch[1]


def fill_components(db: Any, after: int) -> int | None:
    """Sum up components."""
    batch = _next(db, "component", after)
    if batch is None:
        return None
    db.execute_sql(
        "UPDATE component SET (size, downloaded_at) = "
        "(SELECT coalesce(sum(coalesce(asset.transfer_size, blob.size)), 0), "
        "coalesce(max(asset.downloaded_at), 0) FROM asset JOIN blob ON blob.id = asset.blob_id "
        "WHERE asset.component_id = component.id) WHERE id BETWEEN ? AND ?",
        batch,
    )
    return batch[1]


def fill_uses(db: Any, after: int) -> int | None:
    """Count which repositories and packages use a blob."""
    batch = _next(db, "blob", after)
    if batch is None:
        return None
    for table, owner in (
        ("blob_repository", "repository_id"),
        ("blob_package", "coalesce(package_id, -repository_id)"),
    ):
        db.execute_sql(
            f"INSERT INTO {table} SELECT blob_id, {owner} AS owner, count(*) "  # noqa: S608
            "FROM asset WHERE blob_id BETWEEN ? AND ? GROUP BY blob_id, owner",
            batch,
        )
    return batch[1]


def start_sums(db: Any, _after: int) -> int | None:
    """Make the rows for the sums of repositories and stores, and indexes to sum by."""
    db.execute_sql("INSERT INTO repository_usage (repository_id) SELECT id FROM repository")
    db.execute_sql(
        "INSERT INTO blob_store_usage SELECT store, count(*), sum(size), "
        "coalesce(sum(size) FILTER (WHERE released_at IS NOT NULL), 0) FROM blob GROUP BY store"
    )
    db.execute_sql("CREATE INDEX asset_sums ON asset (package_id)")
    db.execute_sql("CREATE INDEX component_sums ON component (package_id)")
    return None


def fill_package_sums(db: Any, after: int) -> int | None:
    """Sum up packages; what has nothing goes."""
    batch = _next(db, "package", after)
    if batch is None:
        return None
    db.execute_sql(
        "UPDATE package SET (assets, updated_at, downloaded_at) = "
        "(SELECT count(*), coalesce(max(updated_at), 0), coalesce(max(downloaded_at), 0) "
        "FROM asset WHERE asset.package_id = package.id), "
        "versions = (SELECT count(*) FROM component WHERE component.package_id = package.id "
        "AND version != ''), "
        "(size, own_size) = (SELECT coalesce(sum(size), 0), coalesce(sum(size) FILTER (WHERE "
        "NOT EXISTS (SELECT 1 FROM blob_package WHERE blob_id = used.id "
        "AND package_id != package.id)), 0) FROM (SELECT DISTINCT blob.id, blob.size FROM asset "
        "JOIN blob ON blob.id = asset.blob_id WHERE asset.package_id = package.id) AS used) "
        "WHERE id BETWEEN ? AND ?",
        batch,
    )
    db.execute_sql(
        "DELETE FROM package WHERE id BETWEEN ? AND ? AND assets = 0 AND versions = 0", batch
    )
    return batch[1]


def fill_repository_sums(db: Any, after: int) -> int | None:
    """Sum up one repository; only the sum is written."""
    query = "SELECT id FROM repository WHERE id > ? ORDER BY id LIMIT 1"
    found = db.execute_sql(query, (after,)).fetchone()
    if found is None:
        db.execute_sql("DROP INDEX asset_sums")
        db.execute_sql("DROP INDEX component_sums")
        return None
    db.execute_sql(
        "UPDATE repository_usage SET "
        "assets = (SELECT count(*) FROM asset WHERE repository_id = ?1), "
        "(components, versions) = (SELECT count(*), count(*) FILTER (WHERE version != '') "
        "FROM component WHERE repository_id = ?1), "
        "packages = (SELECT count(*) FROM package WHERE repository_id = ?1), "
        "(size, own_size) = (SELECT coalesce(sum(size), 0), coalesce(sum(size) FILTER (WHERE "
        "NOT EXISTS (SELECT 1 FROM blob_repository WHERE blob_id = used.id "
        "AND repository_id != ?1)), 0) FROM (SELECT DISTINCT blob.id, blob.size FROM asset "
        "JOIN blob ON blob.id = asset.blob_id WHERE asset.repository_id = ?1) AS used) "
        "WHERE repository_id = ?1",
        found,
    )
    return int(found[0])


BACKFILL = (
    ("component", fill_packages),
    ("reference", fill_references),
    ("asset", fill_assets),
    ("component", fill_components),
    ("blob", fill_uses),
    ("repository", start_sums),
    ("package", fill_package_sums),
    ("repository", fill_repository_sums),
)
