"""Deletions of tags: what goes, what stays and why, what it frees, and that it happens just so."""

import pytest

from repoman.db.models import database_proxy
from repoman.errors import Conflict, Invalid, NotFound, Unsupported
from repoman_docker.browsing.deleting import delete_references, plan_deletion
from repoman_docker.browsing.tags import list_untagged
from tests.functional.docker.browsed import artifact, built, index, tar_of
from tests.functional.docker.images import digest_of, index_of, make_image
from tests.functional.docker.test_browsing import push_index, see
from tests.statements import executed_statements


@pytest.fixture
def hosted(stage):
    return stage.make_repository()


@pytest.fixture
def registry(stage, hosted):
    return stage.mounted(hosted)


def test_a_tag_goes_and_its_image_with_it_unless_others_have_it(stage, hosted, registry):
    shared, own, old = tar_of("shared"), tar_of("own" * 50), make_image()
    image = built(shared, own)
    registry.push("app", "1", image)
    registry.push("app", "2", built(shared))
    for tag in ("3", "latest"):
        registry.push("app", tag, old)
    plan = plan_deletion(see(stage, hosted), "app", ["1", "3", "gone"])
    assert [(each.reference, each.image_goes, each.other_tags) for each in plan.rows] == [
        ("1", True, ()),
        ("3", False, ("latest",)),
    ]
    assert plan.images == (image.digest,)
    assert plan.size == sum(map(len, (*image.blobs, image.manifest)))
    assert plan.freed_size == plan.size - len(shared)
    assert registry.tags("app") == ["1", "2", "3", "latest"]  # Nothing has happened yet.
    assert delete_references(see(stage, hosted), "app", ["1", "3"]) == plan
    assert registry.tags("app") == ["2", "latest"]
    assert registry.get(f"app/manifests/{image.digest}").status == 404
    assert registry.get(f"app/manifests/{old.digest}").status == 200


def test_all_tags_of_an_image_take_it_with_them(stage, hosted, registry):
    image = make_image()
    for tag in ("1", "2"):
        registry.push("app", tag, image)
    plan = plan_deletion(see(stage, hosted), "app", ["1", "2"])
    assert all(each.image_goes for each in plan.rows)
    delete_references(see(stage, hosted), "app", ["1", "2"])
    assert list_untagged(see(stage, hosted), "app").items == []
    with pytest.raises(NotFound):
        plan_deletion(see(stage, hosted), "app", ["1"])


def test_platforms_and_attachments_go_with_an_index(stage, hosted, registry):
    one, both = built(tar_of("a")), built(tar_of("b"), architecture="arm64")
    body = index((one.manifest, "linux/amd64"), (both.manifest, "linux/arm64"))
    push_index(registry, "app", "1", body, one, both)
    push_index(registry, "app", "2", index((both.manifest, "linux/arm64")), both)
    signature = artifact(one.manifest, "application/vnd.cncf.notary.signature", b"signed")
    registry.push_blobs("app", signature)
    registry.push_manifest("app", digest_of(signature.manifest), signature.manifest)
    legacy = make_image()
    registry.push("app", digest_of(body).replace(":", "-") + ".sig", legacy)
    plan = delete_references(see(stage, hosted), "app", ["1"])
    assert set(plan.images) == {digest_of(body), one.digest}
    assert set(plan.attachments) == {digest_of(signature.manifest), legacy.digest}
    assert registry.tags("app") == ["2"]
    assert registry.get(f"app/manifests/{both.digest}").status == 200
    for digest in (*plan.images, *plan.attachments):
        assert registry.get(f"app/manifests/{digest}").status == 404


