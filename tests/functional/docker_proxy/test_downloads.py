"""One upstream fetch for many clients, and what happens when it goes wrong in the middle."""

import errno
import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from repoman.errors import RepomanError
from repoman.proxy.remote_health import WAITERS_MAX
from repoman_docker.protocol.reference import Digest
from tests.clock import WAIT_S
from tests.fakes.registry import Fault
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker_proxy.proxies import name_of
from tests.live import wait_until

NAME = "team/app"
SIZE = 700_000


@pytest.fixture
def blob(upstream):
    """A blob of the upstream, and its path."""
    data = secrets.token_bytes(SIZE)
    return data, f"{NAME}/blobs/{upstream.put_blob(NAME, data)}"


@pytest.fixture
def gets(upstream, blob):
    """How many times the blob was got."""
    return lambda: upstream.count(f"GET /v2/{blob[1]}")


def fails(proxy, path):
    """Whether the connection breaks, or the answer is an error."""
    try:
        return proxy.get(path).status >= 500
    except RepomanError:
        return True


def is_cached(make_proxy, proxy, path):
    service = make_proxy.repoman.repositories.get(name_of(proxy)).service
    name, _, digest = path.partition("/blobs/")
    return service.blobs._site.content.find_asset(f"blobs/{digest}/{name}") is not None


def test_fifty_clients_make_one_request(proxy, upstream):
    image = make_image(secrets.token_bytes(500_000), secrets.token_bytes(200_000))
    upstream.put(NAME, "1", image)
    with ThreadPoolExecutor(50) as pool:
        pulled = list(pool.map(lambda _: proxy.pull(NAME, "1"), range(50)))
    assert set(pulled) == {image.manifest}
    gets = [line for line in upstream.lines() if line.startswith("GET")]
    assert len(gets) == len(set(gets)) == 1 + len(image.blobs)


def test_readers_of_many_blobs_leave_their_fetches_a_way(make_proxy, proxy, upstream, monkeypatch):
    blobs = [secrets.token_bytes(100) for _ in range(WAITERS_MAX)]
    paths = [f"{NAME}/blobs/{upstream.put_blob(NAME, each)}" for each in blobs]
    cache = make_proxy.repoman.repositories.get(name_of(proxy)).service.blobs._site.cache
    fetches = []
    fetchers = make_proxy.repoman.proxies.fetchers
    monkeypatch.setattr(fetchers, "submit", lambda _, fetch: fetches.append(fetch))
    with ThreadPoolExecutor(2 * WAITERS_MAX) as pool:
        pulls = [pool.submit(proxy.get, path) for path in paths]
        wait_until(lambda: len(cache.client.gate._inside) == WAITERS_MAX, what="the readers")
        for each in fetches:
            pool.submit(each)
        assert [each.result(WAIT_S).body for each in pulls] == blobs


def test_the_fetch_goes_on_without_its_client(make_proxy, proxy, upstream, blob, gets):
    data, path = blob
    upstream.gate.clear()
    service = make_proxy.repoman.repositories.get(name_of(proxy)).service
    content = service.blobs.get(NAME, Digest.parse(digest_of(data)))
    content.open().close()
    upstream.gate.set()
    wait_until(lambda: is_cached(make_proxy, proxy, path), what="the end of the download")
    assert proxy.get(path).body == data
    assert gets() == 1


def test_followers_get_the_bytes_while_they_come(proxy, upstream, blob, gets):
    data, path = blob
    upstream.faults.append(Fault("blobs", slow=0.02, times=1))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: proxy.get(path), range(4)))
    assert {answer.body == data for answer in answers} == {True}
    assert gets() == 1


def test_an_upstream_that_breaks_off_is_resumed(proxy, upstream, blob, gets):
    data, path = blob
    upstream.faults.append(Fault("blobs", cut=300_000, times=2))
    assert proxy.get(path).body == data
    assert gets() == 3
    ranges = [each.headers.get("Range") for each in upstream.log]
    assert ranges[0] is None
    assert ranges[1] == "bytes=300000-"
    assert ranges[2] == "bytes=600000-"


# --- An upstream that does not say how long blobs are --------------------------------------------


@pytest.fixture
def vague(make_upstream):
    """A registry that sends blobs in chunks, with an image."""
    upstream = make_upstream(lengths=False)
    image = make_image(secrets.token_bytes(SIZE))
    upstream.put(NAME, "1", image)
    return upstream, image


def test_a_blob_of_unknown_length_comes_at_once_as_its_manifest_tells_it(make_proxy, vague):
    upstream, image = vague
    proxy = make_proxy(upstream.url)
    proxy.get(f"{NAME}/manifests/1")
    service = make_proxy.repoman.repositories.get(name_of(proxy)).service
    digest = Digest.parse(digest_of(image.layers[0]))
    upstream.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(service.blobs.get, NAME, digest)
        try:
            assert answer.result(WAIT_S).size == SIZE
        finally:
            upstream.gate.set()
    assert proxy.pull(NAME, "1") == image.manifest
    assert upstream.count(f"GET /v2/{NAME}/blobs/{digest}") == 1


