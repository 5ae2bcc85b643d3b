"""Layers that lie elsewhere: those of an operating system that only its vendor may give."""

import json
import secrets

import pytest

from tests.fakes.registry import Fault
from tests.functional.docker.images import digest_of, make_image, to_json

NAME = "team/app"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
LAYER = secrets.token_bytes(3000)
PATH = f"blobs/{digest_of(LAYER)}"


@pytest.fixture
def elsewhere(make_upstream):
    """The host that has the layer."""
    host = make_upstream()
    host.put_blob("any", LAYER)
    return host


@pytest.fixture
def foreign(make_proxy, upstream, elsewhere):
    """Make proxies of images that have the layer."""
    there = f"{elsewhere.url}/v2/any/{PATH}"
    layer = {"mediaType": FOREIGN, "digest": digest_of(LAYER), "size": len(LAYER)}
    fields = json.loads(make_image().manifest)

    def make(pattern=r"http://127.*", url=there, **settings):
        manifest = to_json({**fields, "layers": [{**layer, "urls": [url]}]})
        for name in (NAME, "other/app"):
            upstream.put_manifest(name, "1", manifest)
        proxy = make_proxy(
            upstream.url,
            docker_proxy__cache_foreign_layers=True,
            docker_proxy__foreign_layer_url_whitelist=[pattern] if pattern else [],
            **settings,
        )
        for name in (NAME, "other/app"):
            proxy.get(f"{name}/manifests/1")
        return proxy

    return make


@pytest.mark.parametrize(
    ("pattern", "status"), [("", 404), (r"http://elsewhere/.*", 404), (r"http://127.*", 200)]
)
def test_they_are_fetched_from_where_they_lie_if_that_is_allowed(foreign, pattern, status):
    proxy = foreign(pattern)
    assert proxy.head(f"{NAME}/{PATH}").status == status
    answer = proxy.get(f"{NAME}/{PATH}")
    assert answer.status == status
    assert status == 404 or answer.body == LAYER


def test_a_head_fetches_nothing(foreign, elsewhere):
    answer = foreign().head(f"{NAME}/{PATH}")
    assert answer.headers["Content-Length"] == str(len(LAYER))
    assert elsewhere.log == []


def test_another_image_shares_them(foreign, elsewhere):
    proxy = foreign()
    for name in (NAME, "other/app"):
        assert proxy.get(f"{name}/{PATH}").body == LAYER
    assert elsewhere.count("GET") == 1
    assert proxy.get(f"third/app/{PATH}").code == "BLOB_UNKNOWN"


def test_they_are_sent_on_where_nothing_can_be_kept(foreign, monkeypatch):
    proxy = foreign()
    monkeypatch.setattr("repoman.proxy.cache.ProxyCache.has_room", lambda _: False)
    assert proxy.get(f"{NAME}/{PATH}").body == LAYER


def test_a_host_that_is_down_does_not_block_the_remote(foreign, upstream, elsewhere):
    proxy = foreign(http_client__auto_block=True, http_client__retries=0)
    elsewhere.faults.append(Fault("", status=500))
    assert proxy.get(f"{NAME}/{PATH}").status == 404
    upstream.put("new/app", "1", make_image())
    proxy.pull("new/app", "1")
    elsewhere.faults.clear()
    assert proxy.get(f"{NAME}/{PATH}").body == LAYER


def test_those_in_other_networks_are_not_fetched(foreign, caplog):
    proxy = foreign(".*", url="http://169.254.169.254/latest/meta-data")
    assert proxy.get(f"{NAME}/{PATH}").status == 404
    assert "169.254.169.254, a link-local address, which is refused" in caplog.text
