"""What the audit log tells of images: each tag that is pushed, and whatever is pulled."""

import pytest

from repoman.events.event import Coordinate
from repoman.events.event_records import list_events
from repoman.events.origin import Origin, acting_as
from repoman.repositories.model import check_nothing
from repoman.testing import ADMIN, HttpClient, repoman_factory
from repoman_docker import plugin
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker.wires import InProcess
from tests.functional.docker_v1.driver import Engine, make_chain

__all__ = ["repoman_factory"]


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"docker": plugin}, audit={"pulls": True})
    repoman.repositories.create("images", "docker-hosted", {"docker": {"v1_enabled": True}})
    return repoman


@pytest.fixture
def wire(repoman):
    return InProcess(HttpClient(repoman, connector="images"))


@pytest.fixture
def registry(wire):
    return Registry(wire, "", ADMIN)


@pytest.fixture
def told(repoman):
    """What the log has of a type, the oldest first."""

    def told(type_):
        repoman.audit.flush()
        rows = repoman.audit.search({"domain": "content", "type": type_})
        assert {(row["actor"], row["repository"]) for row in rows} <= {("admin", "images")}
        return [row["target"] for row in reversed(rows)]

    return told


def test_a_push_is_told_with_all_its_tags(registry, told):
    image = make_image()
    digest = registry.push("app", "1", image)
    registry.push_manifest("app", f"{digest}?tag=2&tag=3", image.manifest)
    assert told("push") == ["app:1", f"app@{digest}", "app:2", "app:3"]


def test_a_pull_is_told_with_its_blobs(registry, told):
    image = make_image(b"a layer")
    digest = registry.push("app", "1", image)
    registry.pull("app", "1")
    assert told("pull") == [f"app@{digest}"]  # the tag was only asked for its digest, by HEAD
    blobs = {f"app@{digest_of(each)}" for each in image.blobs}
    assert set(told("pull blob")) == blobs
    assert registry.get(f"app/blobs/{digest_of(b'a layer')}").status == 200
    assert told("pull blob")[-1] == f"app@{digest_of(b'a layer')}"


def test_a_pull_of_version_1_is_told_with_its_layers(wire, told):
    engine = Engine(wire, "", ADMIN)
    chain = make_chain()
    engine.push("app", "1", chain)
    engine.pull("app", "1")
    assert told("pull") == [f"app@{image.id}" for image in chain]


def test_deletions_are_told_with_the_tags_that_go(registry, told):
    image = make_image(b"a layer")
    digest = registry.push("app", "1", image)
    registry.push_manifest("app", "2", image.manifest)
    assert registry.delete("app/manifests/1").status == 202
    assert registry.delete(f"app/manifests/{digest}").status == 202  # the tag 2 goes with it
    assert registry.delete(f"app/manifests/{digest}").status == 404
    blob = digest_of(b"a layer")
    assert registry.delete(f"app/blobs/{blob}").status == 202
    assert told("delete") == ["app:1", f"app@{digest}", "app:2"]
    assert told("delete blob") == [f"app@{blob}"]


def test_deletions_by_the_core_are_told_like_others(repoman, registry, told):
    digest = registry.push("app", "1", make_image(b"a layer"))
    registry.push("app", "2", make_image())
    registry.push("other", "1", make_image())
    capabilities = repoman.repositories.get("images").capabilities
    with acting_as(Origin("admin", source="task test")):
        capabilities.delete_asset(f"manifests/app/{digest}", check_nothing)
        capabilities.delete_asset(f"blobs/{digest_of(b'a layer')}/app", check_nothing)
        capabilities.delete_component(Coordinate("tag", "app", "2"))
        capabilities.delete_component(Coordinate("image", "other"))
    assert told("delete")[:4] == [f"app@{digest}", "app:1", "app:2", "other:1"]
    assert told("delete blob") == [f"app@{digest_of(b'a layer')}"]


def test_version_1_tells_of_tags_alone(wire, told):
    engine = Engine(wire, "", ADMIN)
    chain = make_chain()
    engine.push("app", "1", chain)
    assert engine.put("repositories/app/tags/2", chain[-1].id).status == 200
    assert told("push") == ["app:1", "app:2"]
    assert engine.send("DELETE", "repositories/app/", is_first=True).status == 200
    assert told("delete") == ["app:1", "app:2"]


def test_a_push_through_a_group_is_told_of_the_group(repoman):
    docker = {"docker": {"v1_enabled": False}}
    group = {"members": ["images"], "writable_member": "images"}
    repoman.repositories.create("all", "docker-group", {**docker, "group": group})
    wire = InProcess(HttpClient(repoman, connector="all"))
    Registry(wire, "", ADMIN).push("app", "1", make_image())
    repoman.audit.flush()
    [row] = repoman.audit.search({"type": "push"})
    assert (row["repository"], row["target"], row["connector"]) == ("all", "app:1", "all:http")
    [event] = [each for each in list_events(0, 100) if each.kind == "tag"]
    assert (event.repository, event.requested) == ("images", "all")
