"""Random histories of all that adds and removes, over weeks: nothing is lost that is needed.

What a tag has led to can be pulled; what it has lost can be restored for as long as was promised;
and what nothing needs any more is gone in the end, with its bytes.
"""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import repoman_docker.plugin
from repoman.clocks import DAY_S
from repoman.collection import CollectionOptions, collect
from repoman.compaction import Compactor
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.testing import Clock, RepomanFactory
from repoman_docker.browsing.deleting import delete_references
from repoman_docker.browsing.restoring import Past, plan_restoration, restore_tags
from tests.examples import count
from tests.functional.docker.images import digest_of, index_of, make_image
from tests.functional.docker.sites import InProcessSite
from tests.functional.docker.test_collection import Watcher
from tests.functional.docker.wholeness import check_nothing_left, check_whole, rows

UNDO_DAYS, CLEANUP_DAYS = 14, 5
MARGIN_S = 3600.0  # Between what is still promised and what is no longer.
NAMES, TAGS = ("app", "b/c"), ("1", "2")
SHARED = b"a layer that all have"
IMAGES = [make_image(SHARED, b"layer %d" % number) for number in range(4)]
INDEX = index_of(IMAGES[2].manifest, IMAGES[3].manifest)
PARTS = {
    IMAGES[0].manifest: (),
    IMAGES[1].manifest: (),
    INDEX: (IMAGES[2], IMAGES[3]),
}
name, tag, body = st.sampled_from(NAMES), st.sampled_from(TAGS), st.sampled_from(sorted(PARTS))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), name, tag, body),
        st.tuples(st.just("push"), name, tag, body),
        st.tuples(st.just("push_by_digest"), name, body),
        st.tuples(st.just("delete_tag"), name, tag),
        st.tuples(st.just("delete_image"), name, tag),
        st.tuples(st.just("delete_manifest"), name, body),
        st.tuples(st.just("restore"), name, tag),
        st.tuples(st.just("restore"), name, tag),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 3.0, 6.0, 15.0])),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 3.0, 6.0, 15.0])),
    ),
    min_size=5,
    max_size=20,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    factory = RepomanFactory(tmp_path_factory.mktemp("retention"))
    site = InProcessSite(factory({"docker": repoman_docker.plugin}))
    site.repoman.cleanup_policies.create(CleanupPolicy("old", last_updated_days=CLEANUP_DAYS))
    yield site
    factory.stop()


class Player:
    """Does each step in a repository of its own, and in the model.

    Attributes:
        tags: where each tag leads.
        set_at: since when.
        left: where each led before it was last moved or deleted, and when that was.
    """

    def __init__(self, site, now):
        self.repoman, self.now = site.repoman, now
        self.registry = site.create(
            {"docker.undo_days": UNDO_DAYS, "cleanup.policy_names": ["old"]}
        )
        self.tags, self.set_at, self.left = {}, {}, {}

    @property
    def repository(self):
        return self.repoman.repositories.get(self.registry.repository)

    @property
    def view(self):
        return self.repoman.views.open(self.repository, None)

    def play(self, step):
        getattr(self, step[0])(*step[1:])
        check_whole(self.repoman)
        for name in NAMES:
            assert self.registry.tags(name) == sorted(t for n, t in self.tags if n == name)
        for (name, tag), digest in self.tags.items():
            assert digest_of(self.registry.pull(name, tag)) == digest
        for (name, tag), (digest, _) in self.left.items():
            if self.can_go_back(name, tag):
                [change] = plan_restoration(self.view, Past(name, tag)).changes
                assert (change.new, change.refusal) == (digest, "")

    def can_go_back(self, name, tag):
        digest, at = self.left[name, tag]
        until = at + UNDO_DAYS * DAY_S - MARGIN_S
        return self.now() < until and self.tags.get((name, tag)) != digest

    def set(self, key, digest):
        before = self.tags.get(key)
        if before not in (None, digest):
            self.left[key] = (before, self.now())
        if digest is None:
            self.tags.pop(key, None)
        else:
            self.tags[key], self.set_at[key] = digest, self.now()

    # Steps ----------------------------------------------------------------------------------------

    def push(self, name, tag, body):
        self.push_by_digest(name, body)
        self.registry.push_manifest(name, tag, body)
        self.set((name, tag), digest_of(body))

    def push_by_digest(self, name, body):
        for image in PARTS[body] or [each for each in IMAGES if each.manifest == body]:
            self.registry.push_blobs(name, image)
            self.registry.push_manifest(name, image.digest, image.manifest)
        self.registry.push_manifest(name, digest_of(body), body)

    def delete_tag(self, name, tag):
        self.registry.delete(f"{name}/manifests/{tag}")
        self.set((name, tag), None)

    def delete_image(self, name, tag):
        if (name, tag) in self.tags:
            delete_references(self.view, name, [tag])
            self.set((name, tag), None)

    def delete_manifest(self, name, body):
        self.registry.delete(f"{name}/manifests/{digest_of(body)}")
        for key in [each for each, digest in self.tags.items() if digest == digest_of(body)]:
            if key[0] == name:
                self.set(key, None)

    def restore(self, name, tag):
        if (name, tag) in self.left:
            is_possible = self.can_go_back(name, tag)
            [change] = restore_tags(self.view, Past(name, tag)).changes
            assert not (is_possible and change.refusal)
            if not change.refusal:
                self.set((name, tag), change.new)

    def wait(self, days):
        """Let days go by, at the end of which the tasks run."""
        self.now.jump(days * DAY_S)
        self.clean_up()
        self.collect()

    def clean_up(self):
        cleaner = self.repoman.cleaner
        cleaner._clock = cleaner._confirmed = self.now
        assert cleaner.run(Watcher()).failed == 0
        for key in list(self.tags):
            if self.set_at[key] <= self.now() - CLEANUP_DAYS * DAY_S:
                self.set(key, None)

    def collect(self):
        collector = self.repository.capabilities.collector
        options = CollectionOptions(self.now(), DAY_S)
        result = collect([("it", collector)], options, Watcher(), 60.0)
        assert result.promised == result.freed
        Compactor(self.repoman.database, self.repoman.blob_stores, self.now).compact()


def play(site, steps):
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(time, "time", clock)
        player = Player(site, clock)
        for step in steps:
            player.play(step)
        player.play(("wait", 40.0))
        check_nothing_left(site.repoman)
        mine = f"repository_id = {player.repository.config.id}"
        assert rows(f"SELECT path FROM asset WHERE {mine} AND path LIKE 'trash/%'") == []
        site.repoman.repositories.delete(player.registry.repository)


@settings(
    max_examples=count(12),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(STEPS)
def test_any_history_loses_nothing_and_leaves_nothing(site, steps):
    play(site, steps)
