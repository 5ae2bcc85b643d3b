"""A database as the code of before wrote it, with content: ``python -m tests.before DIRECTORY``.

Run as a program, it migrates the database in a directory and tells of each step, so that a test can
kill it anywhere.
"""

import json
import logging
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from peewee import SqliteDatabase
from playhouse.migrations import Runner

from repoman.config import DatabaseSettings
from repoman.db import migrating
from repoman.db.database import FILE, KEY_FILE, Database
from repoman.db.migrating import MIGRATIONS
from repoman.keyring import Keyring

LAST = "0016_connector_states"
IMAGES = 40
TAGS = 30  # of each image
FILES = 1200
LAYER = 1000  # bytes of each; all images share the first one
MANIFEST = 10


def make_database(directory: Path) -> None:
    """Make a database of before, which lacks all later migrations, and fill it."""
    directory.mkdir(parents=True)
    old = directory / "migrations"
    old.mkdir()
    for path in MIGRATIONS.glob("[0-9]*.py"):
        if path.stem <= LAST:
            shutil.copy(path, old)
    sqlite = SqliteDatabase(str(directory / FILE))
    with sqlite:
        Runner(sqlite, str(old)).up()
    sqlite.close()
    shutil.rmtree(old)
    keyring = Keyring(directory / KEY_FILE)
    keyring.open(may_make=True)
    with closing(sqlite3.connect(directory / FILE)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = 1")
        _Filler(connection).fill(json.dumps(keyring.seal("a key")))


class _Filler:
    """Writes rows as the code of before did."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ids = 0

    def fill(self, secret: str) -> None:
        """Fill every table."""
        for id_, name, format_, type_ in (
            (1, "images", "docker", "hosted"),
            (2, "files", "raw", "hosted"),
            (3, "hub", "docker", "proxy"),
        ):
            settings = '{"storage": {"blob_store": "default"}}'
            self._insert("repository", id_, name, name, format_, type_, 1, settings, 1.0, 1.0, 0)
        self._insert("connector", 5000, "http", 1)
        self._insert("connector_state", "main", "", "http://localhost:8081", "in use")
        self._insert("remote", 3, "blocked", "timed out", '{"left": 1}', 1.0, 2.0)
        self._insert("blob_store", "default", "i" * 32)
        for name, is_active in (("ann", 1), ("bob", 0)):
            person = (name.title(), "Smith", f"{name}@example.com", '["team"]', "[]")
            self._insert("user", None, name, "x", is_active, 2.0, "local", *person, 3, None)
        self._insert("session", "digest", 1, 0, "", "", 1.0, 1.0, 9e12, "local")
        rights = ('["images"]', '["team/*"]', '["read"]')
        self._insert("user_token", "t1", 1, "build", "digest", *rights, 1.0, None, 2.0, "local")
        self._insert("content_selector", "team", "of a team", 'path =^ "/v2/team/"')
        privilege = ("repository-content-selector", "reads", '{"contentSelector": "team"}')
        self._insert("privilege", "team-read", *privilege)
        self._insert("role", "team", "Team", "a team", '["team-read"]', '["nx-anonymous"]')
        self._insert("option", "audit", '{"enabled": false}')
        self._insert("secret", "token-key", secret)
        self._insert("revision", "security", 7)
        self._insert("revision", "audit-file", 1)
        self._insert(
            "audit", None, 5.0, "content", "push", "ann", "", "", "", "images", "x", 1, "{}"
        )
        self._insert("upload", "u" * 32, 1, "default", "team/app", "ann", 6.0)
        shared = self._blob(LAYER)
        for number in range(IMAGES):
            self._image(f"team/app-{number:03}", shared)
        for number in range(FILES):
            path = f"docs/{number:04}"
            component = self._component(2, "file", "docs", path, "")
            self._asset(2, component, path, "file", self._blob(number))
        self._blob(77, released=1.0)

    def _image(self, name: str, shared: int) -> None:
        image = self._component(1, "image", "", name, "")
        layer = self._asset(1, None, f"blobs/shared/{name}", "blob", shared)
        for number in range(TAGS):
            path = f"manifests/{name}/{number}"
            manifest_blob = self._blob(MANIFEST)
            manifest = self._asset(1, image, path, "manifest", manifest_blob)
            self._refer(manifest, "blob", f"blobs/shared/{name}", path)
            tag = self._component(1, "tag", "", name, f"v1.{number}-rc{number % 2}")
            source = f"tags/{name}/v1.{number}"
            named = self._asset(1, tag, source, "tag", manifest_blob, downloaded=float(number))
            self._refer(named, "tag", path, source)
        assert layer

    def _blob(self, size: int, released: float | None = None) -> int:
        self._ids += 1
        digest = f"{self._ids:064}"
        self._insert("blob", self._ids, "default", digest, size, 1.0, 1.0, released)
        return self._ids

    def _component(
        self, repository: int, kind: str, namespace: str, name: str, version: str
    ) -> int:
        columns = (
            "repository_id, kind, namespace, name, version, attributes, created_at, updated_at"
        )
        cursor = self._connection.execute(
            f"INSERT INTO component ({columns}) VALUES (?, ?, ?, ?, ?, '{{}}', 1.0, 1.0)",
            (repository, kind, namespace, name, version),
        )
        return int(cursor.lastrowid or 0)

    def _asset(
        self,
        repository: int,
        component: int | None,
        path: str,
        kind: str,
        blob: int,
        downloaded: float | None = None,
    ) -> int:
        columns = (
            "repository_id, component_id, path, kind, blob_id, media_type, attributes, "
            "created_at, updated_at, downloaded_at"
        )
        cursor = self._connection.execute(
            f"INSERT INTO asset ({columns}) VALUES (?, ?, ?, ?, ?, 'x/y', '{{}}', 1.0, 4.0, ?)",
            (repository, component, path, kind, blob, downloaded),
        )
        return int(cursor.lastrowid or 0)

    def _refer(self, asset: int, kind: str, path: str, source: str) -> None:
        self._insert("reference", None, 1, asset, kind, path, source)

    def _insert(self, table: str, *values: object) -> None:
        marks = ", ".join("?" * len(values))
        self._connection.execute(f'INSERT INTO "{table}" VALUES ({marks})', values)


def migrate(directory: Path) -> None:
    """Open the database, which migrates it, and tell of each step."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    migrating.PROGRESS_INTERVAL_S = 0.0
    database = Database(directory, DatabaseSettings())
    database.open()
    database.close()


if __name__ == "__main__":
    migrate(Path(sys.argv[1]))
