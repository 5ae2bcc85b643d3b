"""Random histories of pushes, moves, deletions and restorations, against a model in memory."""

import time
from itertools import count as numbered

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoman.db.models import database_proxy
from repoman_docker.browsing.deleting import delete_references
from repoman_docker.browsing.histories import tag_history
from repoman_docker.browsing.image_deletion import delete_image
from repoman_docker.browsing.restoring import Past, restore_tags
from tests.examples import count
from tests.functional.docker.images import make_image
from tests.functional.docker.test_browsing import see

TAGS = ("a", "b", "c")
IMAGES = [make_image() for _ in range(3)]
NAMES = map("app{}".format, numbered())
HOUR_S = 3600.0

tags, numbers = st.sampled_from(TAGS), st.integers(0, len(IMAGES) - 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), tags, numbers),
        st.tuples(st.just("untag"), tags),
        st.tuples(st.just("delete"), st.sets(tags, min_size=1)),
        st.tuples(st.just("delete digest"), numbers),
        st.tuples(st.just("delete image")),
        st.tuples(st.just("undo"), tags),
        st.tuples(st.just("go back"), st.integers(0, 20)),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def hosted(stage):
    return stage.make_repository()


class Player:
    """Does each step in an image name of its own, and in the model.

    Attributes:
        past: the tags before each step; it is as if an hour had passed after each.
        left: where each tag led before it was last moved or deleted.
        said: what its history has, the oldest first.
    """

    def __init__(self, stage, hosted) -> None:
        self.stage, self.hosted, self.name = stage, hosted, next(NAMES)
        self.registry = stage.mounted(hosted)
        self.tags: dict[str, str] = {}
        self.past: list[dict[str, str]] = []
        self.left: dict[str, str] = {}
        self.said: dict[str, list[tuple[str, str]]] = {each: [] for each in TAGS}

    def play(self, step) -> None:
        self.past.append(dict(self.tags))
        getattr(self, step[0].replace(" ", "_"))(*step[1:])
        with self.stage.repoman.database.transaction():
            database_proxy.execute_sql(
                "UPDATE content_event SET at = at - ? WHERE path LIKE ?",
                (HOUR_S, f"tags/{self.name}/%"),
            )
        self.check()

    def set(self, tag, digest) -> None:
        old = self.tags.get(tag, "")
        if old and old != digest:
            self.left[tag] = old
        if digest:
            self.tags[tag] = digest
        else:
            self.tags.pop(tag, None)
        if old or digest:
            self.said[tag].append((old, digest))

    def push(self, tag, number) -> None:
        self.registry.push(self.name, tag, IMAGES[number])
        self.set(tag, IMAGES[number].digest)

    def untag(self, tag) -> None:
        status = self.registry.delete(f"{self.name}/manifests/{tag}").status
        assert status == (202 if tag in self.tags else 404)
        self.set(tag, "")

    def delete(self, chosen) -> None:
        going = sorted(chosen & self.tags.keys())
        if going:
            delete_references(see(self.stage, self.hosted), self.name, going)
        for each in going:
            self.set(each, "")

    def delete_digest(self, number) -> None:
        digest = IMAGES[number].digest
        self.registry.delete(f"{self.name}/manifests/{digest}")
        for tag in [tag for tag, each in self.tags.items() if each == digest]:
            self.set(tag, "")

    def delete_image(self) -> None:
        if self.tags:
            delete_image(see(self.stage, self.hosted), self.name)
        for tag in list(self.tags):
            self.set(tag, "")

    def undo(self, tag) -> None:
        if tag not in self.left:
            return
        target = self.left[tag]
        [change] = restore_tags(see(self.stage, self.hosted), Past(self.name, tag)).changes
        assert change.new == target
        assert bool(change.refusal) is (self.tags.get(tag) == target), change
        if not change.refusal:
            self.set(tag, target)

    def go_back(self, steps) -> None:
        steps = min(steps, len(self.past) - 1)
        at, then = time.time() - HOUR_S * (steps + 0.5), self.past[-1 - steps]
        changes = restore_tags(see(self.stage, self.hosted), Past(self.name, at=at)).changes
        for each in changes:
            assert not each.refusal
            self.set(each.tag, each.new)
        assert {tag: self.tags.get(tag) for tag in then} == then

    def check(self) -> None:
        answer = self.registry.get(f"{self.name}/tags/list")
        found = answer.json()["tags"] if answer.status == 200 else []
        assert found == sorted(self.tags)
        for tag, digest in self.tags.items():
            [image] = [each for each in IMAGES if each.digest == digest]
            assert self.registry.pull(self.name, tag) == image.manifest
        seen = see(self.stage, self.hosted)
        for tag in TAGS:
            listed = tag_history(seen, self.name, tag).items
            assert [(each.old, each.new) for each in reversed(listed)] == self.said[tag]


@settings(
    max_examples=count(25),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps)
def test_any_history_is_told_and_undone(stage, hosted, steps):
    player = Player(stage, hosted)
    for step in steps:
        player.play(step)
