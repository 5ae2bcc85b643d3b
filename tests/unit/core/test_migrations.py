"""Databases of earlier versions keep their content when they are opened."""

import json
import shutil
import sqlite3
import uuid
from contextlib import closing

import pytest
from peewee import SqliteDatabase
from playhouse.migrations import Runner

from repoman.blob_records import list_released
from repoman.config import DatabaseSettings
from repoman.content import ContentStore
from repoman.db.database import FILE, Database
from repoman.db.migrating import MIGRATIONS
from repoman.db.models import UploadRecord, database_proxy
from repoman.security.session_records import find_session
from repoman.security.user_records import Status, find_user, update_user
from repoman.security.user_token_records import list_tokens
from repoman.tasks.task_records import find_task_by_uid, list_tasks
from tests.disk import file_store


@pytest.fixture
def make_database(tmp_path):
    """Make a database as it was after the given migration, with rows; then open it as now."""
    opened = []

    def make(migration: str, *rows: str) -> Database:
        old = tmp_path / "migrations"
        old.mkdir()
        for path in MIGRATIONS.glob("[0-9]*.py"):
            if path.stem <= migration:
                shutil.copy(path, old)
        sqlite = SqliteDatabase(str(tmp_path / FILE))
        with sqlite:
            Runner(sqlite, str(old)).up()
        sqlite.close()
        with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
            for row in rows:
                connection.execute(row)
        database = Database(tmp_path, DatabaseSettings())
        opened.append(database)
        database.open()
        return database

    yield make
    for database in opened:
        database.close()


def test_0003_puts_the_referrers_of_before_in_order(make_database, tmp_path):
    database = make_database(
        "0002_secrets",
        "insert into repository values (1, 'files', 'files', 'raw', 'hosted', 1, '{}', 0, 0)",
        "insert into blob values (1, 'default', 'ab', 3, 0, 0)",
        "insert into asset values (1, 1, null, 'z', 'file', 1, 'text/plain', '{}', 0, 0)",
        "insert into asset values (2, 1, null, 'a', 'file', 1, 'text/plain', '{}', 0, 0)",
        "insert into reference values (1, 1, 1, 'needs', 'target')",
        "insert into reference values (2, 1, 2, 'needs', 'target')",
    )
    content = ContentStore(database, 1, "default", file_store(tmp_path / "blobs"))
    assert [asset.path for asset in content.referring("target", "needs")] == ["a", "z"]
    assert [asset.path for asset in content.referring("target", "needs", "a")] == ["z"]


def test_0004_knows_nothing_of_the_caches_of_before(make_database, tmp_path):
    database = make_database(
        "0003_referrers_in_order",
        "insert into repository values (1, 'files', 'files', 'raw', 'proxy', 1, '{}', 0, 0)",
        "insert into blob values (1, 'default', 'ab', 3, 0, 0)",
        "insert into asset values (1, 1, null, 'a', 'file', 1, 'text/plain', '{}', 0, 0)",
    )
    content = ContentStore(database, 1, "default", file_store(tmp_path / "blobs"))
    assert content.get_asset("a").checked_at is None


def test_0007_finds_what_was_there_before(make_database, tmp_path):
    database = make_database(
        "0006_sealed_secrets",
        "insert into repository (id, name, key, format, type, is_online, settings, created_at, "
        "updated_at) values (1, 'files', 'files', 'raw', 'hosted', 1, '{}', 0, 0)",
        "insert into component values (1, 1, 'image', '', 'team/app', '', '{}', 0, 0)",
        "insert into component values (2, 1, 'tag', '', 'team/app', '1', '{}', 0, 0)",
    )
    content = ContentStore(database, 1, "default", file_store(tmp_path / "blobs"))
    assert [each.name for each in content.search("image", "m/a", 10)] == ["team/app"]
    assert content.search("tag", "m/a", 10) == []


def test_0008_marks_the_blobs_that_nothing_names(make_database):
    make_database(
        "0007_search",
        "insert into repository values (1, 'files', 'files', 'raw', 'hosted', 1, '{}', 0, 0, null)",
        "insert into blob values (1, 'default', 'ab', 3, 0, 0)",
        "insert into blob values (2, 'default', 'cd', 3, 0, 0)",
        "insert into asset values "
        "(1, 1, null, 'a', 'file', 1, 'text/plain', '{}', 0, 0, null, null)",
    )
    assert list_released("default", before=1, limit=9) == ["cd"]


def test_0012_gives_each_user_of_another_realm_what_is_theirs(make_database):
    user = "insert into user (id, name, realm, password_hash, is_active, created_at) values"
    token = (
        "insert into user_token "
        "(id, user_id, name, digest, repositories, names, actions, created_at) values"
    )
    upload = "insert into upload (id, repository_id, store, scope, actor, started_at) values"
    database = make_database(
        "0009_remotes",
        "insert into repository values (1, 'files', 'files', 'raw', 'hosted', 1, '{}', 0, 0, 0)",
        f"{user} (1, 'ann', 'local', '', 1, 0)",
        f"{user} (2, 'eve', 'ldap', '', 1, 0)",
        f"{token} ('a', 1, 'ci', 'd', '[]', '[]', '[]', 0)",
        f"{token} ('e', 2, 'ci', 'd', '[]', '[]', '[]', 0)",
        "insert into session (digest, user_id, epoch, address, agent, created_at, "
        "seen_at, expires_at) values ('s', 1, 0, '', '', 0, 0, 1e12)",
        f"{upload} ('x', 1, 'default', '', 'ann', 0)",
        f"{upload} ('y', 1, 'default', '', 'eve', 0)",
        f"{upload} ('z', 1, 'default', '', 'anonymous', 0)",
    )
    with database.transaction():
        assert [each.user for each in list_tokens()] == ["ann", "eve"]
        assert find_session("s") is None
        owners = [each.actor for each in UploadRecord.select().order_by(UploadRecord.id)]
        assert owners == ["ann", "ldap:eve", "anonymous"]
        update_user("eve", realm="other")
        assert [each.user for each in list_tokens()] == ["ann"]


