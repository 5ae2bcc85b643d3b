"""Read-only mode: what is stored stays as it is, whoever wants to change it."""

import sqlite3
import threading
from contextlib import closing

import peewee
import pytest

from repoman.config import DatabaseSettings
from repoman.content import NewAsset
from repoman.db.database import FILE, Database
from repoman.db.models import AssetRecord, RoleRecord, SessionRecord, UploadRecord, UserRecord
from repoman.db.read_only import EXEMPT_COLUMNS, EXEMPT_TABLES, REFUSAL
from repoman.db.topics import TOPICS
from repoman.errors import Conflict, Frozen, Unavailable
from repoman.uploads import UploadSessions


def add_role(name):
    RoleRecord.insert(id=name, name=name).execute()


def tables_of(database):
    """The tables that are no indexes, with the names of their columns."""
    sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'"
    names = [name for (name,) in database._sqlite.execute_sql(sql).fetchall()]
    return {
        name: [row[1] for row in database._sqlite.execute_sql(f"PRAGMA table_info({name})")]
        for name in names
        if name in TOPICS
    }


def is_refused(database, table):
    """Whether read-only mode refuses a row of a table, of which nothing stays."""
    try:
        with database.transaction(touches=()):
            database._sqlite.execute_sql(f"INSERT INTO {table} DEFAULT VALUES")
            raise Unavailable("The row is not to stay.")
    except Frozen:
        return True
    except (Unavailable, peewee.IntegrityError):
        return False


def test_nothing_is_added_changed_or_removed(database):
    add_role("before")
    database.freeze("ann")
    for change in (
        lambda: add_role("after"),
        lambda: RoleRecord.update(name="other").execute(),
        lambda: RoleRecord.delete().execute(),
    ):
        with pytest.raises(Frozen, match="read-only mode"):
            change()
    assert [(each.id, each.name) for each in RoleRecord.select()] == [("before", "before")]
    database.release()
    add_role("after")
    assert RoleRecord.select().count() == 2


def test_each_table_is_protected_or_named_as_an_exception(database):
    tables = tables_of(database)
    assert tables.keys() >= EXEMPT_TABLES
    assert {column for columns in tables.values() for column in columns} >= EXEMPT_COLUMNS
    database.freeze("ann")
    for name in tables:
        assert is_refused(database, name) is (name not in EXEMPT_TABLES), name


def test_what_happens_beside_is_noted(database, content, blob):
    content.save_asset(NewAsset("a", "file", blob, "text/plain"))
    UserRecord.insert(name="ann").execute()
    database.freeze("ann")
    AssetRecord.update(downloaded_at=1.0, checked_at=1.0).execute()
    UserRecord.update(last_login_at=1.0).execute()
    SessionRecord.insert(digest="d", user=1, realm="local", epoch=0, expires_at=1.0).execute()
    assert SessionRecord.select().count() == 1
    with pytest.raises(Frozen):
        AssetRecord.update(downloaded_at=2.0, path="b").execute()


def test_it_begins_and_ends_once_and_is_told(database):
    told = []
    database.on_change = lambda kind, target, _: told.append(kind)
    with pytest.raises(Conflict, match="not in read-only mode"):
        database.release()
    database.freeze("ann")
    assert database.read_only.state.actor == "ann"
    with pytest.raises(Conflict, match="already, by ann"):
        database.freeze("bob")
    database.release()
    assert database.read_only.state is None
    assert told == ["server.freeze", "server.release"]


def test_a_freeze_that_fails_leaves_everything_writable(database):
    def fail(*_):
        raise Unavailable("The audit log is full.")

    database.on_change = fail
    with pytest.raises(Unavailable):
        database.freeze("ann")
    database.on_change = None
    assert database.read_only.state is None
    add_role("after")


def test_other_processes_are_refused_at_once_and_notice_soon(database, tmp_path):
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        database.freeze("ann")
        with pytest.raises(sqlite3.IntegrityError, match=REFUSAL), other:
            other.execute("insert into role values ('r', 'r', '', '[]', '[]')")
        database.release()
        with other:
            other.execute("insert into role values ('r', 'r', '', '[]', '[]')")
            other.execute("insert into read_only values (1, 5.0, 'cli')")
    assert database.read_only.state is None
    database.notice_writes()
    assert database.read_only.state.actor == "cli"


def test_no_change_follows_a_freeze_however_many_write(database):
    frozen = []

    def write(worker):
        for number in range(100_000):
            try:
                add_role(f"{worker}-{number}")
            except Frozen:
                frozen.append(worker)
                return

    threads = [threading.Thread(target=write, args=(each,)) for each in range(4)]
    for each in threads:
        each.start()
    while RoleRecord.select().count() < 20:
        pass
    database.freeze("ann")
    count = RoleRecord.select().count()
    for each in threads:
        each.join(60)
    assert sorted(frozen) == [0, 1, 2, 3]
    assert RoleRecord.select().count() == count


def test_it_outlives_a_restart(database, tmp_path):
    database.freeze("ann")
    database.close()
    again = Database(tmp_path, DatabaseSettings())
    again.open()
    assert again.read_only.state.actor == "ann"
    with pytest.raises(Frozen):
        add_role("after")
    again.release()
    add_role("after")
    again.close()


def test_a_migration_changes_what_is_protected_and_a_kill_in_between_opens_nothing(
    database, tmp_path
):
    database.freeze("ann")
    database.read_only.lift()
    add_role("by a migration")
    database.read_only.restore()
    with pytest.raises(Frozen):
        add_role("after")
    database.read_only.lift()
    database.close()  # as a kill would
    again = Database(tmp_path, DatabaseSettings())
    again.open()
    with pytest.raises(Frozen):
        add_role("after")
    again.close()


def test_new_content_is_refused_before_its_bytes_are_taken(database, make_repository, blobs):
    sessions = UploadSessions(database, make_repository("files"), "default", blobs)
    upload = sessions.create("scope", "ann")
    database.freeze("ann")
    with pytest.raises(Frozen):
        sessions.create("scope", "ann")
    with pytest.raises(Frozen):
        sessions.open_sink(upload)
    database.release()
    with sessions.open_sink(upload) as sink:
        sink.write(b"bytes")
    assert sessions.offset(upload) == 5
    database.freeze("ann")
    sessions.cancel(upload)  # An upload that nobody continues may go.
    assert UploadRecord.select().count() == 0


def test_content_is_read_and_not_changed(database, content, blob):
    content.save_asset(NewAsset("a", "file", blob, "text/plain"))
    database.freeze("ann")
    asset = content.get_asset("a")
    with content.open_asset(asset) as file:
        assert file.read() == b"some bytes"
    with pytest.raises(Frozen):
        content.save_asset(NewAsset("b", "file", blob, "text/plain"))
    with pytest.raises(Frozen):
        content.delete_assets(["a"])
    assert content.find_asset("a") == asset


def test_keys_stay_as_they_are(database, tmp_path):
    database.freeze("ann")
    before = (tmp_path / "keys/secrets.key").read_bytes()
    with pytest.raises(Frozen):
        database.rotate_keys()
    assert (tmp_path / "keys/secrets.key").read_bytes() == before
