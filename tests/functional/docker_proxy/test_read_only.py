"""Read-only mode, for clients of proxies and groups: every pull goes on, and nothing stays."""

import pytest

from repoman.db.models import AssetRecord
from tests.clock import wait_until
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker_proxy.proxies import DAY

NAME = "team/app"


@pytest.fixture
def frozen(make_proxy):
    """Begin read-only mode; it ends with the test."""
    database = make_proxy.repoman.database
    yield lambda: database.freeze("ann")
    if database.read_only.state is not None:
        database.release()


def stored():
    return sorted(AssetRecord.select(AssetRecord.repository, AssetRecord.path).tuples())


def test_pulls_by_a_proxy_go_on(make_proxy, proxy, upstream, clock, frozen):
    cached, new = make_image(b"cached"), make_image(b"new")
    upstream.put(NAME, "1", cached)
    upstream.put(NAME, "2", new)
    assert proxy.pull(NAME, "1") == cached.manifest
    frozen()
    before = stored()
    assert proxy.pull(NAME, "1") == cached.manifest
    clock.jump(2 * DAY)  # The remote is asked whether it is still the same.
    answer = proxy.get(f"{NAME}/manifests/1")
    assert (answer.body, answer.headers["X-Repoman-Cache"]) == (cached.manifest, "REVALIDATED")
    for _ in range(2):
        assert proxy.pull(NAME, "2") == new.manifest
        for blob in new.blobs:
            assert proxy.get(f"{NAME}/blobs/{digest_of(blob)}").body == blob
    assert proxy.get(f"{NAME}/manifests/3").status == 404
    assert proxy.tags(NAME) == ["1", "2"]
    assert stored() == before
    make_proxy.repoman.database.release()

    def is_kept():
        proxy.pull(NAME, "2")
        return stored() != before

    wait_until(is_kept, what="the image is cached after the release")


def test_pulls_by_a_group_go_on(make_proxy, proxy, upstream, frozen):
    hosted = make_proxy.hosted()
    pushed, remote = make_image(b"pushed"), make_image(b"remote")
    hosted.push(NAME, "1", pushed)
    upstream.put(NAME, "2", remote)
    group = make_proxy.group(hosted, proxy)
    frozen()
    before = stored()
    for _ in range(2):
        assert group.pull(NAME, "1") == pushed.manifest
        assert group.pull(NAME, "2") == remote.manifest
    assert group.tags(NAME) == ["1", "2"]
    assert stored() == before
