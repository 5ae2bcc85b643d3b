"""Kills a restoration before each statement that writes. Run by test_killed_restorations.

After each kill the server starts again: the tag is as it was before or as it should be, whatever
else came back can be used, and restoring again completes it.
"""

import os
import sys
import time
from pathlib import Path

from repoman.clocks import DAY_S
from repoman.collection import CollectionOptions, collect
from repoman.core import Repoman
from repoman_docker.browsing.deleting import delete_references
from repoman_docker.browsing.restoring import Past, restore_tags
from tests.functional.docker.browsed import artifact, built, index, tar_of
from tests.functional.docker.images import digest_of
from tests.functional.docker.test_browsing import push_index
from tests.functional.docker.test_collection import Watcher
from tests.functional.rest.configuration_killer import kill_at_each_statement
from tests.functional.rights.stage import Stage

NAME = "images"
AMD = built(tar_of("amd"))
ARM = built(tar_of("arm"), architecture="arm64")
INDEX = index((AMD.manifest, "linux/amd64"), (ARM.manifest, "linux/arm64"))
SIGNATURE = artifact(AMD.manifest, "application/vnd.cncf.notary.signature", b"signed")
MANIFESTS = [INDEX, AMD.manifest, ARM.manifest, SIGNATURE.manifest]


def fill(repoman: Repoman) -> None:
    """Push an index with two signed images, and delete its tag."""
    repoman.repositories.create(NAME, "docker-hosted", {})
    registry = Stage(repoman).mounted(NAME)
    push_index(registry, "app", "1", INDEX, AMD, ARM)
    registry.push_blobs("app", SIGNATURE)
    registry.push_manifest("app", digest_of(SIGNATURE.manifest), SIGNATURE.manifest)
    delete_references(repoman.views.open(repoman.repositories.get(NAME), None), "app", ["1"])


def work(repoman: Repoman) -> None:
    """Restore the tag."""
    view = repoman.views.open(repoman.repositories.get(NAME), None)
    [change] = restore_tags(view, Past("app", "1", digest=digest_of(INDEX))).changes
    assert change.refusal in ("", "It is so already."), change


def empty(repoman: Repoman, days: float) -> None:
    """Collect what nothing needs, some days later."""
    collector = repoman.repositories.get(NAME).capabilities.collector
    options = CollectionOptions(time.time() + days * DAY_S, DAY_S)
    assert collector is not None
    collect([(NAME, collector)], options, Watcher(), 60)


def check(repoman: Repoman) -> None:
    """The tag is there or not; what can be got is whole; the rest comes with the next attempt."""
    registry = Stage(repoman).mounted(NAME)
    empty(repoman, days=3)
    if registry.get("app/manifests/1").status == 200:
        assert registry.pull("app", "1") == INDEX
    for each in MANIFESTS:
        answer = registry.get(f"app/manifests/{digest_of(each)}")
        assert answer.status in (200, 404)
        assert answer.status == 404 or answer.body == each
    work(repoman)
    for each in MANIFESTS:
        assert registry.get(f"app/manifests/{digest_of(each)}").body == each, each
    for image in (AMD, ARM, SIGNATURE):
        for blob in image.blobs:
            assert registry.get(f"app/blobs/{digest_of(blob)}").body == blob
    empty(repoman, days=20)
    assert registry.pull("app", "1") == INDEX


if __name__ == "__main__":
    os.fsync = lambda _: None  # Kills take nothing that was written, and a busy disk takes long.
    kill_at_each_statement(Path(sys.argv[1]), fill, work, check, 2)