def test_what_many_other_indexes_list_stays(stage, hosted, registry, monkeypatch):
    monkeypatch.setattr("repoman_docker.browsing.deleting.REFERRERS_MAX", 3)
    one, two, own = make_image(), make_image(), make_image()
    push_index(registry, "app", "1", index_of(*(each.manifest for each in (one, two, own))), own)
    for number in range(4):
        body = index_of(one.manifest, two.manifest, b"%d" % number)
        push_index(registry, "app", f"other-{number}", body, one, two)
    with executed_statements() as statements:
        plan = delete_references(see(stage, hosted), "app", ["1"])
    assert plan.images[1:] == (own.digest,)
    asked = [each for each in statements if "WHERE EXISTS" in each]
    assert asked
    for each in asked:
        steps = [row[3] for row in database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {each}")]
        assert any("SEARCH r USING COVERING INDEX" in step for step in steps), steps
    for image in (one, two):
        assert registry.get(f"app/manifests/{image.digest}").status == 200


def test_a_tag_leaves_its_image_to_the_index_that_lists_it(stage, hosted, registry):
    image = make_image()
    registry.push("app", "arm64", image)
    body = index_of(image.manifest)
    registry.push_manifest("app", "1", body)
    plan = delete_references(see(stage, hosted), "app", ["arm64"])
    assert [(each.image_goes, each.is_listed) for each in plan.rows] == [(False, True)]
    assert registry.tags("app") == ["1"]
    assert registry.get(f"app/manifests/{image.digest}").status == 200
    registry.push("app", "arm64", image)
    registry.push_manifest("app", "list", index_of(body))
    plan = plan_deletion(see(stage, hosted), "app", ["arm64", "1"])
    assert [each.is_listed for each in plan.rows] == [True, True]
    plan = delete_references(see(stage, hosted), "app", ["arm64", "1", "list"])
    assert [each.image_goes for each in plan.rows] == [True, True, True]
    assert registry.get(f"app/manifests/{image.digest}").status == 404


def test_a_manifest_without_a_tag_can_be_deleted(stage, hosted, registry):
    old, new = make_image(), make_image()
    registry.push("app", "1", old)
    registry.push("app", "1", new)
    plan = plan_deletion(see(stage, hosted), "app", [old.digest, new.digest])
    assert [(each.stays_because, each.image_goes) for each in plan.rows] == [
        ("", True),
        ("It has tags: 1. Delete these instead.", False),
    ]
    delete_references(see(stage, hosted), "app", [old.digest, new.digest])
    assert registry.get(f"app/manifests/{old.digest}").status == 404
    assert registry.tags("app") == ["1"]


def test_what_may_not_be_deleted_stays(stage, hosted, registry):
    image = make_image()
    for tag in ("1", "release"):
        registry.push("app", tag, image)
    selected = stage.make_selected(
        hosted, 'path == "/v2/app/manifests/1"', ["browse", "read", "delete"]
    )
    seen = stage.make_selected(hosted, 'path =^ "/v2/"', ["browse", "read"])
    limited = see(stage, hosted, stage.make_user(selected, seen))
    plan = plan_deletion(limited, "app", ["1", "release"])
    assert [(each.stays_because, each.image_goes) for each in plan.rows] == [
        ("", False),
        ("You may not delete it.", False),
    ]
    delete_references(limited, "app", ["1", "release"])
    assert registry.tags("app") == ["release"]


def test_a_read_only_repository_keeps_all(stage, hosted, registry):
    registry.push("app", "1", make_image())
    stage.repoman.repositories.update(hosted, {"storage": {"write_policy": "deny"}})
    plan = delete_references(see(stage, hosted), "app", ["1"])
    assert plan.going == ()
    assert plan.rows[0].stays_because == f"{hosted} is read-only."
    assert registry.tags("app") == ["1"]


def test_a_tag_that_comes_in_the_meantime_is_not_lost(stage, hosted, registry, monkeypatch):
    from repoman_docker.browsing import deleting

    image = make_image()
    registry.push("app", "1", image)
    plan = plan_deletion(see(stage, hosted), "app", ["1"])
    registry.push("app", "2", image)
    monkeypatch.setattr(deleting, "plan_deletion", lambda *_: plan)
    with pytest.raises(Conflict, match="meantime"):
        delete_references(see(stage, hosted), "app", ["1"])
    assert registry.tags("app") == ["1", "2"]


def test_what_an_index_lists_in_the_meantime_is_not_lost(stage, hosted, registry, monkeypatch):
    from repoman_docker.browsing import deleting

    image, child = make_image(), make_image()
    registry.push("app", "arm64", image)
    push_index(registry, "app", "1", index_of(child.manifest), child)
    plans = [plan_deletion(see(stage, hosted), "app", [tag]) for tag in ("1", "arm64")]
    registry.push_manifest("app", "2", index_of(child.manifest, image.manifest))
    monkeypatch.setattr(deleting, "plan_deletion", lambda *_: plans[0])
    assert child.digest in delete_references(see(stage, hosted), "app", ["1"]).images
    monkeypatch.setattr(deleting, "plan_deletion", lambda *_: plans[1])
    with pytest.raises(Conflict, match="meantime"):
        delete_references(see(stage, hosted), "app", ["arm64"])
    assert registry.tags("app") == ["2", "arm64"]
    for each in (child, image):
        assert registry.get(f"app/manifests/{each.digest}").status == 200


def test_what_cannot_be_deleted_says_so(stage, hosted, registry):
    registry.push("app", "1", make_image())
    group = stage.make_repository("docker-group", group__members=[hosted])
    with pytest.raises(Unsupported, match="repository that stores it"):
        plan_deletion(see(stage, group), "app", ["1"])
    with pytest.raises(Invalid):
        plan_deletion(see(stage, hosted), "app", [])
    with pytest.raises(Invalid, match="200"):
        plan_deletion(see(stage, hosted), "app", [str(each) for each in range(201)])
    with pytest.raises(NotFound):
        plan_deletion(see(stage, hosted), "app", ["\0", "sha256:x", "../1"])