def test_a_blob_of_unknown_length_without_a_manifest(make_proxy, vague):
    upstream, image = vague
    path = f"{NAME}/blobs/{digest_of(image.layers[0])}"
    proxy = make_proxy(upstream.url)
    assert proxy.head(path).status == 502
    assert proxy.get(path).body == image.layers[0]


def test_a_head_of_a_blob_of_unknown_length(make_proxy, vague, monkeypatch):
    upstream, image = vague
    path = f"{NAME}/blobs/{digest_of(image.layers[0])}"
    proxy = make_proxy(upstream.url)
    proxy.get(f"{NAME}/manifests/1")
    assert proxy.head(path).headers["Content-Length"] == str(SIZE)
    monkeypatch.setattr("repoman.proxy.cache.ProxyCache.has_room", lambda _: False)
    assert proxy.get(path).body == image.layers[0]


def test_a_blob_that_is_not_as_long_as_its_manifest_says_is_refused(make_proxy, vague):
    upstream, image = vague
    digest = digest_of(image.layers[0])
    manifest = image.manifest.replace(str(SIZE).encode(), str(SIZE + 1).encode())
    upstream.put_manifest(NAME, "1", manifest)
    proxy = make_proxy(upstream.url)
    proxy.get(f"{NAME}/manifests/1")
    assert fails(proxy, f"{NAME}/blobs/{digest}")
    assert not is_cached(make_proxy, proxy, f"{NAME}/blobs/{digest}")


# --- What goes wrong in the middle ---------------------------------------------------------------


def test_an_upstream_without_ranges_is_resumed_by_reading_again(make_proxy, make_upstream):
    upstream = make_upstream(ranges=False)
    data = secrets.token_bytes(SIZE)
    path = f"{NAME}/blobs/{upstream.put_blob(NAME, data)}"
    upstream.faults.append(Fault("blobs", cut=300_000, times=1))
    assert make_proxy(upstream.url).get(path).body == data


@pytest.mark.parametrize(
    "fault",
    [Fault("blobs", corrupt=True), Fault("blobs", cut=0), Fault("blobs", cut=1000, status=0)],
    ids=["wrong digest", "nothing", "truncated"],
)
def test_a_bad_body_breaks_connections_and_is_not_kept(make_proxy, make_upstream, fault, caplog):
    upstream = make_upstream(ranges=False)
    proxy = make_proxy(upstream.url)
    data = secrets.token_bytes(SIZE)
    path = f"{NAME}/blobs/{upstream.put_blob(NAME, data)}"
    upstream.faults.append(fault)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: fails(proxy, path), range(4)))
    assert not is_cached(make_proxy, proxy, path)
    assert ("SECURITY" in caplog.text) is fault.corrupt
    upstream.faults.clear()
    assert proxy.get(path).body == data
    assert is_cached(make_proxy, proxy, path)


def test_nobody_gets_a_complete_wrong_body(proxy, upstream, blob):
    data, path = blob
    upstream.faults.append(Fault("blobs", corrupt=True))
    got = []
    with suppress(RepomanError):
        got.append(proxy.get(path).body)
    assert all(len(body) < len(data) for body in got)


