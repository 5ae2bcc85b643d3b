"""What indexes send becomes results of the right types, or is left out."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoman.testing import Clock
from repoman_docker.search import (
    CATALOG_AGE_S,
    CATALOG_MAX_NAMES,
    SEARCH_MAX_IMAGES,
    CatalogIndex,
    ImageHit,
    collect,
    parse_answer,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
FIELDS = ("name", "description", "star_count", "is_official", "is_automated")
RESULTS = st.lists(JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)))


@given(st.fixed_dictionaries({"results": RESULTS}, optional={"num_results": JSON}))
def test_whatever_is_sent_the_types_are_right(body):
    answer = parse_answer(body)
    assert type(answer.total) is int
    assert answer.total >= len(answer.hits)
    for hit in answer.hits:
        assert type(hit.name) is type(hit.description) is str
        assert hit.name.isprintable()
        assert hit.name
        assert type(hit.stars) is int
        assert hit.stars >= 0
        assert type(hit.is_official) is type(hit.is_automated) is bool


@given(JSON)
def test_what_is_no_answer_is_an_error_and_nothing_else(body):
    with suppress(ValueError):
        parse_answer(body)


@pytest.mark.parametrize("body", [None, [], 7, "text", {"results": 7}, {"results": {}}])
def test_what_makes_no_sense_at_all_is_an_error(body):
    with pytest.raises(ValueError, match="not "):
        parse_answer(body)


def test_a_catalog_is_read_again_after_a_while():
    reads, clock = [], Clock(0.0)

    def list_images():
        reads.append("once more")
        return iter(["b", "a-b", "c"])

    index = CatalogIndex(list_images, clock)
    for seconds, count in ((0, 1), (CATALOG_AGE_S - 1, 1), (1, 2)):
        clock.jump(seconds)
        assert [each.name for each in index.search("b", 9).hits] == ["b", "a-b"]
        assert len(reads) == count


def test_a_catalog_without_an_end_is_cut():
    def endless():
        while True:
            yield "a"

    assert CatalogIndex(endless).search("a", 1).total == CATALOG_MAX_NAMES


def test_of_equal_names_the_first_counts():
    hits = [ImageHit("a", "first"), ImageHit("b"), ImageHit("a", "second")]
    found = collect(hits)
    assert (found.hits, found.total) == ((hits[0], hits[1]), 2)


def test_a_search_has_an_end():
    hits = [ImageHit(str(number)) for number in range(SEARCH_MAX_IMAGES + 5)]
    found = collect(hits, total=SEARCH_MAX_IMAGES + 7)
    assert (len(found.hits), found.total) == (SEARCH_MAX_IMAGES, SEARCH_MAX_IMAGES)
    assert collect(hits[:3], total=10).total == 10
    assert collect(hits[:3], total=2).total == 3


def test_searches_that_come_together_read_the_catalog_once(monkeypatch):
    walks: list[int] = []
    has_begun, may_end = threading.Event(), threading.Event()
    asked = threading.Semaphore(0)

    def list_images() -> Iterator[str]:
        walks.append(1)
        has_begun.set()
        assert may_end.wait(10)
        yield "team/app"

    def ask(*what: Any) -> list[str]:
        asked.release()
        return run(*what)

    index = CatalogIndex(list_images)
    run = index._flights.run
    monkeypatch.setattr(index._flights, "run", ask)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(index.search, "app", 10)
        assert has_begun.wait(10)
        second = pool.submit(index.search, "team", 10)
        assert all(asked.acquire(timeout=10) for _ in range(2))
        may_end.set()
        found = [each.result(10).hits for each in (first, second)]
    assert found == [[ImageHit("team/app")]] * 2
    assert walks == [1]
