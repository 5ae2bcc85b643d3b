"""Histories of paths: what they tell, from which indexes, and assets in the trash."""

import pytest

from repoman.blobs.upload import store_bytes
from repoman.content import NewAsset, Reference
from repoman.content_records import trash_path, trashed_kind
from repoman.db.models import database_proxy
from repoman.events.event import Coordinate
from repoman.events.event_records import MAX_ID
from repoman.events.history_records import list_departures, list_history
from tests.statements import executed_statements

DAY_S = 86_400.0


@pytest.fixture
def save(content, store):
    def save(path, text, name="shelf", **more):
        where = Coordinate("book", name, path)
        content.save_asset(
            NewAsset(path, "file", store(text), "text/plain", component=where, **more)
        )

    return save


@pytest.fixture
def store(blobs):
    return lambda text: store_bytes(blobs, text.encode())


@pytest.fixture
def set_times():
    """Have the events happened at these times, in their order."""

    def set_times(*times):
        for number, at in enumerate(times, 1):
            database_proxy.execute_sql("UPDATE content_event SET at = ? WHERE id = ?", (at, number))

    return set_times


def test_the_state_at_a_time_is_what_the_next_event_replaced(
    database, content, save, store, set_times
):
    save("a", "one")
    save("a", "two")
    content.delete_assets(["a"])
    save("b", "one")
    with database.transaction(touches=()):
        set_times(10, 20, 30, 40)
    one, two = store("one").digest, store("two").digest
    states = [content.histories.states_at(["a", "b", "c"], at) for at in (5, 10, 20, 30, 40)]
    assert states == [
        {"a": None, "b": None},
        {"a": one, "b": None},
        {"a": two, "b": None},
        {"b": None},
        {},
    ]
    assert content.histories.last_left("a") == two
    assert content.histories.last_left("b") is None
    assert content.histories.departed("file", 0, "", 10) == ["a"]
    assert content.histories.departed("file", 30, "", 10) == []
    assert content.histories.departed("file", 0, "", 10, "shelf") == ["a"]
    assert content.histories.departed("file", 0, "", 10, "other") == []
    assert content.histories.departed("file", 0, "a", 10) == []


def test_each_question_is_answered_from_an_index(content, save):
    for number in range(50):
        save(f"{number:03}", str(number))
        save(f"{number:03}", f"{number} again")
    with executed_statements() as statements:
        content.histories.states_at(["001", "002"], 0)
        content.histories.last_left("001")
        content.histories.departed("file", 0, "", 10)
        list_history(1, "file", "001", MAX_ID, 10)
        list_departures(1, "file", MAX_ID, 10)
    asked = [each for each in statements if "content_event" in each]
    assert len(asked) == 5
    for statement in asked:
        plan = [row[3] for row in database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {statement}")]
        assert any("content_event_" in step for step in plan), (statement, plan)
        assert not any(step.startswith("SCAN content_event") for step in plan), (statement, plan)
        is_sorted = "DISTINCT" in statement  # Of these the paths are put in order.
        assert is_sorted or not any("TEMP B-TREE" in step for step in plan), (statement, plan)


def test_what_is_in_the_trash_is_nowhere_but_keeps_what_it_refers_to(content, save):
    save("part", "part", name="parts")
    save("a", "one", references=(Reference("part", "part"),), attributes={"told": 1})
    assert content.trash_assets(["a", "none"]) == 1
    assert content.find_asset("a") is None
    assert not content.has_component(Coordinate("book", "shelf", "a"))
    assert content.referenced(["part"]) == {"part"}
    assert content.referring("part", "part") == []
    assert content.referring("part", trashed_kind("part"))[0].path == trash_path("a")
    found = content.find_asset(trash_path("a"))
    assert (found.kind, found.attributes) == (trashed_kind("file"), {"told": 1})
    assert content.graph.nodes([found.path])[found.path].released_at > 0
    save("a", "one", references=(Reference("part", "part"),))
    content.trash_assets(["a"])  # The older one goes.
    assert len(content.list_assets(trashed_kind("file"), "", 10)) == 1
    content.delete_assets([trash_path("a")])
    assert content.referenced(["part"]) == set()
