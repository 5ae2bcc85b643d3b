"""All caches of the process share one budget of bytes."""

import pytest

from repoman.caching import ENTRY_BYTES, CacheBudget, LruCache, size_of
from repoman.testing import Clock

DATA = b"x" * 10_000


@pytest.fixture
def budget():
    """Room for ten values of 10,000 bytes."""
    return CacheBudget(10 * (len(DATA) + ENTRY_BYTES + 100))


def test_the_caches_together_stay_within_the_budget(budget):
    caches = [LruCache[bytes](len, budget=budget) for _ in range(5)]
    for number in range(100):
        caches[number % 5].save(number, DATA)
    assert sum(map(len, caches)) == 10
    assert budget.used <= budget.size


def test_what_is_used_stays(budget):
    cache = LruCache[bytes](len, budget=budget)
    cache.save("hot", DATA)
    for number in range(100):
        cache.save(number, DATA)
        assert cache.find("hot") is not None
    assert cache.find(0) is None


def test_what_is_larger_than_the_budget_is_not_kept(budget):
    cache = LruCache[bytes](len, budget=budget)
    cache.save("a", DATA)
    cache.save("b", DATA * 20)
    assert (cache.find("a"), cache.find("b")) == (DATA, None)


def test_a_value_takes_the_place_of_the_one_before(budget):
    cache = LruCache[bytes](len, budget=budget)
    for _ in range(100):
        cache.save("a", DATA)
    assert len(cache) == 1
    used = budget.used
    cache.save("a", DATA * 2)
    assert budget.used == used + len(DATA)
    cache.discard("a")
    cache.discard("a")
    assert (len(cache), budget.used) == (0, 0)


def test_clearing_one_cache_leaves_the_others(budget):
    one, two = LruCache[bytes](len, budget=budget), LruCache[bytes](len, budget=budget)
    one.save("a", DATA)
    two.save("a", DATA)
    one.clear()
    assert (one.find("a"), two.find("a")) == (None, DATA)


def test_a_smaller_budget_takes_effect_at_once(budget):
    cache = LruCache[bytes](len, budget=budget)
    for number in range(10):
        cache.save(number, DATA)
    budget.resize(budget.size // 2)
    assert len(cache) == 5


def test_time_ends_a_value(budget):
    clock = Clock(0.0)
    cache = LruCache[int](ttl=10, ticks=clock, budget=budget)
    cache.save("a", 1)
    cache.save("b", 2, seconds=20)
    cache.save("c", 3, seconds=0)
    clock.jump(10)
    assert [cache.find(key) for key in "abc"] == [None, 2, None]
    assert [cache.find_old(key) for key in "abc"] == [1, 2, None]


def test_a_value_is_computed_once(budget):
    cache = LruCache[int](budget=budget)
    calls = []
    for _ in range(3):
        assert cache.get("a", lambda: calls.append(1) or len(calls)) == 1


def test_the_size_of_a_value_counts_what_it_is_made_of():
    assert size_of([DATA, DATA]) > 2 * len(DATA)
    assert size_of({"a": {"b": (DATA,)}}) > len(DATA)
