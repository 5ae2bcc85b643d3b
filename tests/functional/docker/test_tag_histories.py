"""What happened to tags, and their restoration: what comes back, what does not, and who may."""

import time

import pytest

from repoman.clocks import DAY_S
from repoman.collection import CollectionOptions, collect, list_unneeded
from repoman.errors import Invalid, NotFound, PageKeyInvalid, Unsupported
from repoman.events.origin import Origin, acting_as
from repoman_docker.browsing.collecting import explain_keeping
from repoman_docker.browsing.deleting import delete_references
from repoman_docker.browsing.histories import left_tags, tag_history
from repoman_docker.browsing.image_deletion import delete_image
from repoman_docker.browsing.restoring import Past, plan_restoration, restore_tags
from tests.functional.docker.browsed import artifact, built, index, tar_of
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker.test_browsing import push_index, see
from tests.functional.docker.test_collection import Watcher
from tests.functional.rights.stage import view


@pytest.fixture
def hosted(stage):
    return stage.make_repository()


@pytest.fixture
def registry(stage, hosted):
    return stage.mounted(hosted)


def told(page):
    return [(each.what, each.old, each.new) for each in page.items]


def collect_after(stage, hosted, days):
    """Collect what nothing needs, so many days later."""
    collector = stage.repoman.repositories.get(hosted).capabilities.collector
    options = CollectionOptions(time.time() + days * DAY_S, DAY_S)
    return collect([(hosted, collector)], options, Watcher(), 60)


# Histories --------------------------------------------------------------------------------------


def test_a_history_tells_each_change_newest_first(stage, hosted, registry):
    one, two = make_image(), make_image()
    registry.push("app", "1", one)
    registry.push("app", "1", one)
    registry.push("app", "1", two)
    registry.delete("app/manifests/1")
    registry.push("app", "1", one)
    page = tag_history(see(stage, hosted), "app", "1")
    assert told(page) == [
        ("pushed", "", one.digest),
        ("deleted", two.digest, ""),
        ("moved", one.digest, two.digest),
        ("pushed again", one.digest, one.digest),
        ("pushed", "", one.digest),
    ]
    assert {each.actor for each in page.items} == {"admin"}
    assert {each.source for each in page.items} == {"request"}
    assert page.next is None


def test_only_moves_and_deletions_are_listed_for_an_image(stage, hosted, registry):
    one, two = make_image(), make_image()
    for name in ("app", "app/side"):
        registry.push(name, "1", one)
        registry.push(name, "1", two)
    registry.push("app", "2", one)
    registry.delete("app/manifests/2")
    seen = see(stage, hosted)
    assert told(left_tags(seen, "app")) == [
        ("deleted", one.digest, ""),
        ("moved", one.digest, two.digest),
    ]
    assert [each.name for each in left_tags(seen, None).items] == ["app", "app/side", "app"]


def test_histories_have_pages(stage, hosted, registry):
    images = [make_image() for _ in range(5)]
    for image in images:
        registry.push("app", "1", image)
    seen, found, after = see(stage, hosted), [], ""
    while after is not None:
        page = tag_history(seen, "app", "1", after, 2)
        found += [each.new for each in page.items]
        after = page.next
    assert found == [each.digest for each in reversed(images)]
    first = left_tags(seen, None, "", 3)
    assert len(left_tags(seen, None, first.next, 3).items) == 1
    for bad in ("x", "-1", "9" * 30, "²"):
        with pytest.raises(PageKeyInvalid):
            tag_history(seen, "app", "1", bad)


def test_a_history_is_told_to_who_may_see_the_tag(stage, hosted, registry):
    for tag in ("1", "secret"):
        registry.push("app", tag, make_image())
        registry.push("app", tag, make_image())
    right = stage.make_selected(hosted, 'path == "/v2/app/manifests/1"', ["browse", "read"])
    limited = see(stage, hosted, stage.make_user(right))
    assert len(tag_history(limited, "app", "1").items) == 2
    assert tag_history(limited, "app", "secret").items == []
    assert [each.tag for each in left_tags(limited, None).items] == ["1"]