def test_a_wrong_manifest_is_refused(proxy, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    upstream.faults.append(Fault("GET /v2/team/app/manifests", corrupt=True))
    answer = proxy.get(f"{NAME}/manifests/{image.digest}")
    assert (answer.status, answer.code) == (502, "UNAVAILABLE")
    upstream.faults.clear()
    assert proxy.pull(NAME, "1") == image.manifest


def test_an_upstream_that_stalls_is_given_up(make_proxy, upstream, blob):
    data, path = blob
    proxy = make_proxy(upstream.url, http_client__timeout=1, http_client__retries=0)
    upstream.faults.append(Fault("blobs", stall=3.0))
    assert fails(proxy, path)
    upstream.faults.clear()
    assert proxy.get(path).body == data


def test_an_upstream_that_stalls_once_is_asked_for_the_rest(make_proxy, upstream, blob):
    data, path = blob
    proxy = make_proxy(upstream.url, http_client__timeout=1, http_client__retries=0)
    upstream.faults.append(Fault("blobs", stall=3.0, times=1))
    assert proxy.get(path).body == data


def test_an_upstream_killed_in_the_middle_of_twenty_pulls(make_proxy, proxy, upstream, blob):
    data, path = blob
    upstream.gate.clear()
    with ThreadPoolExecutor(20) as pool:
        pulls = [pool.submit(fails, proxy, path) for _ in range(20)]
        wait_until(lambda: upstream.count("blobs"), what="the fetch")
        upstream.stop()
        upstream.gate.set()
        assert all(pull.result(WAIT_S) for pull in pulls)
    assert not is_cached(make_proxy, proxy, path)
    upstream.start()
    assert proxy.get(path).body == data


@pytest.mark.parametrize("problem", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
def test_a_disk_that_fails_still_serves_clients(
    make_proxy, proxy, upstream, blob, monkeypatch, problem
):
    data, path = blob
    written = []

    def full(fd, chunk):
        if sum(written) > 200_000 and threading.current_thread().name == "fetcher":
            raise OSError(problem, "no room")
        written.append(len(chunk))
        return real(fd, chunk)

    real = os.write
    monkeypatch.setattr("repoman.blobs.file.os.write", full)
    assert proxy.get(path).body == data
    assert proxy.get(path).body == data  # nothing is tried to be kept for a while
    assert not is_cached(make_proxy, proxy, path)


def put_blobs(upstream, count):
    """Have a remote offer so many blobs of 300,000 bytes; return their paths."""
    blobs = [secrets.token_bytes(300_000) for _ in range(count)]
    return [f"{NAME}/blobs/{upstream.put_blob(NAME, each)}" for each in blobs]


def test_the_cache_keeps_to_its_limit(make_proxy, upstream):
    proxy = make_proxy(upstream.url, proxy__cache_limit=1_000_000)
    paths = put_blobs(upstream, 4)
    for path in paths:
        assert len(proxy.get(path).body) == 300_000
    wait_until(lambda: sum(is_cached(make_proxy, proxy, path) for path in paths) == 3, what="room")
    for path in paths:
        assert proxy.get(path).status == 200


def test_what_is_in_use_stays_in_a_cache_that_is_too_large(make_proxy, upstream, clock):
    proxy, pulls = make_proxy(upstream.url), make_proxy.repoman.pulls
    paths = put_blobs(upstream, 4)
    for path in paths:
        for pulled in (path, paths[0]):  # the first one stays in use
            assert proxy.get(pulled).status == 200
            pulls.settle()  # as a server does each second
            clock.jump(1000)
    make_proxy.change(proxy, proxy__cache_limit=1_000_000)
    assert all(is_cached(make_proxy, proxy, path) for path in paths)
    make_proxy.repoman.proxies.trim_caches()
    assert [is_cached(make_proxy, proxy, path) for path in paths] == [True, False, True, True]
    assert proxy.get(paths[1]).status == 200


def test_a_blob_larger_than_the_limit_is_pulled_all_the_same(make_proxy, upstream, blob):
    data, path = blob
    proxy = make_proxy(upstream.url, proxy__cache_limit=1000)
    assert proxy.get(path).body == data
    assert proxy.get(path).body == data


# --- Another remote ------------------------------------------------------------------------------


def test_another_remote_has_nothing_of_the_former_one(make_proxy, make_upstream, upstream, proxy):
    image = make_image()
    upstream.put(NAME, "1", image)
    proxy.pull(NAME, "1")
    paths = [f"{NAME}/manifests/1", f"{NAME}/manifests/{image.digest}"]
    paths += [f"{NAME}/blobs/{digest_of(data)}" for data in image.blobs]
    other = make_upstream()
    make_proxy.change(proxy, proxy__remote_url=other.url)
    assert [proxy.get(path).status for path in paths] == [404] * len(paths)
    assert proxy.get("_catalog").json()["repositories"] == []
    make_proxy.change(proxy, proxy__metadata_max_age=7)
    other.put(NAME, "1", image)
    make_proxy.change(proxy, negative_cache__enabled=False)
    assert proxy.pull(NAME, "1") == image.manifest
    make_proxy.change(proxy, proxy__remote_url=other.url + "/")
    other.stop()
    assert proxy.pull(NAME, "1") == image.manifest


@pytest.mark.parametrize("event", ["another remote", "deleted and made again"])
def test_a_download_of_the_former_remote_is_not_kept(
    make_proxy, make_upstream, proxy, upstream, blob, event
):
    data, path = blob
    upstream.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        pull = pool.submit(proxy.get, path)
        wait_until(lambda: upstream.count("blobs"), what="the fetch")
        other = make_upstream()
        if event == "another remote":
            make_proxy.change(proxy, proxy__remote_url=other.url)
        else:
            repositories = make_proxy.repoman.repositories
            repositories.delete(name_of(proxy))
            settings = {"proxy": {"remote_url": other.url}}
            repositories.create(name_of(proxy), "docker-proxy", settings)
        upstream.gate.set()
        assert pull.result(WAIT_S).body == data
    assert not is_cached(make_proxy, proxy, path)
    assert proxy.get(path).status == 404
