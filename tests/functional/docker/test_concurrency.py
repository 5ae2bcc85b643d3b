"""Many clients at once, on images that share their layers: nothing is lost, nothing dangles."""

import random
import secrets
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.functional.docker.driver import Refused, Registry
from tests.functional.docker.images import Image, digest_of, make_image

THREADS = 32
ROUNDS = 6
NAMES = ("a", "b/c")
TAGS = ("1", "2", "3")
# What may come between the steps of a push or a pull while others delete.
LOST_RACES = {
    ("find blob", "BLOB_UNKNOWN"),
    ("put manifest", "MANIFEST_BLOB_UNKNOWN"),
    ("get manifest", "MANIFEST_UNKNOWN"),
    ("get blob", "BLOB_UNKNOWN"),
}


@pytest.fixture
def registry(site) -> Registry:
    """An empty repository that wants every blob of an image to be there."""
    return site.create({"docker.sparse": False})


@pytest.fixture
def restless() -> Iterator[None]:
    """Let threads change places far more often than usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


class Client:
    """One of the many: does something at random.

    The layers are others in each round, for all clients alike: those of an earlier round are in use
    by then, and nobody can delete them any more.
    """

    def __init__(self, registry: Registry, layers: list[list[bytes]], seed: int) -> None:
        self.registry = registry
        self.rounds = layers
        self.layers: list[bytes] = []
        self.dice = random.Random(seed)
        self.pushed: list[tuple[str, Image]] = []
        self.actions = (
            *[self.push] * 4,
            *[self.delete_blob] * 8,
            self.mount,
            self.delete_tag,
            self.delete_manifest,
            self.pull,
        )

    def run(self) -> None:
        """Do a few things in each round."""
        for layers in self.rounds:
            self.layers = layers
            for _ in range(3):
                self.act()

    def act(self) -> None:
        """Do one thing; another client may have been faster."""
        try:
            self.dice.choice(self.actions)(self.dice.choice(NAMES), self.dice.choice(TAGS))
        except Refused as refused:
            if (refused.step, refused.answer.code) not in LOST_RACES:
                raise

    def push(self, name: str, tag: str) -> None:
        image = make_image(*self.layers)
        self.registry.push(name, tag, image)
        self.pushed.append((name, image))

    def mount(self, name: str, _: str) -> None:
        layer = digest_of(self.dice.choice(self.layers))
        answer = self.registry.start(name, mount=layer, **{"from": self.dice.choice(NAMES)})
        assert answer.status in (201, 202)
        if answer.status == 202:
            assert self.registry.delete(answer.headers["Location"]).status == 204

    def delete_tag(self, name: str, tag: str) -> None:
        assert self.registry.delete(f"{name}/manifests/{tag}").status in (202, 404)

    def delete_manifest(self, name: str, _: str) -> None:
        if self.pushed:
            name, image = self.dice.choice(self.pushed)
            answer = self.registry.delete(f"{name}/manifests/{image.digest}")
            assert answer.status in (202, 404)

    def delete_blob(self, name: str, _: str) -> None:
        layer = digest_of(self.dice.choice(self.layers))
        assert self.registry.delete(f"{name}/blobs/{layer}").status in (202, 404, 405)

    def pull(self, name: str, tag: str) -> None:
        self.registry.pull(name, tag)


def run_all(site, clients):
    """Let all clients act at the same time, and return what went wrong."""
    problems = []

    def run(client):
        try:
            client.run()
        except BaseException as error:  # noqa: BLE001 - the test reports it
            problems.append(error)
        finally:
            site.leave()

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


def rows(site, sql, *values):
    with closing(sqlite3.connect(site.data / "repoman.db", timeout=30)) as database:
        return database.execute(sql, values).fetchall()


OF_REPOSITORY = "repository_id = (select id from repository where name = ?)"


def test_many_clients_leave_a_repository_whole(site, registry, restless):
    layers = [[secrets.token_bytes(2000) for _ in range(2)] for _ in range(ROUNDS)]
    clients = [Client(registry, layers, seed) for seed in range(THREADS)]
    assert run_all(site, clients) == []
    own = registry.repository
    dangling = f"""
        select kind, path from reference where {OF_REPOSITORY} and kind in ('blob', 'tag', 'child')
        and path not in (select path from asset where {OF_REPOSITORY})
    """
    assert rows(site, dangling, own, own) == []
    uploads = f"select id from upload where {OF_REPOSITORY}"
    assert rows(site, uploads, own) == []
    empty = f"""
        select name, version from component where {OF_REPOSITORY}
        and id not in (select component_id from asset where component_id is not null)
    """
    assert rows(site, empty, own) == []
    assert rows(site, "pragma integrity_check") == [("ok",)]
    assert rows(site, "pragma foreign_key_check") == []

    manifests = f"select path from asset where kind = 'manifest' and {OF_REPOSITORY}"
    stored = [path.split("/", 1)[1].rpartition("/") for (path,) in rows(site, manifests, own)]
    assert stored
    for name, _, digest in stored:
        registry.pull(name, digest)
    for name in registry.get("_catalog").json()["repositories"]:
        for tag in registry.tags(name):
            registry.pull(name, tag)
