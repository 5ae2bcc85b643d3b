"""The not-found cache, with a clock of the test's own."""

import pytest

from repoman.caching import ENTRY_BYTES, CacheBudget
from repoman.proxy.freshness import NegativeCache
from repoman.testing import Clock


@pytest.fixture
def clock():
    return Clock(1_000_000.0)


def test_an_entry_is_believed_for_its_time(clock):
    cache = NegativeCache(clock, time_to_live=2)
    cache.add("a")
    assert "a" in cache
    assert "b" not in cache
    clock.jump(119)
    assert "a" in cache
    clock.jump(2)
    assert "a" not in cache


@pytest.mark.parametrize(("minutes", "is_kept"), [(-1, True), (0, False)])
def test_special_times(clock, minutes, is_kept):
    cache = NegativeCache(clock, minutes)
    cache.add("a")
    clock.jump(10**9 if is_kept else 0)
    assert ("a" in cache) is is_kept


def test_what_is_found_after_all_is_forgotten(clock):
    cache = NegativeCache(clock, 9)
    cache.add("a")
    cache.add("b")
    cache.discard("a")
    cache.discard("a")
    assert "a" not in cache
    assert "b" in cache


def test_a_renewal_by_anybody_forgets_all(clock):
    renewals = [1]
    cache = NegativeCache(clock, 9, lambda: renewals[0])
    cache.add("a")
    assert "a" in cache
    renewals[0] += 1
    assert "a" not in cache
    cache.add("a")
    assert "a" in cache


def test_it_holds_so_many_entries_as_fit_and_no_more(clock):
    room_for_two = CacheBudget(3 * ENTRY_BYTES)
    cache = NegativeCache(clock, 9, budget=room_for_two)
    for key in "abc":
        cache.add(key)
    assert [key in cache for key in "abc"] == [False, True, True]
