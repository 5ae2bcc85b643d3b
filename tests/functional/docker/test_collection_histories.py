"""The collection after random histories, and under many clients."""

import random
import threading
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoman.collection import CollectionOptions, collect, list_unneeded
from repoman.db.models import AssetRecord
from repoman.events.event import Coordinate
from repoman.events.origin import acting_by
from tests.clock import wait_until
from tests.examples import count
from tests.functional.docker.driver import Refused
from tests.functional.docker.images import digest_of, index_of, make_image
from tests.functional.docker.test_collection import Watcher
from tests.functional.docker.test_concurrency import run_all

GRACE_S = 86_400.0
LATER_S = 3 * GRACE_S
CLIENTS = 6
ROUNDS = 8
SHORT_GRACE_S = 2.0

# --- Random histories -----------------------------------------------------------------------------

NAMES, TAGS = ("app", "b/c"), ("1", "2")
SHARED = b"a shared layer"
IMAGES = [make_image(SHARED, f"layer {number}".encode()) for number in range(3)]
INDEXES = [
    index_of(IMAGES[0].manifest, IMAGES[1].manifest),
    index_of(IMAGES[1].manifest, IMAGES[2].manifest),
]
CHILDREN = {
    digest_of(INDEXES[0]): {IMAGES[0].digest, IMAGES[1].digest},
    digest_of(INDEXES[1]): {IMAGES[1].digest, IMAGES[2].digest},
}
BLOBS = {each.digest: {digest_of(blob) for blob in each.blobs} for each in IMAGES}
name, tag = st.sampled_from(NAMES), st.sampled_from(TAGS)
what = st.integers(0, len(IMAGES) + len(INDEXES) - 1)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), name, tag, what),
        st.tuples(st.just("push by digest"), name, tag, what),
        st.tuples(st.just("delete tag"), name, tag, what),
        st.tuples(st.just("clean up"), name, tag, what),
        st.tuples(st.just("delete manifest"), name, tag, what),
        st.tuples(st.just("collect"), name, tag, what),
    ),
    min_size=4,
    max_size=14,
)


class Model:
    """What a repository has to hold, by the words of the documentation.

    Attributes:
        released: by what the last name left a manifest, since it was last pushed.
    """

    def __init__(self):
        self.tags = {}
        self.manifests = set()
        self.blobs = set()
        self.released = {}

    def push(self, name, digest, tag=None):
        parts = CHILDREN.get(digest, {digest})
        for each in parts:
            self.blobs |= {(name, blob) for blob in BLOBS[each]}
            self._store(name, each)
        self._store(name, digest)
        if tag is not None:
            if self.tags.get((name, tag)) not in (None, digest):
                self._leave(name, self.tags[name, tag], "request")
            self.tags[name, tag] = digest

    def _store(self, name, digest):
        self.manifests.add((name, digest))
        self.released.pop((name, digest), None)

    def _leave(self, name, digest, by):
        if (name, digest) in self.manifests:
            self.released[name, digest] = by

    def untag(self, name, tag, by):
        digest = self.tags.pop((name, tag), None)
        if digest is not None:
            self._leave(name, digest, by)

    def delete(self, name, digest):
        if (name, digest) not in self.manifests:
            return
        for each in [each for each, found in self.tags.items() if found == digest]:
            if each[0] == name:
                del self.tags[each]
        self._remove(name, digest, "request")

    def _remove(self, name, digest, by):
        self.manifests.discard((name, digest))
        self.released.pop((name, digest), None)
        for child in CHILDREN.get(digest, ()):
            self._leave(name, child, by)

    def goes(self, name, digest):
        if digest in {found for (of, _), found in self.tags.items() if of == name}:
            return False
        holders = [
            each
            for each, children in CHILDREN.items()
            if digest in children and (name, each) in self.manifests
        ]
        if holders:
            return all(self.goes(name, each) for each in holders)
        return self.released.get((name, digest)) in ("cleanup", "collection")

    def collect(self):
        going = [each for each in self.manifests if self.goes(*each)]
        for name, digest in going:
            self._remove(name, digest, "collection")
        self.blobs = {
            (name, blob) for name, digest in self.manifests for blob in BLOBS.get(digest, ())
        }

    @property
    def paths(self):
        return {
            *(f"tags/{name}/{tag}" for name, tag in self.tags),
            *(f"manifests/{name}/{digest}" for name, digest in self.manifests),
            *(f"blobs/{digest}/{name}" for name, digest in self.blobs),
        }