# Restoring --------------------------------------------------------------------------------------


def test_a_deleted_tag_comes_back_with_its_image(stage, hosted, registry):
    image = built(tar_of("a"), tar_of("b"))
    registry.push("app", "1", image)
    delete_references(see(stage, hosted), "app", ["1"])
    assert registry.get(f"app/manifests/{image.digest}").status == 404
    assert registry.get("app/tags/list").status == 404
    plan = plan_restoration(see(stage, hosted), Past("app", "1"))
    assert [(each.old, each.new, each.refusal) for each in plan.changes] == [("", image.digest, "")]
    assert registry.get(f"app/manifests/{image.digest}").status == 404  # Nothing has happened yet.
    assert restore_tags(see(stage, hosted), Past("app", "1")) == plan
    assert registry.pull("app", "1") == image.manifest
    assert registry.get(f"app/manifests/{image.digest}").status == 200
    assert tag_history(see(stage, hosted), "app", "1").items[0].what == "restored"


def test_a_moved_tag_goes_back_and_forth(stage, hosted, registry):
    one, two = make_image(), make_image()
    registry.push("app", "1", one)
    registry.push("app", "1", two)
    restore_tags(see(stage, hosted), Past("app", "1"))
    assert registry.pull("app", "1") == one.manifest
    restore_tags(see(stage, hosted), Past("app", "1"))
    assert registry.pull("app", "1") == two.manifest
    restore_tags(see(stage, hosted), Past("app", "1", digest=one.digest))
    assert registry.pull("app", "1") == one.manifest


def test_an_index_comes_back_with_its_images_and_signatures(stage, hosted, registry):
    one, both = built(tar_of("a")), built(tar_of("b"), architecture="arm64")
    body = index((one.manifest, "linux/amd64"), (both.manifest, "linux/arm64"))
    push_index(registry, "app", "1", body, one, both)
    signature = artifact(one.manifest, "application/vnd.cncf.notary.signature", b"signed")
    registry.push_blobs("app", signature)
    registry.push_manifest("app", digest_of(signature.manifest), signature.manifest)
    gone = delete_references(see(stage, hosted), "app", ["1"])
    manifests = {*gone.images, *gone.attachments}
    assert len(manifests) == 4
    restore_tags(see(stage, hosted), Past("app", "1"))
    assert registry.pull("app", "1") == body
    for digest in manifests:
        assert registry.get(f"app/manifests/{digest}").status == 200
    listed = registry.get(f"app/referrers/{digest_of(one.manifest)}").json()["manifests"]
    assert [each["digest"] for each in listed] == [digest_of(signature.manifest)]


def test_what_was_deleted_by_digest_comes_back(stage, hosted, registry):
    image = make_image()
    for tag in ("1", "2"):
        registry.push("app", tag, image)
    assert registry.delete(f"app/manifests/{image.digest}").status == 202
    before = time.time() - 3600
    with pytest.raises(NotFound, match="There was no app:1 at that time"):
        plan_restoration(see(stage, hosted), Past("app", "1", at=before))
    restore_tags(see(stage, hosted), Past("app", "1"))
    assert registry.tags("app") == ["1"]
    assert registry.pull("app", "1") == image.manifest


def test_an_image_goes_back_to_a_time(stage, hosted, registry):
    kept, moved, gone, new = (make_image() for _ in range(4))
    for tag, image in (("kept", kept), ("moved", moved), ("gone", gone)):
        registry.push("app", tag, image)
    registry.push("other", "1", gone)
    then = time.time()
    registry.push("app", "moved", new)
    registry.push("app", "new", new)
    registry.push("app", "short", new)
    registry.delete("app/manifests/short")
    delete_references(see(stage, hosted), "app", ["gone"])
    registry.delete("other/manifests/1")
    plan = plan_restoration(see(stage, hosted), Past("app", at=then))
    assert [(each.tag, each.old, each.new) for each in plan.changes] == [
        ("gone", "", gone.digest),
        ("moved", new.digest, moved.digest),
    ]
    restore_tags(see(stage, hosted), Past("app", at=then))
    assert registry.tags("app") == ["gone", "kept", "moved", "new"]
    assert registry.pull("app", "moved") == moved.manifest
    assert plan_restoration(see(stage, hosted), Past("app", at=then)).changes == ()
    restore_tags(see(stage, hosted), Past(at=then))
    assert registry.pull("other", "1") == gone.manifest


