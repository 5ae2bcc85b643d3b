"""What is remembered of the cache of a proxy."""

import pytest

from repoman.blobs.upload import store_bytes
from repoman.content import ContentStore, NewAsset
from repoman.db.models import database_proxy
from repoman.events.pull_records import PullRow, save_pulls
from repoman.proxy.cache_records import _LONGEST_UNUSED, CacheRecords
from tests.statements import changed_rows


@pytest.fixture
def repository_id(make_repository):
    return make_repository("files")


@pytest.fixture
def content(database, blobs, repository_id):
    return ContentStore(database, repository_id, "default", blobs)


@pytest.fixture
def records(database, repository_id):
    return CacheRecords(database, repository_id)


@pytest.fixture
def save(content, blobs):
    def save(path, data=b"some bytes", kind="file", checked_at=None):
        blob = store_bytes(blobs, data)
        content.save_asset(NewAsset(path, kind, blob, "text/plain", checked_at=checked_at))

    return save


def test_a_check_is_remembered_with_the_asset(content, save):
    save("a", checked_at=5.0)
    assert content.get_asset("a").checked_at == 5.0


def test_a_check_can_be_renewed(content, records, save):
    save("a", checked_at=5.0)
    save("b", checked_at=5.0)
    records.mark_checked("a", 7.0)
    assert content.get_asset("a").checked_at == 7.0
    assert content.get_asset("b").checked_at == 5.0


def test_the_checks_below_a_prefix_can_be_forgotten(content, records, save):
    for path in ("tags/a/1", "tags/a/2", "tags/ab/1", "tags/A/1"):
        save(path, checked_at=5.0)
    records.forget_checks("tags/a/")
    checks = [content.get_asset(f"tags/{path}").checked_at for path in ("a/1", "a/2", "ab/1")]
    assert checks == [None, None, 5.0]
    assert content.get_asset("tags/A/1").checked_at == 5.0


def test_the_cache_token_is_none_at_first_and_moves(records):
    assert records.invalidated_at() == 0.0
    records.invalidate(9.0)
    assert records.invalidated_at() == 9.0


def test_the_size_counts_each_blob_once_and_no_other_repository(records, save, make_content, blobs):
    assert records.sizes() == (0, 0)
    save("a")
    save("b")
    save("c", b"more")
    other = store_bytes(blobs, b"of another repository")
    make_content("other").save_asset(NewAsset("a", "file", other, "text/plain"))
    assert records.sizes() == (14, 14)


def test_what_was_downloaded_longest_ago_comes_first(database, repository_id, records, save):
    for path in "abc":
        save(path)
    save("list", kind="list")
    future = 9_999_999_999.0
    with database.transaction():
        save_pulls([PullRow(repository_id, p, 1, future + n) for p, n in (("a", 2), ("b", 1))])
    found = records.longest_unused(["file"], 9)
    assert [row[:2] for row in found] == [("c", 10), ("b", 10), ("a", 10)]
    assert [used_at for *_, used_at in found[1:]] == [future + 1, future + 2]
    assert records.longest_unused(["file"], 1) == found[:1]


def test_what_is_longest_unused_is_found_by_an_index(database, records, save):
    save("a")
    with database.transaction():
        plan = database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {_LONGEST_UNUSED}", (1, "file", 9))
        steps = [row[-1] for row in plan]
    assert "asset_last_use" in steps[0]
    assert not any("TEMP B-TREE" in each for each in steps)


def test_of_several_kinds_the_oldest_are_found(records, save):
    for path, kind in (("a", "x"), ("b", "y"), ("c", "x")):
        save(path, kind=kind)
    assert [path for path, *_ in records.longest_unused(["y", "x"], 2)] == ["a", "b"]


def test_checks_are_forgotten_in_short_transactions(records, save, content, database, monkeypatch):
    monkeypatch.setattr("repoman.proxy.cache_records.FORGOTTEN_ROWS", 2)
    paths = [f"tags/a/{number}" for number in range(5)]
    for path in [*paths, "tags/b/1"]:
        save(path, checked_at=1.0)
    with changed_rows(database) as changes:
        records.forget_checks("tags/a/")
    assert len(changes) == 3
    assert {path: content.get_asset(path).checked_at for path in paths} == dict.fromkeys(paths)
    assert content.get_asset("tags/b/1").checked_at == 1.0
