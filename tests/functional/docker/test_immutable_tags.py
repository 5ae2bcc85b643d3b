"""Immutable tags: what a rule keeps, whoever wants to move or delete it, and what it says."""

import threading

import pytest

from repoman.errors import Denied, Invalid
from repoman.events.event import Coordinate
from repoman_docker.browsing.deleting import delete_references, plan_deletion
from repoman_docker.browsing.image_deletion import delete_image, plan_image_deletion
from repoman_docker.browsing.restoring import Past, restore_tags
from tests.functional.docker.images import (
    OCI_INDEX,
    descriptor,
    digest_of,
    index_of,
    make_image,
)
from tests.functional.docker.test_browsing import see

RULES = ["v*", "!v*-rc*"]
TOLD = "app:v1 is immutable in the repository {} (rule v*)."


@pytest.fixture
def hosted(stage):
    return stage.make_repository(docker__immutable_tags=RULES)


@pytest.fixture
def registry(stage, hosted):
    return stage.mounted(hosted)


def put(registry, tag, image, name="app"):
    registry.push_blobs(name, image)
    return registry.put_manifest(name, tag, image.manifest)


def test_a_push_that_would_move_it_is_refused(hosted, registry):
    image = make_image()
    assert put(registry, "v1", image).status == 201
    assert put(registry, "v1", image).status == 201
    answer = put(registry, "v1", make_image())
    assert (answer.status, answer.code) == (403, "DENIED")
    assert answer.message == f"{TOLD.format(hosted)} Push another tag."
    assert registry.pull("app", "v1") == image.manifest
    for tag in ("v1-rc1", "latest"):
        assert put(registry, tag, make_image()).status == 201
        assert put(registry, tag, make_image()).status == 201


def test_clients_cannot_delete_it(hosted, registry):
    image = make_image()
    put(registry, "v1", image)
    for reference in ("v1", image.digest):
        answer = registry.delete(f"app/manifests/{reference}")
        assert (answer.status, answer.code) == (403, "DENIED")
        assert answer.message == f"{TOLD.format(hosted)} It cannot be deleted."
    assert registry.delete("app/manifests/v2").status == 404
    assert registry.pull("app", "v1") == image.manifest


def test_nobody_else_deletes_it_either(stage, hosted, registry):
    image = make_image()
    for tag in ("v1", "other"):
        put(registry, tag, image)
    seen, reason = see(stage, hosted), TOLD.format(hosted)
    plan = plan_deletion(seen, "app", ["v1", "other"])
    assert [(each.stays_because, each.image_goes) for each in plan.rows] == [
        (reason, False),
        ("", False),
    ]
    delete_references(seen, "app", ["v1", "other"])
    assert registry.tags("app") == ["v1"]
    assert plan_image_deletion(seen, "app").refusal == reason
    with pytest.raises(Denied, match="rule v"):
        delete_image(seen, "app")
    capabilities = stage.repoman.repositories.get(hosted).capabilities
    tag = Coordinate("tag", "app", "v1")
    assert capabilities.protection(tag) == reason
    assert capabilities.protection(Coordinate("tag", "app", "v1-rc1")) == ""
    for delete in (
        lambda: capabilities.delete_component(tag),
        lambda: capabilities.delete_component(Coordinate("image", "app")),
        lambda: capabilities.delete_asset("tags/app/v1", lambda _: None),
        lambda: capabilities.delete_asset(f"manifests/app/{image.digest}", lambda _: None),
    ):
        with pytest.raises(Denied, match="cannot be deleted"):
            delete()
    assert registry.pull("app", "v1") == image.manifest


