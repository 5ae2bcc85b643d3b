"""Kills a collection before each statement that writes. Run by test_collection_histories.

After each kill nothing that is needed is lost, and the next collection comes to the same end.
"""

import os
import sys
import time
from pathlib import Path

from repoman.collection import CollectionOptions, collect
from repoman.core import Repoman
from repoman.db.models import AssetRecord
from repoman.events.event import Coordinate
from repoman.events.origin import acting_by
from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import Image, digest_of, index_of, make_image
from tests.functional.docker.wires import InProcess
from tests.functional.rest.configuration_killer import kill_at_each_statement

GRACE_S = 86_400.0
LATER_S = 3 * GRACE_S
STEP = 4  # Each so many statements there is a kill.
KEPT, GONE = (make_image(b"shared", text.encode()) for text in ("kept", "gone"))
INDEX = index_of(GONE.manifest, KEPT.manifest)


class Watcher:
    """Nobody."""

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Do nothing."""

    def log(self, text: str) -> None:
        """Do nothing."""

    def freed(self, size: int) -> None:
        """Do nothing."""

    def pause(self, seconds: float) -> None:
        """Do nothing."""


def registry_of(repoman: Repoman) -> Registry:
    """The repository as a client sees it."""
    return Registry(InProcess(HttpClient(repoman)), "/repository/images", ADMIN)


def fill(repoman: Repoman) -> None:
    """Push an index that a cleanup policy untags, an image in use, and blobs without a manifest."""
    repoman.repositories.create("images", "docker-hosted", {"docker": {"undo_days": 0}})
    registry = registry_of(repoman)
    registry.push("app", "kept", KEPT)
    registry.push_blobs("app", GONE)
    registry.push_manifest("app", GONE.digest, GONE.manifest)
    registry.push_manifest("app", "gone", INDEX)
    registry.push_blobs("other", GONE)
    with acting_by("cleanup"):
        delete = repoman.repositories.get("images").capabilities.delete_component
        assert delete is not None
        delete(Coordinate("tag", "app", "gone"))


def work(repoman: Repoman) -> None:
    """Collect."""
    collector = repoman.repositories.get("images").capabilities.collector
    assert collector is not None
    options = CollectionOptions(time.time() + LATER_S, GRACE_S)
    assert collect([("images", collector)], options, Watcher(), 60.0).is_complete


def check(repoman: Repoman) -> None:
    """What is needed can be pulled; after another collection, only that is there."""
    registry = registry_of(repoman)
    assert registry.pull("app", "kept") == KEPT.manifest
    work(repoman)
    assert registry.pull("app", "kept") == KEPT.manifest
    assert {each.path for each in AssetRecord.select()} == {
        "tags/app/kept",
        f"manifests/app/{KEPT.digest}",
        *paths_of(KEPT),
    }


def paths_of(image: Image) -> list[str]:
    """The paths of the blobs of an image."""
    return [f"blobs/{digest_of(each)}/app" for each in image.blobs]


if __name__ == "__main__":
    os.fsync = lambda _: None  # Kills take nothing that was written, and a busy disk takes long.
    kill_at_each_statement(Path(sys.argv[1]), fill, work, check, STEP)
