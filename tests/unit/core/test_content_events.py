"""Each change of an asset is an event, in its own transaction: what, by whom, from where."""

import pytest

from repoman.content import BATCH_ASSETS, NewAsset
from repoman.events import event_records as records
from repoman.events.event import AuditEntry, Coordinate
from repoman.events.origin import SYSTEM, Origin, acting_as, acting_by, current_origin
from repoman.repositories.repository_records import delete_row
from tests.statements import executed_statements

AMY = Origin("amy", "local", "192.0.2.7", "files:http", "all", "request", {"token": "7"})


@pytest.fixture
def save(content, blob):
    def save(path, **values):
        content.save_asset(
            NewAsset(**{"path": path, "kind": "file", "blob": blob, "media_type": "", **values})
        )

    return save


def events(after=0):
    return records.list_events(after, 1000)


def changes():
    return [(each.path, bool(each.old_digest), bool(each.new_digest)) for each in events()]


def test_an_event_says_who_did_what_to_what(save, blob):
    component = Coordinate("file", "a.txt", "1", "docs")
    entry = AuditEntry("store", "a.txt", {"size": "10"})
    with acting_as(AMY):
        save("a.txt", component=component, audit=entry)
    [event] = events()
    assert (event.actor, event.realm, event.address, event.connector) == (
        "amy",
        "local",
        "192.0.2.7",
        "files:http",
    )
    assert (event.repository, event.requested, event.source) == ("files", "all", "request")
    assert (event.kind, event.path, event.component) == ("file", "a.txt", component)
    assert (event.old_digest, event.new_digest) == (None, blob.digest)
    assert (event.audit, event.attributes) == (entry, {"token": "7"})
    assert event.is_created
    assert not event.is_deleted


def test_creation_replacement_and_deletion_are_told_apart(content, save):
    save("a")
    save("a")
    content.delete_assets(["a", "b"])
    assert changes() == [("a", False, True), ("a", True, True), ("a", True, False)]
    ids = [each.id for each in events()]
    assert ids == sorted(set(ids))


def test_a_change_writes_one_statement_more(save):
    with executed_statements() as statements:
        save("a")
    assert sum("content_event" in each for each in statements) == 1


def test_what_is_rolled_back_is_no_event(content, save):
    def fail():
        with content.transaction():
            save("a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert events() == []


def test_a_deletion_keeps_its_order_and_its_words(content, save):
    component = Coordinate("file", "a")
    for path in ("a", "b", "c"):
        save(path, component=component)
    words = {"c": AuditEntry("delete", "see")}
    content.delete_assets(["c", "a", "b"], words)
    gone = events()[3:]
    assert [(each.path, each.audit) for each in gone] == [
        ("c", words["c"]),
        ("a", None),
        ("b", None),
    ]
    assert {each.component for each in gone} == {component}


def test_the_assets_of_a_deleted_component_are_told(content, save):
    component = Coordinate("file", "a", "1")
    save("a", component=component)
    save("b", component=component)
    save("c")
    assert content.delete_component(component)
    assert not content.delete_component(component)
    assert sorted(each.path for each in events() if each.is_deleted) == ["a", "b"]


def test_a_deletion_of_many_is_one_statement_for_each_batch(content, save, database):
    with database.transaction():
        for number in range(BATCH_ASSETS + 1):
            save(f"{number:03}")
    with executed_statements() as statements:
        content.delete_assets(f"{number:03}" for number in range(BATCH_ASSETS + 1))
    assert sum("INTO content_event" in each for each in statements) == 2
    gone = events(after=BATCH_ASSETS + 1)
    assert [each.is_deleted for each in gone] == [True] * (BATCH_ASSETS + 1)


def test_events_outlive_their_repository(content, save, database):
    save("a")
    with database.transaction():
        delete_row(1)
    assert [(each.repository_id, each.repository) for each in events()] == [(1, "files")]


def test_nobody_in_particular_is_the_program():
    assert current_origin() == SYSTEM
    with acting_as(AMY), acting_by("fetch"):
        assert (current_origin().actor, current_origin().source) == ("amy", "fetch")
    assert current_origin() == SYSTEM
