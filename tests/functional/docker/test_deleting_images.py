"""Deletions of whole images: what is told before, who may, and that all of it goes and no more."""

import pytest

from repoman.content import ContentStore
from repoman.errors import Denied, NotFound, Unavailable, Unsupported
from repoman_docker.browsing import image_deletion
from repoman_docker.browsing.deleting import plan_deletion
from repoman_docker.browsing.details import describe_image
from repoman_docker.browsing.image_deletion import delete_image, plan_image_deletion
from repoman_docker.browsing.images import list_images
from repoman_docker.browsing.tags import TagQuery, list_tags
from repoman_docker.hosted import deletion
from repoman_docker.hosted.deletion import Deletion
from tests.functional.docker.browsed import artifact, built, tar_of
from tests.functional.docker.images import (
    OCI_INDEX,
    descriptor,
    digest_of,
    index_of,
    make_image,
)
from tests.functional.docker.test_browsing import see
from tests.statements import changed_rows

ROWS_MAX = 1_500  # What a transaction changes at most, with the rows of triggers.


@pytest.fixture
def hosted(stage):
    return stage.make_repository()


@pytest.fixture
def registry(stage, hosted):
    return stage.mounted(hosted)


def test_an_image_goes_with_all_that_belongs_to_it(stage, hosted, registry):
    shared, own = tar_of("shared"), tar_of("own" * 50)
    image, old = built(shared, own), make_image()
    registry.push("app", "1", old)
    for tag in ("1", "2"):
        registry.push("app", tag, image)
    signature = artifact(image.manifest, "application/vnd.cncf.notary.signature", b"signed")
    registry.push_blobs("app", signature)
    registry.push_manifest("app", digest_of(signature.manifest), signature.manifest)
    registry.push("app/below", "1", built(shared))
    plan = plan_image_deletion(see(stage, hosted), "app")
    assert (plan.tags, plan.refusal) == (2, "")
    assert [each.tag for each in plan.newest] == ["2", "1"]
    assert 0 < plan.freed_size < plan.size
    assert registry.tags("app") == ["1", "2"]  # Nothing has happened yet.
    assert delete_image(see(stage, hosted), "app") == plan
    assert registry.tags("app") == []
    for digest in (image.digest, old.digest, digest_of(signature.manifest)):
        assert registry.get(f"app/manifests/{digest}").status == 404
    assert registry.tags("app/below") == ["1"]
    assert [each.name for each in list_images(see(stage, hosted)).items] == ["app/below"]
    with pytest.raises(NotFound):
        plan_image_deletion(see(stage, hosted), "app")


def between(monkeypatch, step, push):
    """Have clients push right before a step of a deletion, once."""
    original, pushes = getattr(Deletion, step), [push]

    def first_push(*args):
        if pushes:
            pushes.pop()()
        return original(*args)

    monkeypatch.setattr(Deletion, step, first_push)


def test_what_is_pushed_between_tags_and_manifests_stays_whole(
    stage, hosted, registry, monkeypatch
):
    monkeypatch.setattr(deletion, "BATCH_MANIFESTS", 2)
    again, child, grandchild, new, gone = (make_image() for _ in range(5))
    for each in (again, child, grandchild, gone):
        registry.push("app", each.digest[-8:], each)
    inner = index_of(grandchild.manifest)
    registry.push_manifest("app", digest_of(inner), inner)
    outer = index_of(manifests=[descriptor(inner, OCI_INDEX)])
    listing = index_of(child.manifest)

    def push():
        registry.push("app", "again", again)
        registry.push_manifest("app", "outer", outer)
        registry.push_manifest("app", "listing", listing)
        registry.push_blobs("app", new)
        registry.push_manifest("app", new.digest, new.manifest)

    between(monkeypatch, "_delete_manifests", push)
    delete_image(see(stage, hosted), "app")
    assert registry.tags("app") == ["again", "listing", "outer"]
    assert registry.pull("app", "again") == again.manifest
    kept = (child.digest, grandchild.digest, digest_of(inner), new.digest)
    for digest in kept:
        assert registry.get(f"app/manifests/{digest}").status == 200
    assert registry.get(f"app/manifests/{gone.digest}").status == 404


@pytest.fixture
def many_tags(registry):
    """The digest of a manifest of ``app`` whose tags take several transactions."""
    image = make_image()
    registry.push_blobs("app", image)
    for tag in range(2 * deletion.BATCH_TAGS + 1):
        registry.push_manifest("app", str(tag), image.manifest)
    return image.digest


@pytest.fixture
def failing_late(monkeypatch):
    """Have the database fail in the second transaction that deletes tags."""
    original, calls = ContentStore.delete_assets, []

    def delete_assets(self, paths, *audit):
        calls.append(paths)
        if len(calls) == 2:
            raise Unavailable("The database is busy.")
        return original(self, paths, *audit)

    monkeypatch.setattr(ContentStore, "delete_assets", delete_assets)


def test_an_image_goes_in_short_transactions(stage, hosted, registry, many_tags):
    layers = [f"layer {number}".encode() for number in range(30)]
    for number in range(2 * deletion.BATCH_MANIFESTS):
        image = make_image(*layers, annotations={"number": str(number)})
        registry.push_blobs("app", image)
        registry.push_manifest("app", image.digest, image.manifest)
    with changed_rows(stage.repoman.database) as changes:
        delete_image(see(stage, hosted), "app")
    assert registry.get(f"app/manifests/{many_tags}").status == 404
    assert registry.get(f"app/manifests/{image.digest}").status == 404
    assert max(changes) <= ROWS_MAX


def test_a_manifest_with_many_tags_goes_in_short_transactions(stage, registry, many_tags):
    with changed_rows(stage.repoman.database) as changes:
        assert registry.delete(f"app/manifests/{many_tags}").status == 202
    assert max(changes) <= ROWS_MAX


