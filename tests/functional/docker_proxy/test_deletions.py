"""Deletions by administrators and tasks: what the core asks of a repository by its capabilities."""

import pytest

from repoman.content import ContentStore
from repoman.errors import Conflict, NotFound, ReadOnly
from repoman.events.event import Coordinate
from repoman.repositories.model import check_nothing
from repoman_docker.hosted import deletion
from repoman_docker.layout import blob_path, image, manifest_path, tag_path, tagged
from repoman_docker.protocol.reference import Digest, Tag
from tests.functional.docker.images import make_image
from tests.functional.docker_proxy.proxies import name_of

NAME = "team/app"


@pytest.fixture
def delete(make_proxy):
    """Return the capabilities of a repository."""
    return lambda registry: make_proxy.repoman.repositories.get(name_of(registry)).capabilities


@pytest.fixture
def hosted(make_proxy):
    return make_proxy.hosted()


@pytest.fixture
def pushed(hosted):
    found = make_image()
    for tag in ("1", "2"):
        hosted.push(NAME, tag, found)
    hosted.push(f"{NAME}/below", "1", found)
    return found


def test_a_tag_goes_and_its_manifest_stays(hosted, pushed, delete):
    delete(hosted).delete_component(tagged(NAME, Tag("1")))
    assert hosted.tags(NAME) == ["2"]
    assert hosted.get(f"{NAME}/manifests/{pushed.digest}").status == 200
    with pytest.raises(NotFound, match=f"no {NAME}:1 in"):
        delete(hosted).delete_component(tagged(NAME, Tag("1")))


def test_an_image_goes_in_short_transactions_and_those_below_it_stay(
    hosted, pushed, delete, monkeypatch
):
    sizes = []

    def counted(real):
        def count(self, paths, *audit):
            paths = list(paths)
            sizes.append(len(paths))
            return real(self, paths, *audit)

        return count

    for name in ("delete_assets", "trash_assets"):
        monkeypatch.setattr(ContentStore, name, counted(getattr(ContentStore, name)))
    for each in ("BATCH_TAGS", "BATCH_MANIFESTS"):
        monkeypatch.setattr(deletion, each, 2)
    for tag in range(5):
        hosted.push(NAME, f"more-{tag}", make_image())
    delete(hosted).delete_component(image(NAME))
    assert max(sizes) == 2
    assert sum(sizes) == 7 + 2 * 6  # each manifest with the chain that it may have
    assert hosted.get(f"{NAME}/tags/list").code == "NAME_UNKNOWN"
    assert hosted.get(f"{NAME}/manifests/{pushed.digest}").code == "MANIFEST_UNKNOWN"
    assert hosted.pull(f"{NAME}/below", "1") == pushed.manifest
    with pytest.raises(NotFound):
        delete(hosted).delete_component(image(NAME))


def test_a_manifest_goes_with_its_tags_and_a_blob_only_when_none_needs_it(hosted, pushed, delete):
    blob = blob_path(NAME, Digest.of("sha256", pushed.blobs[0]))
    with pytest.raises(Conflict, match="Delete the manifest first"):
        delete(hosted).delete_asset(blob, check_nothing)
    delete(hosted).delete_asset(manifest_path(NAME, Digest.parse(pushed.digest)), check_nothing)
    assert hosted.get(f"{NAME}/tags/list").code == "NAME_UNKNOWN"
    delete(hosted).delete_asset(blob, check_nothing)
    with pytest.raises(NotFound):
        delete(hosted).delete_asset(blob, check_nothing)


def test_a_repository_that_is_read_only_refuses(make_proxy, hosted, pushed, delete):
    make_proxy.change(hosted, storage__write_policy="deny")
    for act in (
        lambda: delete(hosted).delete_component(image(NAME)),
        lambda: delete(hosted).delete_asset(tag_path(NAME, Tag("1")), check_nothing),
    ):
        with pytest.raises(ReadOnly, match="read-only"):
            act()
    assert hosted.tags(NAME) == ["1", "2"]


def test_what_a_proxy_has_cached_is_fetched_again_when_it_was_deleted(proxy, upstream, delete):
    upstream.put(NAME, "1", make_image())
    assert proxy.pull(NAME, "1")
    before = upstream.count(f"GET /v2/{NAME}/manifests/")
    delete(proxy).delete_component(image(NAME))
    assert proxy.pull(NAME, "1")
    assert upstream.count(f"GET /v2/{NAME}/manifests/") > before


def test_a_group_deletes_nothing_and_has_no_remote(make_proxy, hosted, proxy, delete):
    group = delete(make_proxy.group(hosted, proxy))
    assert (group.delete_component, group.delete_asset, group.remote) == (None, None, None)
    assert group.trace is not None
    assert delete(proxy).remote is not None
    assert (delete(proxy).trace, delete(hosted).remote) == (None, None)


def test_what_is_no_component_is_not_there(hosted, delete):
    with pytest.raises(NotFound):
        delete(hosted).delete_component(Coordinate("other", "x"))
