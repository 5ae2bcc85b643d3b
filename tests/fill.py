"""Very much content, written past the application: the triggers of the database keep the sums."""

import sqlite3

VERSIONS = 20  # of each name
KINDS = ("image", "tag")
NOW = 1.7e9


def fill(connection: sqlite3.Connection, repositories: list[int], components: int) -> None:
    """Give each of the repositories its share of so many components, each with an asset."""
    (blob,) = connection.execute(
        "INSERT INTO blob (store, digest, size, created_at) VALUES ('default', ?, 100, 0) "
        "RETURNING id",
        ["f" * 64],
    ).fetchone()
    (part,) = connection.execute(
        "INSERT INTO blob (store, digest, size, created_at) VALUES ('default', ?, 100, 0) "
        "RETURNING id",
        ["e" * 64],
    ).fetchone()
    share = components // len(repositories)
    for repository in repositories:
        (first,) = connection.execute("SELECT coalesce(max(id), 0) FROM package").fetchone()
        connection.execute(_PACKAGES, (repository, share // VERSIONS))
        connection.execute(_COMPONENTS, (repository, first, VERSIONS, share, NOW))
        connection.execute(_ASSETS, (repository, blob))
        connection.execute(_LABELS, (repository,))
        connection.execute(_PART, (repository, part))
        connection.execute(_REFERENCES, (repository,))
        connection.commit()


_NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers LIMIT {0}) "
_NAME = "'team-' || (n % 97) || '/app-' || n"
_PACKAGES = (
    _NUMBERS.format("?2") + "INSERT INTO package (repository_id, kind, namespace, name) "
    f"SELECT ?1, 'image', '', {_NAME} FROM numbers"
)
_COMPONENTS = (
    _NUMBERS.format("?4") + "INSERT INTO component (repository_id, kind, namespace, name, version, "
    "description, package_id, version_key, is_prerelease, size, created_at, updated_at, "
    "downloaded_at) SELECT ?1, 'tag', '', package.name, '1.' || (n % ?3), '', package.id, "
    "'00011.00' || length(n % ?3) || (n % ?3) || '+', n % 10 = 0, 0, ?5, ?5 + n % 100000, n % 1000 "
    "FROM numbers JOIN package ON package.id = ?2 + 1 + n / ?3"
)
_ASSETS = (
    "INSERT INTO asset (repository_id, component_id, path, kind, blob_id, media_type, attributes, "
    "created_at, updated_at, package_id, uploader, uploader_address, downloaded_at) "
    "SELECT repository_id, id, 'tags/' || name || '/' || version, 'tag', ?2, 'x/y', '{}', "
    "created_at, updated_at, package_id, CASE id % 1000 WHEN 0 THEN 'rare' ELSE 'ci' END, '', "
    "downloaded_at FROM component WHERE repository_id = ?1"
)
_PART = (
    "INSERT INTO asset (repository_id, path, kind, blob_id, media_type, attributes, created_at, "
    "updated_at) VALUES (?1, 'parts/common', 'part', ?2, 'x/y', '{}', 0, 0)"
)
_REFERENCES = (
    "INSERT INTO reference (repository_id, asset_id, source, kind, path, size) SELECT "
    "repository_id, id, path, 'part', 'parts/common', 100 FROM asset WHERE repository_id = ?1 "
    "AND kind = 'tag' AND id % 10 = 0"
)
_LABELS = (
    "INSERT INTO label (component_id, name, value) SELECT id, 'build', id % 5000 FROM component "
    "WHERE repository_id = ?1"
)
