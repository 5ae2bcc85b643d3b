"""What a write changes, and what was read from what: found from the statements themselves."""

from dataclasses import replace

import pytest

from repoman.config import DatabaseSettings
from repoman.content import NewAsset
from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.db.models import UserRecord, database_proxy
from repoman.db.settings_models import OptionRecord
from repoman.db.topics import TOPICS, content_topic, read_tables, written_table
from repoman.security.user_records import find_user, insert_user, update_user


@pytest.fixture
def moved(database):
    """Return the topics that moved since the last call."""
    seen = {}

    def moved():
        names = {*TOPICS.values(), *(content_topic(number) for number in range(1, 9))}
        now = {name: database.topics.number(name) for name in names}
        changed = {name for name in names if now[name] != seen.get(name, 0)}
        seen.update(now)
        return changed

    return moved


def asset(path, blob):
    return NewAsset(path, "file", blob, "text/plain")


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ('INSERT INTO "user" ("name") VALUES (?)', "user"),
        ('INSERT OR REPLACE INTO "option" VALUES (?)', "option"),
        ("REPLACE INTO secret VALUES (?)", "secret"),
        ('UPDATE "asset" SET "path" = ?', "asset"),
        ("  delete from blob", "blob"),
        ('WITH x AS (SELECT 1) DELETE FROM "session"', "session"),
        ('SELECT * FROM "user"', None),
        ("PRAGMA data_version", None),
        ("WITH x AS (SELECT 1) SELECT * FROM x", None),
    ],
)
def test_the_table_that_a_statement_writes(sql, table):
    assert written_table(sql) == table


def test_the_tables_that_a_statement_reads():
    sql = 'SELECT a FROM "asset" AS "t1" INNER JOIN "blob" AS "t2" ON x JOIN json_each(?)'
    assert read_tables(sql) == {"asset", "blob"}
    sql = "WITH found(value) AS (SELECT name FROM component), x AS (SELECT 1) SELECT * FROM found"
    assert read_tables(sql) == {"component"}


def test_a_write_moves_the_topic_of_its_table(database, moved):
    moved()
    with database.transaction():
        insert_user("ann", "")
    assert moved() == {"security"}
    with database.transaction():
        insert_user("bob", "")
        OptionRecord.insert(name="a", value={}).execute()
    assert moved() == {"security", "options"}


def test_content_moves_for_its_repository_only(make_content, blob, moved):
    one, two = make_content("one"), make_content("two")
    moved()
    one.save_asset(asset("a", blob))
    assert moved() == {content_topic(1)}
    with two.transaction():
        two.save_asset(asset("a", blob))
        one.delete_assets(["a"])
    assert moved() == {content_topic(1), content_topic(2)}


def test_content_of_nobody_knows_which_repository_moves_for_all(database, content, blob, moved):
    content.save_asset(asset("a", blob))
    moved()
    with database.transaction():
        database_proxy.execute_sql("UPDATE asset SET kind = 'x'")
    assert moved() == {"content"}


def test_a_cached_asset_ends_with_either(database, content, blob):
    content.save_asset(asset("a", blob))
    before = content.find_asset("a")
    database_proxy.execute_sql("UPDATE asset SET kind = 'x'")
    assert content.find_asset("a") == replace(before, kind="x")


def test_a_transaction_may_say_what_it_changes(database, moved):
    moved()
    with database.transaction(touches=()):
        insert_user("ann", "")
    assert moved() == set()
    with database.transaction(touches=["options"]):
        insert_user("bob", "")
    assert moved() == {"options"}


def test_a_write_to_a_table_that_is_not_listed_is_an_error(database):
    database_proxy.execute_sql("CREATE TABLE novelty (id INTEGER)")
    with pytest.raises(LookupError, match="novelty has no entry"):
        database_proxy.execute_sql("INSERT INTO novelty VALUES (1)")


def test_what_was_taken_back_moves_nothing_and_confuses_nobody(database, moved):
    def fail():
        with database.transaction():
            database.bump("a")
            insert_user("ann", "")
            raise ZeroDivisionError

    moved()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert moved() == set()
    assert database.topics.number("a") == database.revision("a") == 0


def test_a_bump_that_an_inner_block_takes_back_is_not_published(database):
    def fail():
        with database.transaction():
            database.bump("a")
            raise ZeroDivisionError

    with database.transaction():
        with pytest.raises(ZeroDivisionError):
            fail()
        insert_user("ann", "")
    assert database.topics.number("a") == database.revision("a") == 0


def test_a_bump_that_was_taken_back_does_not_stand_for_a_later_write(database, moved):
    def fail():
        with database.transaction():
            database.bump("security")
            raise ZeroDivisionError

    moved()
    with database.transaction():
        with pytest.raises(ZeroDivisionError):
            fail()
        insert_user("ann", "")
    assert moved() == {"security"}
    assert database.topics.number("security") == database.revision("security")


def test_another_process_says_what_it_has_changed(database, tmp_path, moved):
    database.notice_writes()
    moved()
    other = Database(tmp_path, DatabaseSettings())
    with other.transaction():
        other._sqlite.execute_sql("INSERT INTO option (name, value) VALUES ('a', '{}')")
    other.close()
    assert moved() == set()
    database.notice_writes()
    assert moved() == {"options"}


# --- Caches --------------------------------------------------------------------------------------


@pytest.fixture
def reads():
    """What was really read."""
    return []


@pytest.fixture
def get_user(database, reads):
    """Read a user through a cache."""
    cache = ReadCache(database)

    def get(name):
        def read():
            reads.append(name)
            return find_user(name)

        return cache.get(name, read)

    return get


def test_only_what_was_read_ends_what_is_cached(database, reads, get_user, content, blob):
    insert_user("ann", "")
    get_user("ann")
    content.save_asset(asset("a", blob))
    OptionRecord.insert(name="a", value={}).execute()
    get_user("ann")
    assert reads == ["ann"]
    update_user("ann", email="a@example.com")
    assert get_user("ann").email == "a@example.com"


def test_a_cache_over_a_cache_depends_on_what_that_one_has_read(database, reads, get_user):
    insert_user("ann", "")
    get_user("ann")
    outer = ReadCache(database)
    emails = [outer.get("x", lambda: get_user("ann").email) for _ in range(2)]
    update_user("ann", email="a@example.com")
    emails.append(outer.get("x", lambda: get_user("ann").email))
    assert emails == ["", "", "a@example.com"]


def test_content_that_was_read_of_any_repository_is_not_cached(database, content, blob):
    cache = ReadCache(database)
    sql = "SELECT count(*) FROM asset"

    def count():
        return cache.get("all", lambda: database_proxy.execute_sql(sql).fetchone()[0])

    assert count() == 0
    content.save_asset(asset("a", blob))
    assert count() == 1


def test_what_is_read_is_collected(database, get_user, content):
    insert_user("ann", "")
    get_user("ann")
    with database.topics.reading() as read:
        get_user("ann")
        content.find_asset("a")
    assert read.is_complete
    assert set(read) == {"security", "content", content_topic(1)}
    with database.topics.reading() as read:
        UserRecord.select().count()
        content.list_assets("file", "", 10)
    assert (set(read), read.is_complete) == ({"security", "content"}, False)
