"""A registry moves to another blob store while clients push to it and pull from it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.clock import wait_until
from tests.e2e.registry import Registry, digest_of

IMAGES = {f"{number}": f"layer {number} ".encode() * 20_000 for number in range(12)}
MOVE = "Admin - Change repository blob store"


class Clients:
    """Two clients that pull all images again and again, and one that pushes others.

    Attributes:
        wrong: tags that did not come out whole.
        pushed: the layers of the images that were pushed; their tags are their numbers.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._stop = threading.Event()
        self.wrong: list[str] = []
        self.pushed: list[bytes] = []

    def _pull(self) -> None:
        while not self._stop.is_set():
            self.wrong.extend(find_wrong(self._registry))

    def _push(self) -> None:
        while not self._stop.is_set():
            layer = f"pushed meanwhile {len(self.pushed)}".encode() * 500
            self._registry.push_image("team/new", str(len(self.pushed)), layer)
            self.pushed.append(layer)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Have them work during the block."""
        threads = [threading.Thread(target=each) for each in (self._pull, self._pull, self._push)]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            self._stop.set()
            for each in threads:
                each.join()


def find_wrong(registry: Registry) -> list[str]:
    """The tags whose image does not come out whole."""
    return [tag for tag in IMAGES if not registry.has_image("team/app", tag, IMAGES[tag])]


def test_pushes_and_pulls_go_on_while_a_registry_moves(server):
    registry = Registry(f"http://{server.registry}", server.admin)
    for tag, layer in IMAGES.items():
        registry.push_image("team/app", tag, layer)
    begun = registry.request("PATCH", registry.begin_upload("team/app"), data=b"begun before, ")
    assert begun.status_code == 202

    server.cli("blobstore", "create", "other")
    server.cli("task", "set", MOVE, "--set", "mib_per_second=1")
    said = server.cli("repo", "move", "docker-hosted", "other").stdout
    assert said.startswith("docker-hosted moves to other: ")
    clients = Clients(registry)
    with clients.at_work():
        wait_until(lambda: _move(server)["ended_at"], what="the end of the move")
    assert clients.wrong == []
    assert clients.pushed
    for number, layer in enumerate(clients.pushed):
        assert registry.has_image("team/new", str(number), layer)

    whole = b"begun before, ended after"
    digest = digest_of(whole)
    done = registry.request(
        "PUT", begun.headers["Location"], params={"digest": digest}, data=b"ended after"
    )
    assert done.status_code == 201, done.text
    assert registry.request("GET", f"/v2/team/app/blobs/{digest}").content == whole
    assert server.cli("blob", "verify", "other").returncode == 0
    assert find_wrong(registry) == []


def _move(server):
    return json.loads(server.cli("repo", "move", "docker-hosted", "--json").stdout)
