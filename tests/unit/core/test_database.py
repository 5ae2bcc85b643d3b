"""The database: schema, transactions, failures of the disk, other processes."""

import sqlite3
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from peewee import SqliteDatabase

from repoman.config import DatabaseSettings
from repoman.db.database import FILE, Database
from repoman.db.models import MODELS, Revision, database_proxy
from repoman.db.settings_models import SETTINGS_MODELS
from repoman.db.topics import TOPICS
from repoman.db.usage_models import USAGE_MODELS
from repoman.errors import Invalid, StorageFull, Unavailable


def names():
    return sorted(name for (name,) in Revision.select(Revision.name).tuples())


def insert(name, size=0):
    Revision.insert(name=name + "x" * size, value=1).execute()


# --- Schema --------------------------------------------------------------------------------------


ALL_MODELS = (*MODELS, *USAGE_MODELS, *SETTINGS_MODELS)
# The tables of migrations and of SQLite, and those that are used by plain SQL alone.
NO_MODELS = {"schema_migration", "migration_backfill", "sqlite_schema", "content_event", "follower"}
NO_MODELS |= {"pull_day", "read_only", "blob_verification", "damaged_blob", "repository_move"}
NO_MODELS |= {"version_order"}


def schema_of(connection, tables):
    """Columns, indexes and foreign keys by table, as far as they change what rows may be."""
    found = {}
    for table in tables:
        columns = connection.execute(f"pragma table_info('{table}')").fetchall()
        indexes = [
            (unique, tuple(row[2] for row in connection.execute(f"pragma index_info('{name}')")))
            for _, name, unique, *_ in connection.execute(f"pragma index_list('{table}')")
        ]
        # Models do not have indexes of expressions.
        indexes = [each for each in indexes if None not in each[1]]
        keys = connection.execute(f"pragma foreign_key_list('{table}')").fetchall()
        found[table] = (
            sorted((name, kind, notnull, pk) for _, name, kind, notnull, _, pk in columns),
            sorted(indexes),
            sorted((key[2], key[3], key[4], key[6]) for key in keys),
        )
    return found


def test_the_migrated_schema_is_that_of_the_models(database, tmp_path):
    tables = [model._meta.table_name for model in ALL_MODELS]
    fresh = SqliteDatabase(str(tmp_path / "fresh.db"))
    with fresh.bind_ctx(ALL_MODELS), fresh.connection_context():
        fresh.create_tables(ALL_MODELS)
        expected = schema_of(fresh.connection(), tables)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        assert schema_of(connection, tables) == expected
    assert all(columns for columns, _, _ in expected.values())


def tables_of(tmp_path):
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        rows = connection.execute("pragma table_list")
        # Those behind the full-text index are of other kinds.
        return {name for schema, name, kind, *_ in rows if (schema, kind) == ("main", "table")}


def test_every_table_has_a_model(database, tmp_path):
    assert tables_of(tmp_path) - NO_MODELS == {model._meta.table_name for model in ALL_MODELS}


def test_every_table_has_a_topic(database, tmp_path):
    own = {"schema_migration", "sqlite_schema", "sqlite_sequence"}
    assert tables_of(tmp_path) - own == TOPICS.keys() - {"component_index", "version_index"}


def test_opening_again_keeps_what_is_there(database, tmp_path):
    insert("kept")
    database.close()
    again = Database(tmp_path, DatabaseSettings())
    again.open()
    assert names() == ["kept"]
    again.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database, tmp_path):
    database.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute(
            "insert into schema_migration (name, applied) values ('9999_later', '2030-01-01')"
        )
    with pytest.raises(Invalid, match=r"newer version.*9999_later"):
        database.open()


def test_the_database_syncs_its_log_together(database):
    [(mode,)] = database_proxy.execute_sql("pragma journal_mode").fetchall()
    [(synchronous,)] = database_proxy.execute_sql("pragma synchronous").fetchall()
    [(foreign_keys,)] = database_proxy.execute_sql("pragma foreign_keys").fetchall()
    assert (mode, synchronous, foreign_keys) == ("wal", 1, 1)