def test_a_deleted_image_comes_back_whole(stage, hosted, registry):
    images = {str(number): built(tar_of(str(number))) for number in range(3)}
    for tag, image in images.items():
        registry.push("app", tag, image)
    then = time.time()
    delete_image(see(stage, hosted), "app")
    assert registry.get("app/tags/list").status == 404
    restore_tags(see(stage, hosted), Past("app", at=then))
    for tag, image in images.items():
        assert registry.pull("app", tag) == image.manifest


def test_what_cannot_come_back_says_why(stage, hosted, registry):
    image = built(tar_of("a"), tar_of("b"))
    registry.push("app", "1", image)
    delete_references(see(stage, hosted), "app", ["1"])
    assert registry.delete(f"app/blobs/{digest_of(image.blobs[0])}").status == 202
    [change] = restore_tags(see(stage, hosted), Past("app", "1")).changes
    assert change.refusal == "1 of its 3 layers and configs are gone."
    collect_after(stage, hosted, 15)
    [change] = restore_tags(see(stage, hosted), Past("app", "1")).changes
    assert change.refusal == "Its manifest is gone."
    with pytest.raises(NotFound, match="neither moved nor deleted"):
        plan_restoration(see(stage, hosted), Past("app", "unknown"))
    with pytest.raises(Invalid, match="within the last 14 days"):
        plan_restoration(see(stage, hosted), Past("app", "1", at=time.time() - 15 * DAY_S))
    with pytest.raises(Invalid, match="within the last 14 days"):
        plan_restoration(see(stage, hosted), Past("app", at=time.time() + DAY_S))
    with pytest.raises(Invalid, match="Without a tag"):
        plan_restoration(see(stage, hosted), Past("app"))
    for past in (Past("App", "1"), Past("app", "~"), Past("app", "1", digest="sha256:1")):
        with pytest.raises(Invalid):
            plan_restoration(see(stage, hosted), past)


def test_an_image_that_lacks_layers_comes_back_where_that_is_allowed(stage):
    hosted = stage.make_repository(docker__sparse=True)
    registry = stage.mounted(hosted)
    image = built(tar_of("a"), tar_of("b"))
    for blob in image.blobs[1:]:
        registry.push_blob("app", blob)
    registry.push_manifest("app", "1", image.manifest)
    delete_references(see(stage, hosted), "app", ["1"])
    [change] = restore_tags(see(stage, hosted), Past("app", "1")).changes
    assert change.refusal == ""
    assert registry.get("app/manifests/1").body == image.manifest


def test_a_plan_counts_layers_that_lost_their_bytes(stage, hosted, registry):
    image = built(tar_of("a"), tar_of("b"))
    registry.push("app", "1", image)
    registry.delete("app/manifests/1")
    digest = digest_of(image.blobs[0]).removeprefix("sha256:")
    (stage.repoman.data / "blobs/default/sha256" / digest[:2] / digest).unlink()
    plan = plan_restoration(see(stage, hosted), Past("app", "1"))
    assert [each.refusal for each in plan.changes] == ["1 of its 3 layers and configs are gone."]
    assert restore_tags(see(stage, hosted), Past("app", "1")) == plan


