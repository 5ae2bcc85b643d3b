"""Tags that belong to a manifest, as cosign makes them: they go with it, and never before."""

import time

import pytest

from repoman.cleanup.selection import Selection
from repoman.db.models import AssetRecord
from repoman.events.event import Coordinate
from repoman.events.origin import acting_by
from repoman.repositories.cleanup_records import CleanupPolicy
from tests.functional.docker.images import index_of, make_image
from tests.functional.docker.test_collection import DAY, Hosted, Watcher

SUFFIXES = ("", ".sig", ".att", ".sbom")


@pytest.fixture
def hosted(in_process):
    return Hosted(in_process, undo_days=0)


def sign(hosted, name, digest, suffix=".sig"):
    """Attach something as cosign does; return it."""
    attached = make_image()
    hosted.registry.push(name, f"{digest.replace(':', '-')}{suffix}", attached)
    return attached


def untag(hosted, name, tag):
    """Have a cleanup policy remove a tag."""
    with acting_by("cleanup"):
        hosted.repository.capabilities.delete_component(Coordinate("tag", name, tag))


def use(hosted, request, policy):
    hosted.repoman.cleanup_policies.create(policy)
    request.addfinalizer(lambda: hosted.repoman.cleanup_policies.delete(policy.name))
    hosted.repoman.repositories.update(hosted.name, {"cleanup": {"policy_names": [policy.name]}})
    return policy


def reasons(hosted, policy):
    selection = Selection(hosted.repository, [policy], time.time())
    return {each.candidate.version: each.explain() for each in selection.judge_all()}


def test_a_signature_goes_with_its_image_and_never_before(hosted):
    image, other = make_image(), make_image()
    hosted.registry.push("app", "1", image)
    hosted.registry.push("app", "2", other)
    gone = [sign(hosted, "app", image.digest, each) for each in SUFFIXES]
    gone.append(sign(hosted, "app", gone[1].digest))  # Of a signature.
    kept = sign(hosted, "app", other.digest)
    assert hosted.plan(after=1000 * DAY) == []
    [first, *_] = hosted.why(f"app@{gone[0].digest}")
    assert first.endswith(f"It is attached to app@{image.digest}.")
    untag(hosted, "app", "1")
    plan = hosted.plan()
    titles = [each.title for each in plan if each.kind == "manifest"]
    assert set(titles) == {f"app@{each.digest}" for each in (image, *gone)}
    assert titles[-1] == f"app@{image.digest}"
    result = hosted.collect()
    assert result.counts == {"manifest": 6, "tag": 5, "blob": 18}
    assert result.promised == result.freed == sum(each.freed for each in plan)
    assert sorted(hosted.registry.tags("app")) == [
        "2", f"{other.digest.replace(':', '-')}.sig",
    ]  # fmt: skip
    for each in (other, kept):
        assert hosted.has("app", each) == (True, True)
    assert {hosted.has("app", each) for each in gone} == {(False, False)}
    assert hosted.plan(after=1000 * DAY) == []


def test_what_a_tag_of_its_own_holds_stays(hosted):
    image = make_image()
    hosted.registry.push("app", "1", image)
    signature = sign(hosted, "app", image.digest)
    hosted.registry.push_manifest("app", "z", signature.manifest)
    untag(hosted, "app", "1")
    assert hosted.collect().counts == {"manifest": 1, "blob": 3}
    assert len(hosted.registry.tags("app")) == 2
    assert hosted.has("app", signature) == (True, True)


def test_a_signature_whose_image_is_elsewhere_is_a_tag_like_others(hosted, request):
    signature = sign(hosted, "app", make_image().digest)
    assert hosted.plan(after=1000 * DAY) == []
    assert hosted.has("app", signature) == (True, True)
    policy = use(hosted, request, CleanupPolicy("elsewhere", version_patterns=("*",)))
    assert set(reasons(hosted, policy).values()) == {"goes: matches *"}


def test_an_immutable_signature_stays(in_process):
    hosted, image = Hosted(in_process, undo_days=0, immutable_tags=["*.sig"]), make_image()
    hosted.registry.push("app", "1", image)
    signature = sign(hosted, "app", image.digest)
    untag(hosted, "app", "1")
    assert hosted.collect().counts == {"manifest": 1, "blob": 3}
    assert hosted.has("app", signature) == (True, True)


def test_a_tag_that_comes_in_the_meantime_wins(hosted):
    image = make_image()
    hosted.registry.push("app", "1", image)
    signature = sign(hosted, "app", image.digest)
    untag(hosted, "app", "1")
    options = hosted.options()
    steps = [each for each in hosted.collector.steps(options) if each.items]
    hosted.registry.push_manifest("app", "mine", signature.manifest)
    for each in steps:
        hosted.collector.carry_out(each, options)
    assert hosted.has("app", signature) == (True, True)
    hosted.registry.pull("app", "mine")


def test_the_signature_of_an_index_stays_with_it(hosted):
    image = make_image()
    index = index_of(image.manifest)
    hosted.registry.push_blobs("app", image)
    hosted.registry.push_manifest("app", image.digest, image.manifest)
    hosted.registry.push_manifest("app", "1", index)
    signature = sign(hosted, "app", image.digest)
    assert hosted.plan(after=1000 * DAY) == []
    untag(hosted, "app", "1")
    assert hosted.collect().counts == {"manifest": 3, "tag": 1, "blob": 6}
    assert hosted.has("app", signature) == (False, False)


def test_signatures_do_not_count_among_the_newest(hosted, request):
    images = [make_image() for _ in range(3)]
    for number, image in enumerate(images):
        hosted.registry.push("app", f"{number}", image)
    for image in images:  # They are the newest of all.
        sign(hosted, "app", image.digest)
    at = time.time() - DAY
    AssetRecord.update(updated_at=at).where(AssetRecord.kind == "tag").execute()
    policy = use(hosted, request, CleanupPolicy("newest", retain=2, sort_by="date"))
    told = reasons(hosted, policy)
    assert {tag: told[tag] for tag in "012"} == {
        "2": "kept: 1st newest, 2 are kept",
        "1": "kept: 2nd newest, 2 are kept",
        "0": "goes: 3rd newest, 2 are kept",
    }
    signatures = {tag: reason for tag, reason in told.items() if tag not in "012"}
    assert signatures == {
        f"{each.digest.replace(':', '-')}.sig": f"kept: belongs to {each.digest}, and goes with it"
        for each in images
    }
    removed = hosted.repoman.cleaner.run(Watcher())
    assert (removed.components, removed.failed) == (1, 0)
    assert hosted.collect().counts == {"manifest": 2, "tag": 1, "blob": 6}
    assert len(hosted.registry.tags("app")) == 4