def test_the_database_is_readable_by_the_owner_alone(database, tmp_path):
    insert("something")
    files = list(tmp_path.glob(f"{FILE}*"))
    assert len(files) == 3  # with the write-ahead log and its index
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


# --- Transactions --------------------------------------------------------------------------------


def test_an_error_takes_back_the_whole_transaction(database):
    def insert_and_fail():
        with database.transaction():
            insert("one")
            with database.transaction():
                insert("two")
            raise ZeroDivisionError

    insert("before")
    with pytest.raises(ZeroDivisionError):
        insert_and_fail()
    assert names() == ["before"]


def test_an_error_caught_inside_takes_back_the_inner_block_only(database):
    def insert_and_fail():
        with database.transaction():
            insert("inner")
            raise ZeroDivisionError

    with database.transaction():
        insert("outer")
        with pytest.raises(ZeroDivisionError):
            insert_and_fail()
    assert names() == ["outer"]


def test_writers_of_several_threads_do_not_disturb_each_other(database):
    def count_up():
        for _ in range(50):
            with database.transaction():
                database.bump("counter")
        database.close()

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.revision("counter") == 200


def test_what_is_not_committed_is_seen_by_nobody_else(database):
    seen = []

    def look():
        seen.append(names())
        database.close()

    with database.transaction():
        insert("half")
        other = threading.Thread(target=look)
        other.start()
        other.join()
    assert seen == [[]]
    assert names() == ["half"]


def test_a_revision_counts_the_changes(database):
    assert database.revision("anything") == 0
    database.bump("anything")
    database.bump("anything")
    database.bump("else")
    assert (database.revision("anything"), database.revision("else")) == (2, 1)


# --- Waiting for other writers -------------------------------------------------------------------

BUSY_S = 0.4


@pytest.fixture
def impatient(tmp_path):
    """A database whose writers wait for a short time."""
    database = Database(tmp_path, DatabaseSettings(busy_timeout=BUSY_S))
    database.open()
    yield database
    database.close()


@pytest.fixture
def occupied(impatient, tmp_path):
    """Another process writes to it."""
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("begin immediate")
        yield other


def write(database):
    """Write, and return how long that took, or how long it took until it was refused."""
    begin = time.monotonic()
    try:
        with database.transaction():
            insert("written")
    except Unavailable:
        return time.monotonic() - begin, False
    finally:
        database.close()
    return time.monotonic() - begin, True


def test_one_deadline_counts_for_the_queue_and_for_other_processes(impatient, occupied):
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: write(impatient), range(5)))
    assert not any(is_written for _, is_written in answers)
    # Each by itself would make the last one wait five times as long.
    assert max(took for took, _ in answers) < 3 * BUSY_S
    assert min(took for took, _ in answers) > BUSY_S * 0.9


def test_a_writer_goes_on_when_the_other_process_ends(impatient, occupied):
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write, impatient)
        occupied.execute("rollback")
        assert writer.result()[1]


def test_reads_do_not_wait(impatient, occupied):
    assert names() == []
    assert impatient.check_readable() == ""


def test_what_goes_along_with_a_read_waits_briefly_and_then_not_at_all(
    impatient, occupied, monkeypatch
):
    monkeypatch.setattr("repoman.db.database.BRIEF_WAIT_S", 0.05)
    took = []
    for _ in range(3):
        with impatient.brief_waits():
            took.append(write(impatient))
    assert [is_written for _, is_written in took] == [False, False, False]
    assert sum(each for each, _ in took) < BUSY_S
    assert write(impatient)[0] > BUSY_S * 0.9  # others wait as before


def test_a_database_that_is_free_again_is_noticed_by_whoever_does_not_wait(impatient, occupied):
    with impatient.brief_waits():
        assert not write(impatient)[1]
        occupied.execute("rollback")
        assert write(impatient)[1]


def test_nobody_waits_for_long_at_the_end(impatient, occupied):
    impatient.end_waits(0.0)
    assert write(impatient)[0] < BUSY_S * 0.9


