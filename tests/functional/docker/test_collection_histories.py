"""The collection after random histories, and under many clients."""

import random
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoman import compaction
from repoman.collection import CollectionOptions, collect, list_unneeded
from repoman.db.models import AssetRecord
from repoman.events.event import Coordinate
from repoman.events.origin import acting_by
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.testing import RepomanFactory
from repoman_docker import plugin
from repoman_docker.hosted.collection import HostedCollector
from tests.clock import wait_until
from tests.examples import count
from tests.functional.docker.driver import Refused
from tests.functional.docker.images import digest_of, index_of, make_image
from tests.functional.docker.sites import InProcessSite
from tests.functional.docker.test_collection import Watcher
from tests.functional.docker.test_concurrency import run_all
from tests.functional.docker.wholeness import check_nothing_left, check_whole

GRACE_S = 86_400.0
LATER_S = 3 * GRACE_S
CLIENTS = 16
ROUNDS = count(6)
SHORT_LIVED = "short"  # How the tags begin that a cleanup removes.
SHORT_GRACE_S = 2.0
LATE_S = 0.3

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
    """Pushes, mounts, retags, deletes and pulls; with a tag of its own, whose pulls never fail."""

    def __init__(self, registry, layers, number):
        self.registry = registry
        self.layers = layers
        self.dice = random.Random(number)
        self.tag = f"own-{number}"
        self.past = []

    def run(self):
        for _ in range(ROUNDS):
            image = self.choose_image()
            self.push(image)
            self.retag(image)
            assert self.registry.pull("app", self.tag) == image.manifest
            for tag in (f"own-{self.dice.randrange(CLIENTS)}", self.shared_tag()):
                self.meet(self.registry.pull, "app", tag)
            if self.dice.random() < 0.3:
                self.registry.delete(f"app/manifests/{self.shared_tag()}")
            if self.dice.random() < 0.3:
                self.registry.delete(f"app/manifests/{image.digest}")

    def choose_image(self):
        """A new one, or one of before, of which everything may be about to go."""
        if self.past and self.dice.random() < 0.5:
            return self.dice.choice(self.past)
        own = f"{self.tag} {len(self.past)}".encode()
        self.past.append(make_image(self.dice.choice(self.layers), own))
        return self.past[-1]

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

    def retag(self, image):
        """Have a tag that all clients move lead to an image, and one that a cleanup removes."""
        for tag in (self.shared_tag(), f"{SHORT_LIVED}-{self.tag}"):
            assert self.registry.put_manifest("app", tag, image.manifest).status == 201

    def shared_tag(self):
        return f"shared-{self.dice.randrange(CLIENTS // 4)}"

    def meet(self, act, *words):
        """Do something that another client may have made impossible."""
        try:
            act(*words)
        except Refused as refused:
            if (refused.step, refused.answer.code) not in LOST_RACES:
                raise


class Upkeep:
    """Cleans up, collects and compacts without a pause, in threads.

    Attributes:
        removed: tags that went by the cleanup.
        compacted: blobs whose bytes were freed.
        passes: the results of the collections.
    """

    def __init__(self, site, registry):
        self.repoman, self.leave = site.repoman, site.leave
        repository = self.repoman.repositories.get(registry.repository)
        self.collector = repository.capabilities.collector
        self.removed = self.compacted = 0
        self.passes, self.problems, self._is_over = [], [], threading.Event()
        works = (self.clean_up, self.collect, self.compact)
        self._threads = [threading.Thread(target=self._keep, args=(each,)) for each in works]

    def clean_up(self):
        watcher = Watcher()
        removed = self.repoman.cleaner.run(watcher)
        assert (removed.failed, removed.skipped) == (0, 0), watcher.lines
        self.removed += removed.components

    def collect(self):
        options = CollectionOptions(time.time() + 2 * GRACE_S, 2 * GRACE_S + SHORT_GRACE_S)
        self.passes.append(collect([("it", self.collector)], options, Watcher(), 60.0))

    def compact(self):
        ahead = compaction.GRACE_S - SHORT_GRACE_S
        compactor = compaction.Compactor(
            self.repoman.database, self.repoman.blob_stores, lambda: time.time() + ahead
        )
        self.compacted += compactor.compact()

    @property
    def has_done_all(self):
        """Whether each has found something, or something went wrong."""
        collected = any(each.freed for each in self.passes)
        return bool(self.problems or (self.removed and self.compacted and collected))

    def _keep(self, work):
        try:
            while not self._is_over.is_set():
                work()
        except BaseException as error:  # noqa: BLE001 - the test reports it
            self.problems.append(error)
        finally:
            self.leave()

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        for each in self._threads:
            each.join()


def after_a_while(step):
    """A step that comes so late that clients have changed what it was planned for."""

    def late(*given):
        time.sleep(LATE_S)
        return step(*given)

    return late


@pytest.fixture
def busy_site(tmp_path):
    """A server in which nothing else is, nor was."""
    factory = RepomanFactory(tmp_path / "data")
    yield InProcessSite(factory({"docker": plugin}))
    factory.stop()


def test_clients_and_an_upkeep_that_never_ends(busy_site, monkeypatch):
    for module in ("repoman.content_promises", "repoman_docker.hosted.reachability"):
        monkeypatch.setattr(f"{module}.PROMISE_INTERVAL_S", 0.0)
    for owner, step in ((HostedCollector, "carry_out"), (compaction.Compactor, "free")):
        monkeypatch.setattr(owner, step, after_a_while(getattr(owner, step)))
    policy = CleanupPolicy("short-lived", version_patterns=(f"{SHORT_LIVED}-*",))
    busy_site.repoman.cleanup_policies.create(policy)
    registry = busy_site.create(
        {
            "docker.undo_days": 0,
            "docker.untagged_days": 1,
            "docker.sparse": False,
            "cleanup.policy_names": ["short-lived"],
        }
    )
    layers = [f"{number}".encode() * 500 for number in range(6)]
    with Upkeep(busy_site, registry) as upkeep:
        clients = [BusyClient(registry, layers, number) for number in range(CLIENTS)]
        assert run_all(busy_site, clients) == []
        wait_until(lambda: upkeep.has_done_all, what="a cleanup, a collection and a compaction")
    assert upkeep.problems == []
    for tag in registry.tags("app"):
        registry.pull("app", tag)
    # Meanwhile clients took from a removal, and added to it, after it was planned; now nobody does.
    upkeep.collect()
    assert upkeep.passes[-1].promised == upkeep.passes[-1].freed
    check_whole(busy_site.repoman)
    check_nothing_left(busy_site.repoman)
    for tag in registry.tags("app"):
        registry.pull("app", tag)
