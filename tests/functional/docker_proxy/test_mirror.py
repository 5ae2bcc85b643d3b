"""A proxy as a mirror, its index, and what an administrator may ask of it."""

import pytest

from repoman.errors import Invalid
from tests.functional.docker.images import make_image
from tests.functional.docker_proxy.proxies import DAY, name_of

NAME = "team/app"
SIGNATURE = {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": f"sha256:{'a' * 64}",
    "size": 3,
}
TAG = f"{NAME}/manifests/1"


def service_of(make_proxy, proxy):
    return make_proxy.repoman.repositories.get(name_of(proxy)).service


def remote_of(make_proxy, proxy):
    return make_proxy.repoman.repositories.remote_of(name_of(proxy))


# --- ns ------------------------------------------------------------------------------------------


def test_the_registry_that_a_client_means_is_served(proxy, upstream):
    upstream.put(NAME, "1", make_image())
    own = f"127.0.0.1:{upstream.port}"
    for path in ("", TAG, f"{NAME}/tags/list"):
        answer = proxy.get(f"{path}?ns={own}")
        assert answer.status == 200
        assert answer.headers["OCI-Namespace"] == own
        assert "OCI-Namespace" not in proxy.get(path).headers


def test_another_registry_is_not_served(proxy, upstream):
    upstream.put(NAME, "1", make_image())
    for path in ("", TAG):
        answer = proxy.get(f"{path}?ns=docker.io")
        assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")
    assert upstream.log == []


@pytest.mark.parametrize("host", ["docker.io", "registry-1.docker.io", "index.docker.io"])
def test_docker_hub_has_three_names(make_proxy, host):
    hub = make_proxy("https://registry-1.docker.io", http_client__blocked=True)
    assert hub.get(f"?ns={host}").headers["OCI-Namespace"] == host
    assert hub.get("?ns=quay.io").status == 404


def test_names_at_docker_hub_are_expanded(make_proxy):
    hub = make_proxy("https://registry-1.docker.io", http_client__blocked=True)
    site = service_of(make_proxy, hub).blobs._site
    assert site.image("ubuntu", None) == "library/ubuntu"
    assert site.image("library/ubuntu", None) == "library/ubuntu"
    assert site.image("team/app", None) == "team/app"


# --- Index ---------------------------------------------------------------------------------------


def test_an_unknown_strategy_is_a_problem_of_the_repository(make_proxy, upstream):
    proxy = make_proxy(upstream.url, docker_proxy__index_type="wrong")
    problem = make_proxy.repoman.repositories.get(name_of(proxy)).problem
    assert "no plugin offers 'wrong'; choose one of: custom, hub, registry" in problem


# --- Administration ------------------------------------------------------------------------------


@pytest.fixture
def moved(proxy, upstream):
    """A tag in the cache that has moved at the upstream, and its former and new image."""
    old, new = make_image(), make_image()
    upstream.put(NAME, "1", old)
    proxy.pull(NAME, "1")
    proxy.get(f"{NAME}/tags/list")
    assert proxy.get(f"{NAME}/manifests/2").status == 404
    signatures = f"{NAME}/referrers/{old.digest}"
    assert proxy.get(signatures).json()["manifests"] == []
    upstream.referrers[old.digest] = [SIGNATURE]
    upstream.put(NAME, "1", new)
    upstream.put(NAME, "2", new)
    assert proxy.get(TAG).body == old.manifest
    assert proxy.get(signatures).json()["manifests"] == []
    return new, signatures


def test_the_whole_cache_can_be_invalidated(make_proxy, proxy, moved):
    new, signatures = moved
    remote_of(make_proxy, proxy).invalidate()
    assert proxy.get(TAG).body == new.manifest
    assert proxy.get(signatures).json()["manifests"] == [SIGNATURE]
    assert proxy.get(f"{NAME}/manifests/2").status == 200
    assert proxy.get(f"{NAME}/tags/list").json()["tags"] == ["1", "2"]


def test_one_image_can_be_refreshed(make_proxy, proxy, upstream, moved):
    upstream.put("other/app", "1", make_image())
    other = proxy.pull("other/app", "1")
    upstream.put("other/app", "1", make_image())
    new, signatures = moved
    remote_of(make_proxy, proxy).refresh(NAME)
    assert proxy.get(TAG).body == new.manifest
    assert proxy.get(signatures).json()["manifests"] == [SIGNATURE]
    assert proxy.get(f"{NAME}/manifests/2").status == 200
    assert proxy.get(f"{NAME}/tags/list").json()["tags"] == ["1", "2"]
    assert proxy.get("other/app/manifests/1").body == other


def test_the_access_log_tells_the_source(proxy, upstream, clock, caplog):
    caplog.set_level("INFO", logger="repoman.access")
    upstream.put(NAME, "1", make_image())
    proxy.get(TAG)
    proxy.get(TAG)
    clock.jump(2 * DAY)
    proxy.get(TAG)
    clock.jump(2 * DAY)
    upstream.stop()
    proxy.get(TAG)
    lines = [record.getMessage() for record in caplog.records if record.name == "repoman.access"]
    found = [word for line in lines for word in line.split() if word.isupper() and len(word) > 2]
    assert [word for word in found if word in ("HIT", "MISS", "STALE", "REVALIDATED")] == [
        "MISS",
        "HIT",
        "REVALIDATED",
        "STALE",
    ]


def test_settings_that_do_not_fit_are_refused(make_proxy, upstream):
    for settings, text in (
        ({"docker_proxy__index_type": "custom"}, "index_url"),
        ({"docker_proxy__index_url": "http://x"}, "index_url"),
        ({"docker_proxy__foreign_layer_url_whitelist": ["("]}, "not a valid regular expression"),
        ({"proxy__metadata_max_age": -2}, "metadata_max_age"),
    ):
        with pytest.raises(Invalid, match=text):
            make_proxy(upstream.url, **settings)
    with pytest.raises(Invalid, match="remote_url"):
        make_proxy("ftp://x")