def test_whether_it_can_be_written_is_known_without_writing(impatient, tmp_path):
    moves = impatient.topics.moves
    assert impatient.check_writable() == ""
    assert impatient.topics.moves == moves
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(Unavailable):
            impatient.check_writable()


def test_nothing_new_is_stored_while_the_reserve_is_spent(impatient):
    impatient.reserve.is_spent = True
    with pytest.raises(StorageFull):
        impatient.check_writable()
    assert write(impatient)[1]  # what is no content


# --- Failures ------------------------------------------------------------------------------------


@pytest.fixture
def full_disk(database):
    """The database may not grow by a single page."""
    [(pages,)] = database_proxy.execute_sql("pragma page_count").fetchall()
    database_proxy.writer.execute(f"pragma max_page_count = {pages}")


def test_a_full_disk_is_said_and_nothing_of_the_transaction_stays(database, full_disk):
    def insert_both():
        with database.transaction():
            insert("small")
            insert("large", size=1_000_000)

    with pytest.raises(StorageFull):
        insert_both()
    assert names() == []


def test_a_full_disk_is_said_from_inside_a_nested_transaction(database, full_disk):
    def insert_both():
        with database.transaction():
            insert("small")
            with database.transaction():
                insert("large", size=1_000_000)

    with pytest.raises(StorageFull):
        insert_both()
    assert names() == []


def test_the_database_works_again_when_there_is_room(database, full_disk):
    with pytest.raises(StorageFull), database.transaction():
        insert("large", size=1_000_000)
    database_proxy.writer.execute("pragma max_page_count = 1000000")
    with database.transaction():
        insert("large", size=1_000_000)
    assert len(names()) == 1


def test_a_database_that_cannot_be_written_can_still_be_read(database):
    insert("before")
    database_proxy.writer.execute("pragma query_only = 1")
    with pytest.raises(Unavailable, match="readonly"), database.transaction():
        insert("after")
    assert names() == ["before"]


def test_another_program_that_holds_the_database_makes_it_busy(tmp_path):
    database = Database(tmp_path, DatabaseSettings(busy_timeout=0.05))
    database.open()
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    with closing(other):
        other.execute("begin immediate")
        with pytest.raises(Unavailable, match="busy"), database.transaction():
            insert("late")
        other.execute("rollback")
    with database.transaction():
        insert("in time")
    assert names() == ["in time"]
    database.close()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / FILE).write_bytes(b"this is a text, and not a short one" * 100)
    with pytest.raises(Unavailable):
        Database(tmp_path, DatabaseSettings()).open()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(Unavailable):
        Database(tmp_path / "taken" / "data", DatabaseSettings()).open()


def test_the_error_of_a_program_is_not_taken_for_one_of_the_disk(database):
    with pytest.raises(Exception, match="no such table") as caught:
        database_proxy.execute_sql("select * from nowhere")
    assert not isinstance(caught.value, Unavailable | StorageFull)


@pytest.mark.parametrize("place", ["header", "schema", "virtual table"])
def test_a_damaged_database_cannot_be_used_and_says_so(tmp_path, place):
    database = Database(tmp_path, DatabaseSettings())
    database.open()
    database_proxy.close_writer()  # The mode cannot change while another connection is open.
    database_proxy.execute_sql("PRAGMA journal_mode = DELETE")
    root = 0
    if place == "virtual table":
        query = "select rootpage from sqlite_schema where name = 'component_index_config'"
        [[root]] = database_proxy.execute_sql(query).fetchall()
        root -= 1
    database.close()
    with (tmp_path / "repoman.db").open("r+b") as file:
        file.seek(root * 4096 + (0 if place == "header" else 100 if root == 0 else 0))
        file.write(b"\xff" * 300)
    with pytest.raises(Unavailable, match="The database cannot be used"):
        use(Database(tmp_path, DatabaseSettings()))


def use(database):
    try:
        database.open()
        database_proxy.execute_sql("insert into component_index (rowid, name) values (1, 'x')")
    finally:
        database.close()