def test_the_trash_keeps_layers_until_the_days_are_over(stage, hosted, registry):
    image = make_image()
    registry.push("app", "1", image)
    delete_references(see(stage, hosted), "app", ["1"])
    size = sum(map(len, (*image.blobs, image.manifest)))
    assert collect_after(stage, hosted, 13).freed == 0
    capabilities = stage.repoman.repositories.get(hosted).capabilities
    now = CollectionOptions(time.time() + DAY_S, DAY_S)
    layer = digest_of(image.blobs[0])
    for name, reason in (
        (f"app@{image.digest}", "It was deleted and can be restored."),
        (image.digest, "It was deleted and can be restored."),
        (layer, f"It is a part of app@{image.digest}, which was deleted and can be restored."),
    ):
        [hold] = capabilities.collector.explain(name, now)
        assert hold.reason == reason
        assert hold.until == pytest.approx(time.time() + 14 * DAY_S, abs=120)
    told = [each.reason for each in explain_keeping(see(stage, hosted), "app", image.digest)]
    assert told == ["It was deleted and can be restored."]
    options = CollectionOptions(time.time() + 15 * DAY_S, DAY_S, is_dry=True)
    plan = list(list_unneeded(capabilities.collector, options))
    assert sum(each.freed for each in plan) == size
    assert "It was deleted, and can no longer be restored." in {each.reason for each in plan}
    [hold] = capabilities.collector.explain(f"app@{layer}", options)
    assert "which was deleted and goes with the next collection" in hold.reason
    assert collect_after(stage, hosted, 15).freed == size


def test_without_days_nothing_is_kept(stage, hosted, registry):
    stage.repoman.repositories.update(hosted, {"docker": {"undo_days": 0}})
    image = make_image()
    registry.push("app", "1", image)
    delete_references(see(stage, hosted), "app", ["1"])
    [change] = plan_restoration(see(stage, hosted), Past("app", "1")).changes
    assert change.refusal == "Its manifest is gone."


def test_restoring_needs_the_rights_of_a_push(stage, hosted, registry):
    one, two = make_image(), make_image()
    for tag in ("gone", "moved"):
        registry.push("app", tag, one)
    then = time.time()
    registry.push("app", "moved", two)
    registry.delete("app/manifests/gone")
    reader = see(stage, hosted, stage.make_user(*view(hosted, "browse", "read")))
    refused = restore_tags(reader, Past("app", at=then)).changes
    assert {each.refusal for each in refused} == {"You may not push this tag."}
    adder = see(stage, hosted, stage.make_user(*view(hosted, "browse", "read", "add")))
    changes = restore_tags(adder, Past("app", at=then)).changes
    assert [(each.tag, each.refusal) for each in changes] == [
        ("gone", ""),
        ("moved", "You may not push this tag."),
    ]
    assert registry.pull("app", "moved") == two.manifest


def test_the_deployment_policy_holds_for_restoring(stage, hosted, registry):
    one, two = make_image(), make_image()
    registry.push("app", "1", one)
    registry.push("app", "1", two)
    stage.repoman.repositories.update(hosted, {"storage": {"write_policy": "allow_once"}})
    [change] = restore_tags(see(stage, hosted), Past("app", "1")).changes
    assert "deployment policy: disable redeploy" in change.refusal
    stage.repoman.repositories.update(hosted, {"storage": {"write_policy": "deny"}})
    [change] = restore_tags(see(stage, hosted), Past("app", "1")).changes
    assert "is read-only" in change.refusal
    assert registry.pull("app", "1") == two.manifest


def test_a_restoration_is_audited_under_who_did_it(stage, hosted, registry):
    registry.push("app", "1", make_image())
    registry.delete("app/manifests/1")
    with acting_as(Origin("ana", source="request")):
        restore_tags(see(stage, hosted), Past("app", "1"))
    found, _ = stage.repoman.events.search({"repository": hosted, "source": "restore"})
    assert {each.actor for each in found} == {"ana"}
    [entry] = [each.audit for each in found if each.audit]
    assert (entry.type, entry.target) == ("restore", "app:1")


def test_only_hosted_repositories_restore(stage, hosted):
    group = stage.make_repository("docker-group", group__members=[hosted])
    with pytest.raises(Unsupported):
        plan_restoration(see(stage, group), Past("app", "1"))
