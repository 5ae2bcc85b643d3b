"""Pulls through a proxy: fetched once, kept, and told apart."""

import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from repoman.proxy.cache import ProxyCache
from tests.clock import LONG_S
from tests.functional.docker.driver import Failures
from tests.functional.docker.images import ABSENT, digest_of, index_of, make_image
from tests.functional.docker_proxy.proxies import late

NAME = "team/app"


def test_an_image_is_pulled_and_kept(proxy, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    assert proxy.pull(NAME, "1") == image.manifest
    upstream.stop()
    assert proxy.pull(NAME, "1") == image.manifest


def test_the_second_pull_asks_the_upstream_nothing(proxy, upstream):
    upstream.put(NAME, "1", make_image())
    proxy.pull(NAME, "1")
    asked = len(upstream.log)
    proxy.pull(NAME, "1")
    assert len(upstream.log) == asked


def test_each_object_is_got_once(proxy, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    proxy.pull(NAME, "1")
    gets = [line for line in upstream.lines() if line.startswith("GET")]
    assert sorted(gets) == sorted(
        [
            f"GET /v2/{NAME}/manifests/{image.digest}",
            *(f"GET /v2/{NAME}/blobs/{digest_of(blob)}" for blob in image.blobs),
        ]
    )


def test_a_head_fetches_nothing(proxy, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    by_tag = proxy.head(f"{NAME}/manifests/1")
    assert by_tag.status == 200
    assert by_tag.headers["Docker-Content-Digest"] == image.digest
    assert by_tag.headers["Content-Length"] == str(len(image.manifest))
    blob = proxy.head(f"{NAME}/blobs/{digest_of(image.config)}")
    assert blob.status == 200
    assert blob.headers["Content-Length"] == str(len(image.config))
    assert upstream.count("GET") == 0


def test_a_tag_that_was_asked_for_by_head_is_known_once_its_manifest_is(proxy, upstream):
    image = make_image()
    upstream.put(NAME, "1", image)
    proxy.head(f"{NAME}/manifests/1")
    proxy.get(f"{NAME}/manifests/{image.digest}")
    upstream.stop()
    assert proxy.get(f"{NAME}/manifests/1").body == image.manifest


def test_a_tag_is_known_while_its_manifest_is_stored(proxy, upstream, monkeypatch):
    image, keep, once = make_image(), ProxyCache.keep, ProxyCache.once
    upstream.put(NAME, "1", image)
    storing, asking = threading.Event(), threading.Event()

    def keep_later(cache, what, write):
        storing.set()
        assert asking.wait(LONG_S)
        return keep(cache, what, write)

    def note(cache, key, work):
        if storing.is_set():
            asking.set()
        return once(cache, key, work)

    monkeypatch.setattr(ProxyCache, "keep", keep_later)
    monkeypatch.setattr(ProxyCache, "once", note)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(proxy.get, f"{NAME}/manifests/1")
        assert storing.wait(LONG_S)
        second = pool.submit(proxy.get, f"{NAME}/manifests/1")
        assert first.result().body == second.result().body == image.manifest
    assert (upstream.count("HEAD"), upstream.count("GET")) == (1, 1)


def test_the_host_of_a_remote_may_be_in_another_script(make_proxy, upstream, monkeypatch):
    image, in_dns = make_image(), "xn--e1aa5aceg.xn--p1ai"
    upstream.put(NAME, "1", image)
    real = socket.getaddrinfo

    def look_up(host, *more, **options):
        name = host.decode() if isinstance(host, bytes) else host
        return real("127.0.0.1" if name == in_dns else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    remote = f"http://\u0440\u0435\u0435\u0441\u0442\u0440.\u0440\u0444:{upstream.port}"
    proxy = make_proxy(remote, http_client__allow_private=True)
    for _ in ("from the remote", "from the cache"):
        answer = proxy.get(f"{NAME}/manifests/1")
        assert (answer.status, answer.body) == (200, image.manifest)
        assert answer.headers["X-Repoman-Upstream"] == f"{in_dns}:{upstream.port}"


def test_the_headers_tell_the_source(proxy, upstream, clock):
    image = make_image()
    upstream.put(NAME, "1", image)
    first = proxy.get(f"{NAME}/manifests/1")
    second = proxy.get(f"{NAME}/manifests/1")
    assert first.headers["X-Repoman-Cache"] == "MISS"
    assert second.headers["X-Repoman-Cache"] == "HIT"
    assert second.headers["X-Repoman-Upstream"] == f"127.0.0.1:{upstream.port}"
    clock.jump(100)
    assert 99 <= int(proxy.get(f"{NAME}/manifests/1").headers["Age"]) <= 110
    path = f"{NAME}/blobs/{digest_of(image.config)}"
    answers = [proxy.get(path).headers for _ in range(2)]
    assert [each["X-Repoman-Cache"] for each in answers] == ["MISS", "HIT"]
    assert "Age" not in answers[0]
    assert 0 <= int(answers[1]["Age"]) <= 10
    clock.jump(100)
    for ask in (proxy.get, proxy.head):
        assert 100 <= int(ask(path).headers["Age"]) <= 110


def test_an_index_may_be_sparse(proxy, upstream):
    image = make_image()
    upstream.put(NAME, "amd64", image)
    absent = make_image()
    index = index_of(image.manifest, absent.manifest)
    upstream.put_manifest(NAME, "multi", index)
    assert proxy.get(f"{NAME}/manifests/multi").body == index
    assert proxy.get(f"{NAME}/manifests/{image.digest}").body == image.manifest
    assert proxy.get(f"{NAME}/manifests/{absent.digest}").code == "MANIFEST_UNKNOWN"


def test_what_an_index_names_is_asked_for_again_after_a_404(proxy, upstream):
    late = make_image()
    upstream.put_manifest(NAME, "multi", index_of(late.manifest))
    proxy.get(f"{NAME}/manifests/multi")
    assert proxy.get(f"{NAME}/manifests/{late.digest}").status == 404
    upstream.put(NAME, "late", late)
    assert proxy.get(f"{NAME}/manifests/{late.digest}").status == 200


def test_ranges_of_a_cold_blob(proxy, upstream):
    data = secrets.token_bytes(300_000)
    digest = upstream.put_blob(NAME, data)
    part = proxy.get(f"{NAME}/blobs/{digest}", headers={"Range": "bytes=1000-1999"})
    assert (part.status, part.body) == (206, data[1000:2000])
    assert proxy.get(f"{NAME}/blobs/{digest}").body == data


def test_empty_blobs_and_other_algorithms(proxy, upstream):
    empty = upstream.put_blob(NAME, b"")
    data = secrets.token_bytes(1000)
    long = digest_of(data, "sha512")
    upstream.blobs[NAME, long] = data
    assert proxy.get(f"{NAME}/blobs/{empty}").body == b""
    assert proxy.get(f"{NAME}/blobs/{long}").body == data
    assert proxy.get(f"{NAME}/blobs/{long}").headers["X-Repoman-Cache"] == "HIT"
    assert proxy.get(f"{NAME}/blobs/blake3:{'0' * 64}").code == "BLOB_UNKNOWN"


def test_what_the_upstream_does_not_have(proxy, upstream):
    upstream.put(NAME, "1", make_image())
    proxy.pull(NAME, "2", failure=Failures.MANIFEST_UNKNOWN)
    assert proxy.get(f"{NAME}/manifests/{ABSENT}").code == "MANIFEST_UNKNOWN"
    answer = proxy.get(f"{NAME}/blobs/{ABSENT}")
    assert answer.code == "BLOB_UNKNOWN"
    assert upstream.url in answer.message


def test_the_same_blob_of_another_image_is_asked_for_but_not_fetched(proxy, upstream):
    data = secrets.token_bytes(5000)
    digest = upstream.put_blob(NAME, data)
    proxy.get(f"{NAME}/blobs/{digest}")
    assert proxy.get(f"other/app/blobs/{digest}").code == "BLOB_UNKNOWN"
    upstream.put_blob("third/app", data)
    answer = proxy.get(f"third/app/blobs/{digest}")
    assert answer.body == data
    assert answer.headers["X-Repoman-Cache"] == "REVALIDATED"
    assert upstream.count("GET /v2/third/app/blobs") == 0


def test_a_shared_blob_is_asked_for_once(proxy, upstream, monkeypatch):
    data = secrets.token_bytes(5000)
    digest = upstream.put_blob(NAME, data)
    upstream.put_blob("other/app", data)
    proxy.get(f"{NAME}/blobs/{digest}")
    path = f"other/app/blobs/{digest}"
    with late(monkeypatch, "share", partial(proxy.get, path)) as other:
        assert proxy.get(path).body == data
    assert other.result().body == data
    assert upstream.count(f"HEAD /v2/{path}") == 1


def test_what_one_proxy_has_another_does_not(make_proxy, proxy, upstream, make_upstream):
    data = secrets.token_bytes(5000)
    digest = upstream.put_blob(NAME, data)
    assert proxy.get(f"{NAME}/blobs/{digest}").body == data
    other = make_proxy(make_upstream().url)
    assert other.get(f"{NAME}/blobs/{digest}").code == "BLOB_UNKNOWN"


@pytest.mark.parametrize("heads", [True, False])
def test_a_remote_that_tells_no_digest(make_proxy, make_upstream, clock, heads):
    upstream = make_upstream(heads=heads)
    proxy = make_proxy(upstream.url, proxy__metadata_max_age=0)
    old, new = make_image(), make_image()
    upstream.put(NAME, "1", old)
    assert proxy.pull(NAME, "1") == old.manifest
    assert proxy.pull(NAME, "1") == old.manifest
    upstream.put(NAME, "1", new)
    assert proxy.pull(NAME, "1") == new.manifest


def test_names_of_one_component_are_expanded_if_so_set(make_proxy, upstream):
    proxy = make_proxy(upstream.url, docker_proxy__expand_library=True)
    image = make_image()
    upstream.put("library/ubuntu", "1", image)
    assert proxy.pull("ubuntu", "1") == image.manifest
    asked = len(upstream.log)
    assert proxy.pull("library/ubuntu", "1") == image.manifest
    assert len(upstream.log) == asked
    assert proxy.get("_catalog").json() == {"repositories": ["library/ubuntu"]}


def test_names_of_one_component_stay_elsewhere(proxy, upstream):
    image = make_image()
    upstream.put("ubuntu", "1", image)
    assert proxy.pull("ubuntu", "1") == image.manifest


def test_a_routing_rule_stops_names(make_proxy, upstream):
    upstream.put("team/app", "1", make_image())
    upstream.put("secret/app", "1", make_image())
    proxy = make_proxy(upstream.url, routing__mode="block", routing__matchers=["secret/.*"])
    proxy.pull("team/app", "1")
    answer = proxy.get("secret/app/manifests/1")
    assert answer.code == "MANIFEST_UNKNOWN"
    assert "routing rule" in answer.message
    assert proxy.get(f"secret/app/blobs/{ABSENT}").code == "BLOB_UNKNOWN"
    assert proxy.get("secret/app/tags/list").code == "NAME_UNKNOWN"
    assert upstream.count("secret") == 0
