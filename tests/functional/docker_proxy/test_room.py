"""The limit of a proxy's cache, and the bytes on the disk that it is about."""

import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from repoman.compaction import GRACE_S, Compactor
from tests.functional.docker.images import make_image
from tests.functional.docker_proxy.proxies import HOUR
from tests.live import wait_until

NAME = "team/app"
SIZE = 300_000


@pytest.fixture
def blobs(upstream):
    """Blobs of the upstream, by path."""
    made = [secrets.token_bytes(SIZE) for _ in range(6)]
    return {f"{NAME}/blobs/{upstream.put_blob(NAME, data)}": data for data in made}


@pytest.fixture
def on_disk(make_proxy):
    """How many of the blobs lie on the disk."""

    def count(blobs):
        store = make_proxy.repoman.blob_stores.get("default")
        return sum(bool(store.stat(path.rpartition(":")[2])) for path in blobs)

    return count


@pytest.fixture
def make_compactor(make_proxy):
    """A compactor for which so much of the time of grace is left."""

    def make(grace):
        repoman = make_proxy.repoman
        clock = lambda: time.time() + GRACE_S - grace  # noqa: E731
        return Compactor(repoman.database, repoman.blob_stores, clock)

    return make


def test_a_limited_cache_takes_no_more_of_the_disk(
    make_proxy, upstream, blobs, clock, on_disk, make_compactor
):
    proxy = make_proxy(upstream.url, proxy__cache_limit=2 * SIZE)
    for path in blobs:
        assert proxy.get(path).status == 200
        clock.jump(HOUR)
    assert on_disk(blobs) == 6
    make_compactor(grace=-10).compact()
    assert on_disk(blobs) == 2
    assert all(proxy.get(path).body == data for path, data in blobs.items())


def test_a_proxy_over_its_quota_passes_on_what_it_cannot_keep(
    make_proxy, upstream, blobs, on_disk, clock
):
    proxy = make_proxy(upstream.url, quota__limit=2 * SIZE + 1)
    image = make_image()
    upstream.put(NAME, "1", image)
    for path, data in blobs.items():
        assert proxy.get(path).body == data
    assert on_disk(blobs) == 2
    for _ in range(2):
        assert proxy.pull(NAME, "1") == image.manifest
    make_proxy.change(proxy, quota__limit=None)
    for path, data in blobs.items():
        assert proxy.get(path).body == data
    wait_until(lambda: on_disk(blobs) == len(blobs), what="the blobs")


def test_bytes_that_another_proxy_keeps_stay(make_proxy, upstream, blobs, on_disk, make_compactor):
    limited = make_proxy(upstream.url, proxy__cache_limit=1)
    free = make_proxy(upstream.url)
    for path, data in blobs.items():
        assert limited.get(path).body == free.get(path).body == data
    make_compactor(grace=-10).compact()
    assert on_disk(blobs) == 6
    upstream.stop()
    assert all(free.get(path).body == data for path, data in blobs.items())


def test_a_lower_limit_counts_for_what_is_there(
    make_proxy, upstream, blobs, on_disk, make_compactor, monkeypatch
):
    monkeypatch.setattr("repoman.proxy.cache.SETTLE_DELAY_S", 0.01)
    proxy = make_proxy(upstream.url, proxy__cache_limit=6 * SIZE)
    for path in blobs:
        assert proxy.get(path).status == 200
    make_proxy.change(proxy, proxy__cache_limit=SIZE)
    compactor = make_compactor(grace=-10)

    def is_trimmed():
        compactor.compact()
        return on_disk(blobs) == 1

    wait_until(is_trimmed, what="the room")


def test_no_pull_fails_for_the_limit(make_proxy, upstream, blobs, on_disk, make_compactor, clock):
    proxy = make_proxy(upstream.url, proxy__cache_limit=2 * SIZE)
    compactor, is_over, freed = make_compactor(grace=2.0), threading.Event(), []

    def compact():
        while not is_over.wait(0.02):
            freed.append(compactor.compact())

    def pull(path):
        answer = proxy.get(path)
        return answer.status, answer.body == blobs[path]

    def pull_again_and_again():
        hot = min(blobs)
        while not is_over.is_set():
            assert pull(hot) == (200, True)

    assert proxy.get("").status == 200  # the login is remembered from now on
    with ThreadPoolExecutor(8) as pool:
        background = [pool.submit(compact), pool.submit(pull_again_and_again)]
        try:
            for _ in range(3):
                clock.jump(HOUR)
                assert set(pool.map(pull, [*blobs, *blobs])) == {(200, True)}
                seen = sum(freed)
                wait_until(lambda: sum(freed) > seen, what="the room")  # noqa: B023
        finally:
            is_over.set()
    assert [each.result() for each in background] == [None, None]
    compactor = make_compactor(grace=-10)
    wait_until(lambda: (compactor.compact(), on_disk(blobs) <= 3)[1], what="the last trimming")
