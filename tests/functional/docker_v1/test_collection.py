"""What a collection does to images that were pushed with version 1, and what a dry run tells."""

import time
from collections import Counter

import pytest

from repoman.collection import CollectionOptions, collect, list_unneeded
from repoman.content_promises import PROMISE_INTERVAL_S
from repoman.graph_records import ContentGraph
from repoman_docker.browsing.collecting import explain_keeping
from tests.functional.docker.test_browsing import see
from tests.functional.docker.test_collection import GRACE, Watcher
from tests.functional.docker_v1.conftest import engine_of
from tests.functional.docker_v1.driver import make_chain

DAY_S = 86_400.0


class Collected:
    """A hosted repository with a collection two days later, when untagged images go."""

    def __init__(self, registry, repoman) -> None:
        self.name = registry.repository
        self.engine = engine_of(registry)
        self.collector = repoman.repositories.get(self.name).capabilities.collector
        self.now = time.time() + 2 * DAY_S + PROMISE_INTERVAL_S

    def plan(self):
        """What a dry run says."""
        options = CollectionOptions(self.now, GRACE, is_dry=True)
        return list(list_unneeded(self.collector, options))

    def collect(self):
        options = CollectionOptions(self.now, GRACE)
        return collect([(self.name, self.collector)], options, Watcher(), 60)

    def images(self, plan):
        return sorted(each.path for each in plan if each.kind == "V1 image")

    def check_run(self, plan):
        """A run deletes and frees what the plan has told."""
        result = self.collect()
        assert result.counts == Counter(each.kind for each in plan)
        assert (result.promised, result.freed) == (sum(each.freed for each in plan),) * 2
        assert self.plan() == []


@pytest.fixture
def collected(make, in_process):
    return Collected(make(docker__undo_days=0, docker__untagged_days=1), in_process.repoman)


def paths(name, images):
    return sorted(f"v1-images/{each.id}/{name}" for each in images)


@pytest.mark.parametrize("site", ["in_process"], indirect=True)
def test_a_dry_run_shows_the_images_and_layers_of_a_manifest_that_goes(collected):
    chain = make_chain(3)
    collected.engine.push("team/old", "1", chain)
    collected.engine.push("team/kept", "1", make_chain(2))
    assert collected.plan() == []
    collected.engine.push("team/old", "1", make_chain(1))
    plan = collected.plan()
    assert collected.images(plan) == paths("team/old", chain)
    images = [each for each in plan if each.kind == "V1 image"]
    assert {each.reason for each in images} == {"No tag needs it."}
    assert all(each.freed == each.size > 0 for each in images)
    kinds = Counter(each.kind for each in plan)
    assert kinds["V1 chain"] == kinds["manifest"] == 1
    assert kinds["blob"] >= len(chain), "its layers go, too"
    collected.check_run(plan)


@pytest.mark.parametrize("site", ["in_process"], indirect=True)
def test_a_layer_is_kept_for_the_tag_of_its_image(collected, in_process):
    [image] = make_chain(1)
    collected.engine.push("team/app", "1", [image])
    [path] = paths("team/app", [image])
    [(_, _, layer)] = ContentGraph(collected.collector.repository_id).names([path], ("blob",))
    digest = layer.split("/")[1]
    view = see(in_process, collected.name)
    told = [f"{each.title}: {each.reason}" for each in explain_keeping(view, "team/app", digest)]
    assert f"team/app@{digest}: It is the layer of the V1 image team/app@{image.id}." in told
    assert any(each.startswith(f"team/app@{image.id}: It is a part of team/app@") for each in told)
    assert any(each.endswith(": The tag team/app:1 leads to it.") for each in told)
    assert not any("goes with the next collection" in each for each in told)


@pytest.mark.parametrize("site", ["in_process"], indirect=True)
def test_images_that_another_tag_needs_are_in_no_plan(collected):
    base = make_chain(2)
    collected.engine.push("team/app", "1", base)
    top = make_chain(1, parent=base[-1].id)
    collected.engine.push("team/app", "2", [*base, *top])
    collected.engine.push("team/app", "2", make_chain(1))
    plan = collected.plan()
    assert collected.images(plan) == paths("team/app", top)
    collected.check_run(plan)
    collected.engine.push("team/app", "1", make_chain(1))
    plan = collected.plan()
    assert collected.images(plan) == paths("team/app", base)
    collected.check_run(plan)
