"""The deployment policy: what may be pushed again, and what a refused client is told."""

import pytest

from tests.functional.docker.driver import Failures
from tests.functional.docker.images import digest_of, index_of, make_image

READ_ONLY = {"storage.write_policy": "deny"}
ONCE = {"storage.write_policy": "allow_once"}


@pytest.fixture
def open_registry(site):
    """A repository that allows everything."""
    return site.create()


@pytest.fixture
def once(site):
    """A repository whose tags stay where they are."""
    return site.create(ONCE)


@pytest.fixture
def read_only(site, open_registry, name):
    """A repository that was filled and then closed, and the image in it."""
    image = make_image()
    open_registry.push(name, "1", image)
    open_registry.push_blob(name, b"alone")
    site.change(open_registry, READ_ONLY, lambda: open_registry.start(name).status == 403)
    return open_registry, image


def assert_denied(registry, answer, policy):
    """The refusal names the repository and the policy; docker does not try again."""
    assert (answer.status, answer.code) == (403, "DENIED")
    assert f"The repository {registry.repository}" in answer.message.replace("the", "The")
    assert f"deployment policy: {policy}" in answer.message


# --- Allow ---------------------------------------------------------------------------------------


def test_a_tag_is_moved_where_everything_is_allowed(open_registry, name):
    for _ in range(2):
        open_registry.push(name, "1", image := make_image())
        assert open_registry.pull(name, "1") == image.manifest


# --- Disable redeploy ----------------------------------------------------------------------------


def test_a_tag_that_exists_is_not_moved(once, name):
    first = make_image()
    once.push(name, "1", first)
    text = once.push(name, "1", make_image(), failure=Failures.REDEPLOY)
    assert f"{name}:1 exists" in text
    assert f"the repository {once.repository}" in text
    assert "deployment policy: disable redeploy" in text
    assert once.pull(name, "1") == first.manifest


def test_the_same_image_may_be_pushed_again(once, name):
    image = make_image()
    for _ in range(3):
        once.push(name, "1", image)
    assert once.pull(name, "1") == image.manifest


def test_another_tag_and_a_push_by_digest_are_free(once, name):
    once.push(name, "1", make_image())
    once.push(name, "2", make_image())
    image = make_image()
    once.push(name, image.digest, image)
    once.push_manifest(name, "3", image.manifest)
    assert once.tags(name) == ["1", "2", "3"]


def test_the_same_tag_of_another_image_is_free(once, name, other_name):
    once.push(name, "1", make_image())
    once.push(other_name, "1", make_image())


def test_one_tag_among_many_that_exists_refuses_them_all(once, name):
    once.push(name, "1", first := make_image())
    once.push_blobs(name, second := make_image())
    answer = once.put_manifest(name, f"{second.digest}?tag=0&tag=1&tag=2", second.manifest)
    assert_denied(once, answer, "disable redeploy")
    assert once.tags(name) == ["1"]
    assert once.get(f"{name}/manifests/{second.digest}").status == 404
    assert once.pull(name, "1") == first.manifest


def test_an_index_does_not_take_the_tag_of_an_image(once, name):
    once.push(name, "1", image := make_image())
    answer = once.put_manifest(name, "1", index_of(image.manifest))
    assert_denied(once, answer, "disable redeploy")


def test_latest_is_like_any_other_tag(once, name):
    once.push(name, "latest", make_image())
    once.push(name, "latest", make_image(), failure=Failures.REDEPLOY)


def test_latest_may_be_exempt(site, name):
    registry = site.create({**ONCE, "storage.redeploy_latest": True})
    for tag in ("latest", "1"):
        registry.push(name, tag, make_image())
    registry.push(name, "latest", image := make_image())
    assert registry.pull(name, "latest") == image.manifest
    registry.push(name, "1", make_image(), failure=Failures.REDEPLOY)
    registry.push(name, "latest2", make_image())
    registry.push(name, "latest2", make_image(), failure=Failures.REDEPLOY)


def test_what_was_deleted_may_be_pushed_anew(once, name):
    once.push(name, "1", make_image())
    assert once.delete(f"{name}/manifests/1").status == 202
    once.push(name, "1", image := make_image())
    assert once.pull(name, "1") == image.manifest


# --- Read-only -----------------------------------------------------------------------------------


def test_a_push_to_a_read_only_repository_ends_at_its_first_request(read_only, name):
    registry, _ = read_only
    text = registry.push(name, "2", make_image(), failure=Failures.READ_ONLY)
    assert f"The repository {registry.repository} is read-only" in text
    assert "deployment policy: read-only" in text


def test_a_push_without_new_blobs_ends_at_the_manifest(read_only, name):
    registry, image = read_only
    registry.push(name, "2", image, failure=Failures.READ_ONLY_MANIFEST)
    registry.push(name, "1", image, failure=Failures.READ_ONLY_MANIFEST)


def test_every_change_of_a_read_only_repository_is_refused(read_only, name):
    registry, image = read_only
    alone = digest_of(b"alone")
    for answer in (
        registry.start(name),
        registry.start(name, mount=alone),
        registry.start("other", mount=alone, **{"from": name}),
        registry.send("POST", f"{name}/blobs/uploads/", b"x", query={"digest": digest_of(b"x")}),
        registry.put_manifest(name, "2", image.manifest),
        registry.put_manifest(name, image.digest, image.manifest),
        registry.put_manifest(name, "2", b"no JSON", "application/json"),
        registry.delete(f"{name}/manifests/1"),
        registry.delete(f"{name}/manifests/{image.digest}"),
        registry.delete(f"{name}/manifests/unknown"),
        registry.delete(f"{name}/blobs/{alone}"),
    ):
        assert_denied(registry, answer, "read-only")
    assert registry.tags(name) == ["1"]
    assert registry.has_blob(name, alone)
    assert not registry.has_blob("other", alone)


def test_a_read_only_repository_is_read(read_only, name):
    registry, image = read_only
    assert registry.pull(name, "1") == image.manifest
    assert registry.get("_catalog").json()["repositories"] == [name]


def test_an_upload_that_was_under_way_does_not_end_in_a_read_only_repository(
    site, open_registry, name
):
    location = open_registry.append(open_registry.begin(name), b"data").headers["Location"]
    other = open_registry.append(open_registry.begin(name), b"data").headers["Location"]
    site.change(open_registry, READ_ONLY, lambda: open_registry.start(name).status == 403)
    assert_denied(open_registry, open_registry.append(location, b"more"), "read-only")
    answer = open_registry.finish(location, digest_of(b"data"))
    assert_denied(open_registry, answer, "read-only")
    assert open_registry.delete(other).status == 204
    assert not open_registry.has_blob(name, digest_of(b"data"))