def test_who_is_interrupted_learns_how_much_is_gone(
    stage, hosted, registry, many_tags, failing_late
):
    gone = f"Tags and manifests of app that are deleted already: {deletion.BATCH_TAGS}."
    with pytest.raises(Unavailable, match=f"^The database is busy. {gone}$"):
        delete_image(see(stage, hosted), "app")
    assert len(registry.tags("app")) == deletion.BATCH_TAGS + 1
    delete_image(see(stage, hosted), "app")
    assert registry.tags("app") == []


def test_a_client_that_is_interrupted_learns_how_much_is_gone(registry, many_tags, failing_late):
    answer = registry.delete(f"app/manifests/{many_tags}")
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert f"that are deleted already: {deletion.BATCH_TAGS}." in answer.message
    assert registry.delete(f"app/manifests/{many_tags}").status == 202


def test_an_immutable_tag_that_is_pushed_meanwhile_stays(stage, registry, hosted, monkeypatch):
    stage.repoman.repositories.update(hosted, {"docker": {"immutable_tags": ["v*"]}})
    old, image = make_image(), make_image()
    registry.push("app", "1", old)
    between(monkeypatch, "_deletable", lambda: registry.push("app", "v1", image))
    monkeypatch.setattr(deletion, "BATCH_TAGS", 1)
    delete_image(see(stage, hosted), "app")
    assert registry.tags("app") == ["v1"]
    assert registry.pull("app", "v1") == image.manifest
    assert registry.get(f"app/manifests/{old.digest}").status == 404


def test_layers_that_wait_for_a_manifest_are_no_image(stage, hosted, registry):
    registry.push_blobs("app", make_image())
    assert list_images(see(stage, hosted)).items == []
    with pytest.raises(NotFound):
        plan_image_deletion(see(stage, hosted), "app")


def test_who_may_not_delete_a_part_deletes_nothing(stage, hosted, registry):
    for tag in ("1", "hidden"):
        registry.push("app", tag, make_image())
    path = '"/v2/app/tags/list"'
    chosen = f'path == {path} or path =~ "/v2/app/manifests/(1|sha256.*)"'
    limited = stage.make_selected(hosted, chosen, ["browse", "read", "delete"])
    view = see(stage, hosted, stage.make_user(limited))
    plan = plan_image_deletion(view, "app")
    assert plan.refusal == "You may not delete everything in app. Delete single tags instead."
    assert [each.tag for each in plan.newest] == ["1"]
    with pytest.raises(Denied, match="everything in app"):
        delete_image(view, "app")
    assert registry.tags("app") == ["1", "hidden"]
    whole = stage.make_selected(hosted, 'path =^ "/v2/app/"', ["browse", "read", "delete"])
    delete_image(see(stage, hosted, stage.make_user(whole)), "app")
    assert registry.tags("app") == []


def test_manifests_without_a_tag_need_the_right_as_well(stage, hosted, registry):
    for _ in range(2):
        registry.push("app", "1", make_image())
    chosen = 'path =~ "/v2/app/(tags/list|manifests/1)"'
    limited = stage.make_selected(hosted, chosen, ["browse", "read", "delete"])
    with pytest.raises(Denied):
        delete_image(see(stage, hosted, stage.make_user(limited)), "app")
    assert registry.tags("app") == ["1"]


def test_too_many_references_are_not_looked_up_one_by_one(stage, hosted, registry, monkeypatch):
    monkeypatch.setattr(image_deletion, "CHECKED_MAX", 2)
    monkeypatch.setattr(image_deletion, "BATCH", 1)
    for tag in ("1", "2"):
        registry.push("app", tag, make_image())
    whole = stage.make_selected(hosted, 'path =^ "/v2/app/"', ["browse", "read", "delete"])
    view = see(stage, hosted, stage.make_user(whole))
    assert "more than 2 tags and manifests" in plan_image_deletion(view, "app").refusal
    monkeypatch.setattr(image_deletion, "CHECKED_MAX", 4)
    assert plan_image_deletion(view, "app").refusal == ""


def test_what_cannot_be_deleted_says_why(stage, hosted, registry):
    registry.push("app", "1", make_image())
    group = stage.make_repository("docker-group", group__members=[hosted])
    with pytest.raises(Unsupported):
        plan_image_deletion(see(stage, group), "app")
    stage.repoman.repositories.update(hosted, {"storage": {"write_policy": "deny"}})
    assert plan_image_deletion(see(stage, hosted), "app").refusal == f"{hosted} is read-only."
    with pytest.raises(Denied):
        delete_image(see(stage, hosted), "app")
    for name in ("none", "*", "\0"):
        with pytest.raises(NotFound):
            plan_image_deletion(see(stage, hosted), name)


def test_tags_that_one_may_not_see_are_not_named(stage, hosted, registry):
    image = make_image()
    for tag in ("1", "2", "secret"):
        registry.push("app", tag, image)
    limited = stage.make_selected(
        hosted, 'path =~ "/v2/app/manifests/([12]|sha256.*)"', ["browse", "read", "delete"]
    )
    view = see(stage, hosted, stage.make_user(limited))
    assert [each.also for each in list_tags(view, "app", TagQuery()).items] == [("1",), ("2",)]
    assert describe_image(view, "app", "1").same == ("2",)
    one = plan_deletion(view, "app", ["1", "2"]).rows[0]
    assert (one.other_tags, one.is_tagged_elsewhere, one.image_goes) == ((), True, False)
    [only] = plan_deletion(view, "app", [image.digest]).rows
    assert only.stays_because == "It has tags: 1, 2. Delete these instead."