def test_nobody_deletes_an_image_of_its_index(stage, hosted, registry):
    image, other = make_image(), make_image()
    for each in (image, other):
        registry.push_blobs("app", each)
        registry.push_manifest("app", each.digest, each.manifest)
    inner = index_of(image.manifest)
    registry.push_manifest("app", digest_of(inner), inner)
    registry.push_manifest("app", "v1", index_of(manifests=[descriptor(inner, OCI_INDEX)]))
    registry.push_manifest("app", "latest", index_of(other.manifest))
    delete_asset = stage.repoman.repositories.get(hosted).capabilities.delete_asset
    for digest in (image.digest, digest_of(inner)):
        answer = registry.delete(f"app/manifests/{digest}")
        assert (answer.status, answer.code) == (403, "DENIED")
        assert answer.message == f"{TOLD.format(hosted)} It cannot be deleted."
        with pytest.raises(Denied, match="cannot be deleted"):
            delete_asset(f"manifests/app/{digest}", lambda _: None)
        assert registry.get(f"app/manifests/{digest}").status == 200
    assert registry.delete(f"app/manifests/{other.digest}").status == 202


def test_a_plan_knows_what_an_image_of_its_index_is_kept_for(stage, hosted, registry):
    image, other = make_image(), make_image()
    registry.push_blobs("app", image)
    registry.push_manifest("app", image.digest, image.manifest)
    inner = index_of(image.manifest)
    registry.push_manifest("app", digest_of(inner), inner)
    registry.push_manifest("app", "v1", index_of(manifests=[descriptor(inner, OCI_INDEX)]))
    put(registry, "other", other)
    plan = delete_references(see(stage, hosted), "app", ["other", image.digest])
    assert {each.reference: each.stays_because for each in plan.rows} == {
        "other": "",
        image.digest: TOLD.format(hosted),
    }
    assert plan.images == (other.digest,)
    assert registry.get(f"app/manifests/{image.digest}").status == 200


def test_a_signature_with_one_stays_when_its_image_goes(stage):
    hosted = stage.make_repository(docker__immutable_tags=["*.sig"])
    registry, image = stage.mounted(hosted), make_image()
    signed = f"{image.digest.replace(':', '-')}.sig"
    put(registry, "1", image)
    put(registry, signed, make_image())
    plan = delete_references(see(stage, hosted), "app", ["1"])
    assert (plan.images, plan.attachments) == ((image.digest,), ())
    assert registry.tags("app") == [signed]


def test_of_two_pushes_of_a_new_tag_one_wins(hosted, registry):
    images = [make_image() for _ in range(4)]
    for image in images:
        registry.push_blobs("app", image)
    answers, barrier = {}, threading.Barrier(len(images))

    def push(image):
        barrier.wait()
        answers[image.digest] = registry.put_manifest("app", "v1", image.manifest).status

    threads = [threading.Thread(target=push, args=(each,)) for each in images]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(answers.values()) == [201, 403, 403, 403]
    [winner] = [each for each in images if answers[each.digest] == 201]
    assert registry.pull("app", "v1") == winner.manifest


def test_it_comes_back_but_is_not_moved_by_restoring(stage, registry, hosted):
    stage.repoman.repositories.update(hosted, {"docker": {"immutable_tags": []}})
    image = make_image()
    put(registry, "v1", image)
    put(registry, "v2", image)
    put(registry, "v2", make_image())
    registry.delete("app/manifests/v1")
    stage.repoman.repositories.update(hosted, {"docker": {"immutable_tags": RULES}})
    [change] = restore_tags(see(stage, hosted), Past("app", "v1")).changes
    assert change.refusal == ""
    assert registry.pull("app", "v1") == image.manifest
    [change] = restore_tags(see(stage, hosted), Past("app", "v2")).changes
    assert "app:v2 is immutable" in change.refusal


def test_a_wrong_pattern_is_refused_with_its_path(stage, hosted):
    with pytest.raises(Invalid, match="is not a pattern of tags") as caught:
        stage.repoman.repositories.update(hosted, {"docker": {"immutable_tags": ["a b"]}})
    assert caught.value.field.startswith("docker.immutable_tags")
    with pytest.raises(Invalid, match="only exceptions"):
        stage.repoman.repositories.update(hosted, {"docker": {"immutable_tags": ["!a"]}})
