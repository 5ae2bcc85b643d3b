"""What tags take: as a naive walk over all rows says, after random pushes, and on all faces."""

import random
import secrets
from collections import defaultdict

import pytest

from repoman.db.models import database_proxy
from repoman.testing import ADMIN, HttpClient
from repoman_docker.browsing.space import space_of, version_space
from repoman_docker.layout import image, tagged
from repoman_docker.protocol.reference import Digest, Tag
from tests.functional.docker.browsed import artifact, built, index
from tests.functional.docker.images import digest_of
from tests.statements import executed_statements

NAMES = ("team/app", "team/tool")
STEPS = 30
STATEMENTS_MAX = 20


@pytest.fixture
def hosted(stage):
    return stage.make_repository()


@pytest.fixture
def registry(stage, hosted):
    return stage.mounted(hosted)


def rows(sql):
    return database_proxy.execute_sql(sql).fetchall()


def naive_space(repository, name, tag):
    """The bytes of all that a tag reaches, and of what nothing else reaches, from all rows."""
    assets = {
        (place, path): (id_, blob, size)
        for id_, place, path, blob, size in rows(
            "SELECT a.id, a.repository_id, a.path, b.id, b.size FROM asset a "
            "JOIN blob b ON b.id = a.blob_id"
        )
    }
    needs, attached = defaultdict(set), defaultdict(set)
    for place, source, kind, path in rows(
        "SELECT repository_id, source, kind, path FROM reference"
    ):
        if kind == "subject":
            attached[place, path].add((place, source))
        else:
            needs[place, source].add((place, path))

    def reach(starts):
        found, waiting = set(), list(starts)
        while waiting:
            each = waiting.pop()
            if each in assets and each not in found:
                found.add(each)
                waiting += [*needs[each], *attached[each]]
        return found

    top = (repository, f"tags/{name}/{tag}")
    whole = reach([top])
    staying = reach(assets.keys() - whole)
    going = whole - staying
    users = defaultdict(set)
    for key, (_, blob, _) in assets.items():
        users[blob].add(key)
    sizes = {blob: size for key in whole for _, blob, size in [assets[key]]}
    own = sum(size for blob, size in sizes.items() if users[blob] <= going)
    return sum(sizes.values()), own


class History:
    """Random pushes of images, indexes and attached things, and deletions of tags."""

    def __init__(self, dice, registries):
        self.dice = dice
        self.registries = registries
        self.layers = [dice.randbytes(size) for size in (50, 200, 1000, 5000, 20_000)]
        self.tags = [f"v{number}" for number in range(5)]
        self.known = []

    def step(self):
        act = self.dice.choice([self.push, self.push, self.push_index, self.attach, self.delete])
        act(self.dice.choice(self.registries), self.dice.choice(NAMES))

    def make(self):
        layers = self.dice.sample(self.layers, self.dice.randrange(1, 4))
        return built(*layers, architecture=self.dice.choice(("amd64", "arm64")))

    def push(self, registry, name):
        made = self.make()
        registry.push(name, self.dice.choice(self.tags), made)
        self.known.append((registry, name, made.manifest))

    def push_index(self, registry, name):
        children = [self.make() for _ in range(2)]
        for each in children:
            registry.push_blobs(name, each)
            registry.push_manifest(name, digest_of(each.manifest), each.manifest)
        body = index((children[0].manifest, "linux/amd64"), (children[1].manifest, "linux/arm64"))
        registry.push_manifest(name, self.dice.choice(self.tags), body)
        self.known.append((registry, name, body))

    def attach(self, registry, name):
        if self.known:
            registry, name, subject = self.dice.choice(self.known)
            made = artifact(subject, "application/spdx+json", self.dice.choice(self.layers))
            registry.push_blobs(name, made)
            registry.push_manifest(name, digest_of(made.manifest), made.manifest)

    def delete(self, registry, name):
        registry.delete(f"{name}/manifests/{self.dice.choice(self.tags)}")


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_a_walk_over_all_rows_says(seed, stage):
    dice = random.Random(seed)
    repositories = [stage.make_repository() for _ in range(2)]
    history = History(dice, [stage.mounted(each) for each in repositories])
    checked = 0
    for step in range(STEPS):
        history.step()
        if step % 6 == 5:
            for repository, path in rows(
                "SELECT repository_id, path FROM asset WHERE kind = 'tag'"
            ):
                name, _, tag = path.removeprefix("tags/").rpartition("/")
                found = space_of(repository, name, Tag(tag))
                assert (found.size, found.own_size) == naive_space(repository, name, tag), path
                checked += 1
    assert checked > STEPS


def test_two_tags_of_one_image_have_nothing_of_their_own(stage, hosted, registry):
    base, own = secrets.token_bytes(2000), secrets.token_bytes(300)
    made = built(base, own)
    registry.push("team/app", "1", made)
    repository = stage.repoman.repositories.get(hosted).config.id
    alone = space_of(repository, "team/app", Tag("1"))
    assert alone.size == alone.own_size == sum(map(len, (*made.blobs, made.manifest)))
    registry.push_manifest("team/app", "latest", made.manifest)
    both = space_of(repository, "team/app", Tag("1"))
    assert (both.size, both.own_size) == (alone.size, 0)
    digest = Digest.parse(digest_of(made.manifest))
    assert space_of(repository, "team/app", digest) == alone, "with all its tags"
    registry.push("team/tool", "1", built(base))
    shared = space_of(repository, "team/app", digest)
    assert shared.shared_size == len(base)
    assert version_space(repository, image("team/app")).size == 0
    assert version_space(repository, tagged("team/app", Tag("none"))).size == 0


def test_it_takes_few_statements_however_much_there_is(stage, hosted, registry):
    repository = stage.repoman.repositories.get(hosted).config.id
    base = secrets.token_bytes(500)
    for number in range(15):
        registry.push("team/app", f"{number}", built(base, secrets.token_bytes(50)))
    with executed_statements() as statements:
        assert space_of(repository, "team/app", Tag("3")).size
    assert len(statements) <= STATEMENTS_MAX
    plans = [
        step[3]
        for each in statements
        for step in rows(f"EXPLAIN QUERY PLAN {each}")
        if step[3].startswith("SCAN") and "given" not in step[3]
    ]
    assert plans == []


def test_rest_pages_and_lists_tell_it(stage, hosted, registry):
    base = secrets.token_bytes(4096)
    registry.push("team/app", "1", built(base, secrets.token_bytes(100)))
    registry.push("team/app", "2", built(base, secrets.token_bytes(100)))
    client = HttpClient(stage.repoman)
    address = f"/api/v1/repositories/{hosted}/docker"
    query = {"image": "team/app", "reference": "1"}
    told = client.request("GET", f"{address}/space", auth=ADMIN, query_string=query).json
    repository = stage.repoman.repositories.get(hosted).config.id
    space = space_of(repository, "team/app", Tag("1"))
    assert told == {
        "size": space.size,
        "ownSize": space.own_size,
        "sharedSize": len(base),
    }
    missing = {**query, "reference": "none"}
    assert (
        client.request("GET", f"{address}/space", auth=ADMIN, query_string=missing).status_code
        == 404
    )
    registry.push("big", "1", built(secrets.token_bytes(9000)))
    found = client.request("GET", f"{address}/images", auth=ADMIN, query_string={"order": "own"})
    sizes = [each["ownSize"] for each in found.json["items"]]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 2
