"""For how long it is believed that the upstream has nothing."""

import pytest

from tests.functional.docker.images import make_image
from tests.functional.docker_proxy.proxies import DAY, MINUTE

NAME = "team/app"
TAG = f"{NAME}/manifests/1"
SIGNATURE = {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": f"sha256:{'a' * 64}",
    "size": 3,
}


@pytest.fixture
def signatures(upstream):
    """The path of the referrers of an image that has none."""
    image = make_image()
    upstream.put(NAME, "2", image)
    return f"{NAME}/referrers/{image.digest}"


def test_a_tag_that_was_not_there_is_asked_for_again_after_five_minutes(proxy, upstream, clock):
    assert proxy.get(TAG).status == 404
    upstream.put(NAME, "1", make_image())
    clock.jump(4 * MINUTE)
    assert proxy.get(TAG).status == 404
    clock.jump(MINUTE)
    assert proxy.get(TAG).status == 200


def test_referrers_that_were_not_there_are_asked_for_again_after_five_minutes(
    proxy, upstream, clock, signatures
):
    assert proxy.get(signatures).json()["manifests"] == []
    subject = signatures.rpartition("/")[2]
    upstream.referrers[subject] = [SIGNATURE]
    clock.jump(4 * MINUTE)
    assert proxy.get(signatures).json()["manifests"] == []
    clock.jump(MINUTE)
    assert proxy.get(signatures).json()["manifests"] == [SIGNATURE]
    asked = upstream.count("/referrers/")
    clock.jump(DAY - 10 * MINUTE)
    assert proxy.get(signatures).json()["manifests"] == [SIGNATURE]
    assert upstream.count("/referrers/") == asked


@pytest.mark.parametrize(
    ("settings", "age"),
    [
        ({"negative_cache__enabled": False}, 0),
        ({"negative_cache__time_to_live": 0}, 0),
        ({"negative_cache__time_to_live": 60}, 59 * MINUTE),
        ({"negative_cache__time_to_live": -1, "proxy__metadata_max_age": -1}, 30 * DAY),
    ],
)
def test_for_how_long_is_a_setting(make_proxy, upstream, clock, signatures, settings, age):
    proxy = make_proxy(upstream.url, **settings)
    proxy.get(TAG), proxy.get(signatures)
    before = len(upstream.log)
    clock.jump(age)
    proxy.get(TAG), proxy.get(signatures)
    assert (len(upstream.log) > before) is (age == 0)


def test_an_upstream_that_is_down_still_has_no_referrers(proxy, upstream, clock, signatures):
    proxy.get(signatures)
    clock.jump(DAY)
    upstream.stop()
    answer = proxy.get(signatures)
    assert (answer.status, answer.json()["manifests"]) == (200, [])
    assert "Warning" in answer.headers
