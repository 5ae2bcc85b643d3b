"""Components are found by any part of their names and descriptions."""

import sqlite3
from contextlib import closing

import pytest

from repoman import search as search_module
from repoman.content import NewAsset
from repoman.db.database import FILE
from repoman.db.models import ComponentRecord, RepositoryRecord, database_proxy
from repoman.events.event import Coordinate
from repoman.search import SHIFT, TEXT_MAX_CHARS

NAMES = [
    "team/app",
    "team/web-app",
    "application",
    "100%_pure",
    'say"hi"',
    "with-'quote'",
    "über/größe",
    "-in-front",
    "a OR b AND c",
    "star*",
    "a.b",
    "name:app",
    "(paren)",
]


@pytest.fixture
def filled(content):
    """A repository with a component of each name, and one with a description."""
    for each in NAMES:
        content.save_component(Coordinate("image", each))
    content.save_component(Coordinate("image", "billing"))
    content.describe_component(Coordinate("image", "billing"), "Sends Invoices to customers")
    return content


def names(content, text, limit=100, is_visible=None, kind="image"):
    return [each.name for each in content.search(kind, text, limit, is_visible)]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_found_by_each_part_of_it_in_any_case(filled, name):
    for start in range(len(name) - 2):
        for end in range(start + 3, len(name) + 1):
            part = name[start:end]
            if part == part.strip() and " " not in part:
                assert name in names(filled, part)
                assert name in names(filled, part.upper().replace("SS", "ß"))


def test_it_finds_nothing_else(filled):
    assert sorted(names(filled, "app")) == ["application", "name:app", "team/app", "team/web-app"]
    assert names(filled, "absent") == []
    assert names(filled, "%") == names(filled, "_") == ["100%_pure"]
    assert names(filled, "%_%") == []
    assert names(filled, "app*") == names(filled, "a?p") == []
    assert names(filled, 'app" OR "team') == []
    assert names(filled, "name:") == ["name:app"], "no column of the index"


def test_a_description_is_found_and_shown(filled):
    [found] = filled.search("image", "INVOICE", 100)
    assert (found.name, found.description) == ("billing", "Sends Invoices to customers")


def test_all_words_have_to_be_there_in_any_order(filled):
    assert names(filled, "app team") == ["team/app", "team/web-app"]
    assert names(filled, "customers billing") == ["billing"]
    assert names(filled, "app absent") == []
    assert names(filled, "web in") == []
    assert names(filled, "we app te") == ["team/web-app"], "short words beside a long one"


def test_short_words_are_found_anywhere_in_names_their_beginnings_first(filled):
    assert names(filled, "te") == ["team/app", "team/web-app", "with-'quote'"]
    assert names(filled, "A.") == ["a.b"]
    assert names(filled, "a b") == ["a OR b AND c", "a.b", "team/web-app"]
    assert names(filled, "pp") == ["application", "name:app", "team/app", "team/web-app"]
    assert names(filled, "pp ap ng") == []
    content = filled
    content.save_component(Coordinate("image", "Team/DB"))
    assert names(content, "db") == ["Team/DB"]


def test_short_words_are_looked_for_in_so_many_names(filled, monkeypatch):
    assert len(names(filled, "r")) > 3
    monkeypatch.setattr(search_module, "EXAMINED_MAX_NAMES", 3)
    assert names(filled, "r") == ["(paren)", "-in-front", "100%_pure"]


def test_no_text_finds_all_by_name(filled):
    assert names(filled, "") == names(filled, "  ") == sorted([*NAMES, "billing"])
    assert names(filled, "", limit=3) == sorted([*NAMES, "billing"])[:3]


def test_the_name_itself_comes_first_then_what_begins_with_it(content):
    for each in ("my/app", "apple", "other-app", "app", "app/two"):
        content.save_component(Coordinate("image", each))
    assert names(content, "app") == ["app", "app/two", "apple", "my/app", "other-app"]
    assert names(content, "app", limit=4) == ["app", "app/two", "apple", "my/app"]


@pytest.mark.parametrize(
    "text", ["\0", "app\0", "x" * (TEXT_MAX_CHARS + 1), "NEAR(", '"', '""', "\ud800"]
)
def test_no_text_is_a_mistake(filled, text):
    assert names(filled, text) == [each for each in NAMES if text in each]


def test_what_may_not_be_seen_is_not_found_and_takes_no_place(filled):
    def is_visible(name):
        return name.startswith("team/")

    assert names(filled, "app", 2, is_visible) == ["team/app", "team/web-app"]
    assert names(filled, "", 100, is_visible) == ["team/app", "team/web-app"]


def test_only_names_are_found_not_their_versions_nor_other_kinds(content, blob):
    content.save_asset(NewAsset("a", "a", blob, "", component=Coordinate("image", "app")))
    content.save_asset(NewAsset("b", "a", blob, "", component=Coordinate("tag", "app", "1.0")))
    content.save_component(Coordinate("file", "app-file"))
    assert names(content, "app") == ["app"]
    assert names(content, "app", kind="file") == ["app-file"]
    assert names(content, "app", kind="tag") == []
    assert names(content, "1.0", kind="tag") == []


def test_a_repository_finds_its_own_alone(make_content):
    one, two = make_content("one"), make_content("two")
    one.save_component(Coordinate("image", "team/app"))
    two.save_component(Coordinate("image", "team/app-two"))
    assert names(one, "app") == ["team/app"]
    assert names(two, "app") == ["team/app-two"]


def test_what_is_deleted_or_told_otherwise_is_not_found_any_more(filled, blob):
    filled.describe_component(Coordinate("image", "billing"), "Something else")
    assert names(filled, "invoice") == []
    assert names(filled, "something") == ["billing"]
    assert filled.delete_component(Coordinate("image", "billing"))
    assert names(filled, "something") == names(filled, "billing") == []
    filled.save_asset(NewAsset("a", "a", blob, "", component=Coordinate("image", "short-lived")))
    filled.delete_assets(["a"])
    assert names(filled, "lived") == []


def test_what_is_rolled_back_was_never_there(filled):
    def fail():
        with filled.transaction():
            filled.save_component(Coordinate("image", "rolled-back"))
            assert names(filled, "rolled-back") == ["rolled-back"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(filled, "rolled") == []


def test_a_deleted_repository_leaves_nothing_in_the_index(database, filled):
    with database.transaction():
        RepositoryRecord.delete().execute()
    assert not ComponentRecord.select().exists()
    left = database_proxy.execute_sql(
        "SELECT count(*) FROM component_index WHERE component_index MATCH '\"app\"'"
    )
    assert left.fetchone() == (0,)


def test_the_index_agrees_with_the_rows_whoever_changes_them(tmp_path, database, filled):
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = 1")
        connection.execute("UPDATE component SET name = name || '-moved', description = 'x'")
        connection.execute("DELETE FROM component WHERE name LIKE 'team%'")
        rows = connection.execute("SELECT repository_id, id, name FROM component").fetchall()
        for word, expected in (("moved", rows), ("team", [])):
            found = connection.execute(
                "SELECT rowid FROM component_index WHERE component_index MATCH ?", [word]
            )
            assert {row for (row,) in found} == {r << SHIFT | i for r, i, _ in expected}
    assert sorted(names(filled, "moved")) == sorted(name for _, _, name in rows)