def test_0031_turns_the_switch_of_a_user_into_a_status(make_database):
    user = "insert into user (name, realm, password_hash, is_active, created_at) values"
    make_database(
        "0029_proxied_assets",
        f"{user} ('ann', 'local', 'hash', 1, 0)",
        f"{user} ('bob', 'ldap', '', 0, 0)",
    )
    ann, bob = find_user("ann"), find_user("bob")
    assert (ann.status, ann.is_active, ann.password_hash) == (Status.ACTIVE, True, "hash")
    assert (bob.status, bob.is_active, bob.realm) == (Status.DISABLED, False, "ldap")


def test_0039_lets_no_write_merge_whole_levels_of_a_search_index(database):
    for name in ("component_index", "version_index"):
        found = database_proxy.execute_sql(
            f"SELECT v FROM {name}_config WHERE k = ?", ["crisismerge"]
        )
        assert found.fetchall() == [(1000,)]


def test_0036_gives_each_task_an_id_of_its_own(make_database):
    task = "insert into task (id, type, name, settings, schedule, is_enabled) values"
    database = make_database(
        "0029_proxied_assets",
        f"{task} (1, 'blobstore.verify', 'a', '{{}}', '{{}}', 1)",
        f"{task} (2, 'blobstore.verify', 'b', '{{}}', '{{}}', 1)",
    )
    first, second = list_tasks()
    assert uuid.UUID(first.uid) != uuid.UUID(second.uid)
    assert (first.kept, find_task_by_uid(second.uid)) == ({}, second)
    assert database.read_only.state is None


def test_0068_takes_long_annotations_out_of_the_rows(make_database, tmp_path):
    asset = (
        "insert into asset (id, repository_id, path, kind, blob_id, media_type, attributes, "
        "created_at, updated_at, transfer_size, uploader, uploader_address) values"
    )
    short, long = {"annotations": {"a": "b"}}, {"annotations": {"a": "b" * 20_000}, "digest": "d"}
    told = {"short": short, "long": long, "other": {"text": "b" * 20_000}}
    database = make_database(
        "0067_version_orders",
        "insert into repository (id, name, key, format, type, is_online, settings, created_at, "
        "updated_at) values (1, 'files', 'files', 'raw', 'hosted', 1, '{}', 0, 0)",
        "insert into blob (id, store, digest, size, created_at) values (1, 'default', 'd', 1, 0)",
        *(
            f"{asset} ({number}, 1, '{path}', 'm', 1, '', '{json.dumps(attributes)}', 0, 0, 1, "
            "'', '')"
            for number, (path, attributes) in enumerate(told.items(), 1)
        ),
    )
    content = ContentStore(database, 1, "default", file_store(tmp_path / "blobs"))
    found = {path: each.attributes for path, each in content.existing(list(told)).items()}
    assert found == {**told, "long": {"annotations": {}, "digest": "d", "is_abridged": True}}


def test_0041_counts_the_first_image_of_an_index(make_database, tmp_path):
    asset = (
        "insert into asset (id, repository_id, path, kind, blob_id, media_type, attributes, "
        "created_at, updated_at, transfer_size, uploader, uploader_address) values"
    )
    refer = "insert into reference (repository_id, asset_id, source, kind, path) values"
    database = make_database(
        "0039_search_merges",
        "insert into repository (id, name, key, format, type, is_online, settings, created_at, "
        "updated_at) values (1, 'files', 'files', 'raw', 'hosted', 1, '{}', 0, 0)",
        *(
            f"insert into blob (id, store, digest, size, created_at) values "
            f"({number}, 'default', 'd{number}', {10**number}, 0)"
            for number in (1, 2, 3)
        ),
        f"{asset} (1, 1, 'index', 'm', 1, '', '{{}}', 0, 0, 10, '', '')",
        f"{asset} (2, 1, 'first', 'm', 2, '', '{{}}', 0, 0, 5000, '', '')",
        f"{asset} (3, 1, 'second', 'm', 3, '', '{{}}', 0, 0, 7000, '', '')",
        f"{asset} (4, 1, 'name', 't', 1, '', '{{}}', 0, 0, 10, '', '')",
        f"{asset} (5, 1, 'name of one', 't', 2, '', '{{}}', 0, 0, 5000, '', '')",
        f"{refer} (1, 1, 'index', 'child', 'absent')",
        f"{refer} (1, 1, 'index', 'child', 'first')",
        f"{refer} (1, 1, 'index', 'child', 'second')",
        f"{refer} (1, 4, 'name', 'tag', 'index')",
        f"{refer} (1, 5, 'name of one', 'tag', 'first')",
    )
    content = ContentStore(database, 1, "default", file_store(tmp_path / "blobs"))
    found = content.existing(["index", "first", "second", "name", "name of one"])
    assert {path: each.transfer_size for path, each in found.items()} == {
        "index": 5010,
        "first": 5000,
        "second": 7000,
        "name": 5010,
        "name of one": 5000,
    }
