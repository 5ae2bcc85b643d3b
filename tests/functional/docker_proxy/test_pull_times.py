"""When images were last pulled, and how often: from hosted repositories, proxies and groups."""

import pytest

from repoman.db.models import AssetRecord, RepositoryRecord
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker_proxy.proxies import MINUTE, name_of
from tests.pull_days import pulls_by_day


@pytest.fixture
def pulled(make_proxy, clock):
    """What the database has of the pulls of a repository: the last one and the number, by path."""

    def pulled(registry):
        clock.jump(2 * MINUTE)
        make_proxy.repoman.pulls.flush()
        mine = RepositoryRecord.get(RepositoryRecord.name == name_of(registry)).id
        found = AssetRecord.select().where(AssetRecord.repository == mine)
        return {
            each.path: (
                each.downloaded_at is not None,
                sum(pulls_by_day(mine, each.path).values()),
            )
            for each in found
        }

    return pulled


@pytest.fixture
def hosted(make_proxy):
    return make_proxy.hosted()


def test_a_tag_and_its_manifest_are_pulled_together(hosted, pulled):
    image = make_image(b"a layer")
    digest = hosted.push("app", "1", image)
    hosted.push_manifest("app", "2", image.manifest)
    layer = f"blobs/{digest_of(b'a layer')}/app"
    assert set(pulled(hosted).values()) == {(False, 0)}
    hosted.get("app/manifests/1")
    hosted.get(f"app/blobs/{digest_of(b'a layer')}")
    found = pulled(hosted)
    assert found[f"manifests/app/{digest}"] == (True, 1)
    assert (found["tags/app/1"], found["tags/app/2"]) == ((True, 1), (False, 0))
    assert found[layer] == (True, 0)  # it has no name by which it is counted


def test_a_pull_by_digest_is_one_of_its_tags(hosted, pulled):
    image = make_image()
    digest = hosted.push("app", "1", image)
    hosted.push("app", "other", make_image(b"other"))
    hosted.head("app/manifests/1")  # as clients do that then get the digest
    hosted.get(f"app/manifests/{digest}")
    found = pulled(hosted)
    assert found["tags/app/1"] == found[f"manifests/app/{digest}"] == (True, 1)
    assert found["tags/app/other"] == (False, 0)


def test_a_question_shows_that_an_image_is_in_use(hosted, pulled):
    digest = hosted.push("app", "1", make_image(b"a layer"))
    hosted.head("app/manifests/1")
    hosted.head(f"app/blobs/{digest_of(b'a layer')}")  # as before a push
    hosted.get("app/manifests/none")
    found = pulled(hosted)
    assert found["tags/app/1"] == found[f"manifests/app/{digest}"] == (True, 0)
    assert found[f"blobs/{digest_of(b'a layer')}/app"] == (False, 0)


def test_what_a_client_has_already_is_no_pull(hosted, pulled):
    digest = hosted.push("app", "1", make_image())
    answer = hosted.get("app/manifests/1", headers={"If-None-Match": f'"{digest}"'})
    assert answer.status == 304
    assert pulled(hosted)["tags/app/1"] == (True, 0)


def test_the_parts_of_a_download_are_one(hosted, pulled, make_proxy, clock):
    data = b"0123456789"
    hosted.push("app", "1", make_image(data))
    path = f"app/blobs/{digest_of(data)}"
    make_proxy.repoman.pulls._queue.clear()
    for part in ("bytes=0-4", "bytes=5-9"):
        assert hosted.get(path, headers={"Range": part}).status == 206
    noted = [counts for _, counts in make_proxy.repoman.pulls._queue]
    assert noted == [True, False]


def test_a_group_is_pulled_from_its_members(hosted, pulled, make_proxy, upstream):
    hosted.push("app", "1", make_image())
    upstream.put("team/app", "1", make_image(b"remote"))
    proxy = make_proxy(upstream.url)
    group = make_proxy.group(hosted, proxy)
    group.pull("app", "1")
    group.pull("team/app", "1")
    group.pull("team/app", "1")
    assert pulled(hosted)["tags/app/1"] == (True, 1)
    found = pulled(proxy)
    assert found["tags/team/app/1"] == (True, 2)
    [blob] = [path for path in found if path.startswith(f"blobs/{digest_of(b'remote')}")]
    assert found[blob] == (True, 0)


def test_the_last_pull_is_when_it_was(hosted, make_proxy, clock):
    hosted.push("app", "1", make_image())
    before = clock()
    hosted.get("app/manifests/1")
    make_proxy.repoman.pulls.settle()
    after = clock()
    clock.jump(2 * MINUTE)
    make_proxy.repoman.pulls.settle()
    mine = RepositoryRecord.get(RepositoryRecord.name == name_of(hosted)).id
    tag = AssetRecord.get(AssetRecord.repository == mine, AssetRecord.path == "tags/app/1")
    assert before <= tag.downloaded_at <= after