class History:
    """A repository, and the model of it."""

    def __init__(self, site):
        self.registry, self.model = site.create({"docker.undo_days": 0}), Model()
        repository = site.repoman.repositories.get(self.registry.repository)
        self.collector = repository.capabilities.collector
        self.delete_component = repository.capabilities.delete_component
        self.actions = {
            "push": self.push,
            "push by digest": lambda name, _, body: self.push(name, None, body),
            "delete tag": self.delete_tag,
            "clean up": self.clean_up,
            "delete manifest": self.delete_manifest,
            "collect": self.collect,
        }

    def paths(self):
        mine = AssetRecord.repository == self.collector.repository_id
        return {each.path for each in AssetRecord.select(AssetRecord.path).where(mine)}

    def push(self, name, tag, body):
        digest = digest_of(body)
        for image in IMAGES:
            if image.digest in CHILDREN.get(digest, {digest}):
                self.registry.push_blobs(name, image)
                self.registry.push_manifest(name, image.digest, image.manifest)
        self.registry.push_manifest(name, tag or digest, body)
        self.model.push(name, digest, tag)

    def delete_tag(self, name, tag, _):
        self.registry.delete(f"{name}/manifests/{tag}")
        self.model.untag(name, tag, "request")

    def clean_up(self, name, tag, _):
        if (name, tag) in self.model.tags:
            with acting_by("cleanup"):
                self.delete_component(Coordinate("tag", name, tag))
            self.model.untag(name, tag, "cleanup")

    def delete_manifest(self, name, _, body):
        self.registry.delete(f"{name}/manifests/{digest_of(body)}")
        self.model.delete(name, digest_of(body))

    def collect(self, *_):
        now, before = time.time() + LATER_S, self.paths()
        plan = list(list_unneeded(self.collector, CollectionOptions(now, GRACE_S, is_dry=True)))
        assert self.paths() == before
        options = CollectionOptions(now, GRACE_S)
        result = collect([("it", self.collector)], options, Watcher(), 60.0)
        self.model.collect()
        assert {each.path for each in plan} == before - self.paths()
        assert result.promised == result.freed == sum(each.freed for each in plan)


def run_history(site, actions):
    history = History(site)
    bodies = [*(each.manifest for each in IMAGES), *INDEXES]
    for action, name, tag, number in [*actions, ("collect", "", "", 0)]:
        history.actions[action](name, tag, bodies[number])
        assert history.paths() == history.model.paths
    for (name, tag), digest in history.model.tags.items():
        if digest in BLOBS:
            history.registry.pull(name, tag)


@settings(
    max_examples=count(12),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=ACTIONS)
def test_a_random_history_ends_as_the_documentation_says(in_process, actions):
    run_history(in_process, actions)


# --- Many clients ---------------------------------------------------------------------------------

# What may come between the steps of a pull while others delete.
LOST_RACES = {("get manifest", "MANIFEST_UNKNOWN"), ("get blob", "BLOB_UNKNOWN")}


class BusyClient:
    """Pushes, mounts, deletes and pulls; with a tag of its own, whose pulls never fail."""

    def __init__(self, registry, layers, number):
        self.registry = registry
        self.layers = layers
        self.dice = random.Random(number)
        self.tag = f"own-{number}"

    def run(self):
        for number in range(ROUNDS):
            own = f"{self.tag} {number}".encode()
            image = make_image(self.dice.choice(self.layers), own)
            self.push(image)
            assert self.registry.pull("app", self.tag) == image.manifest
            self.meet(self.registry.pull, "app", f"own-{self.dice.randrange(CLIENTS)}")
            if self.dice.random() < 0.3:
                self.registry.delete(f"app/manifests/{image.digest}")

    def push(self, image):
        """Push as docker does; who takes longer than the grace may have to begin again."""
        while True:
            begun = time.monotonic()
            for blob in image.blobs:
                digest = digest_of(blob)
                mounted = self.registry.start("app", mount=digest, **{"from": "other"})
                if mounted.status == 202 and not self.registry.has_blob("app", digest):
                    self.registry.push_blob("app", blob)
                if self.registry.has_blob("app", digest) and self.dice.random() < 0.5:
                    self.registry.start("other", mount=digest, **{"from": "app"})
            answer = self.registry.put_manifest("app", self.tag, image.manifest)
            if answer.status == 201:
                return
            assert time.monotonic() - begun > SHORT_GRACE_S, answer.body

    def meet(self, act, *words):
        """Do something that another client may have made impossible."""
        try:
            act(*words)
        except Refused as refused:
            if (refused.step, refused.answer.code) not in LOST_RACES:
                raise


def test_clients_and_a_collection_that_never_ends(in_process, monkeypatch):
    for module in ("repoman.content", "repoman_docker.hosted.reachability"):
        monkeypatch.setattr(f"{module}.PROMISE_INTERVAL_S", 0.0)
    registry = in_process.create({"docker.undo_days": 0, "docker.untagged_days": 1})
    collector = in_process.repoman.repositories.get(registry.repository).capabilities.collector
    layers = [f"{number}".encode() * 500 for number in range(6)]
    is_over, passes, problems = threading.Event(), [], []

    def collect_all():
        options = CollectionOptions(time.time() + 2 * GRACE_S, 2 * GRACE_S + SHORT_GRACE_S)
        passes.append(collect([("it", collector)], options, Watcher(), 60.0))

    def keep_collecting():
        try:
            while not is_over.is_set():
                collect_all()
        except BaseException as error:  # noqa: BLE001 - the test reports it
            problems.append(error)
        finally:
            in_process.leave()

    thread = threading.Thread(target=keep_collecting)
    thread.start()
    try:
        clients = [BusyClient(registry, layers, number) for number in range(CLIENTS)]
        assert run_all(in_process, clients) == []
        wait_until(lambda: any(each.freed for each in passes) or problems, what="a collection")
    finally:
        is_over.set()
        thread.join()
    assert problems == []
    for tag in registry.tags("app"):
        registry.pull("app", tag)
    assert all(each.promised == each.freed for each in passes)
