"""The runs of the collection: beside clients that pull, and with large and small repositories."""

import itertools
import secrets
import time

import pytest
from werkzeug.test import EnvironBuilder

from repoman.blobs.upload import store_bytes
from repoman.collection import collect
from repoman.content import NewAsset, Reference
from repoman.db.models import AssetRecord
from repoman.events.event import Coordinate
from repoman.events.origin import acting_by
from repoman.graph_records import ContentGraph
from repoman.http.current import RAW_REQUEST
from repoman.http.router import create_application
from repoman.server.response_cache import ResponseCache
from repoman.tasks.model import TaskStopped
from repoman.testing import ADMIN
from repoman_docker.hosted.collection import RELEASED_MAX
from tests.functional.docker.images import OCI_MANIFEST, digest_of, make_image
from tests.functional.docker.test_collection import DAY, LATER, Hosted, Watcher, attach
from tests.functional.docker.test_tasks import run_gc

CLIENT = "192.0.2.1"
RAW = b"GET /a-manifest HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def forgotten(in_process):
    """A repository with an untagged image that goes by a rule, since nobody has pulled it."""
    hosted = Hosted(in_process, undo_days=0, untagged_days=30)
    hosted.image = make_image()
    hosted.registry.push("app", "1", hosted.image)
    hosted.registry.delete("app/manifests/1")
    return hosted


def age(hosted):
    """Have all that is in a repository be there, unused, for 40 days."""
    at = time.time() - 40 * DAY
    mine = AssetRecord.repository == hosted.collector.repository_id
    with hosted.repoman.database.transaction(touches=()):
        AssetRecord.update(updated_at=at, released_at=at, downloaded_at=at).where(mine).execute()


def test_what_was_pulled_a_second_ago_stays(forgotten):
    age(forgotten)
    assert len(forgotten.plan(after=0)) == 4
    assert forgotten.registry.get(f"app/manifests/{forgotten.image.digest}").status == 200
    assert run_gc(forgotten.repoman, repository=forgotten.name) == ""
    assert forgotten.has("app", forgotten.image) == (True, True)


def test_what_was_pulled_from_the_memory_of_responses_stays(forgotten):
    repoman, responses = forgotten.repoman, ResponseCache(create_application(forgotten.repoman))
    path = f"/repository/{forgotten.name}/v2/app/manifests/{forgotten.image.digest}"
    for _ in range(2):
        environ = EnvironBuilder(path, auth=ADMIN).get_environ()
        environ |= {RAW_REQUEST: RAW, "REMOTE_ADDR": CLIENT}
        assert b"".join(responses(environ, lambda *_: None)) == forgotten.image.manifest
    repoman.pulls.flush(is_last=True)
    repoman.pulls._written.clear()  # As if a minute had gone by.
    age(forgotten)
    assert responses.answer("", RAW, CLIENT).endswith(forgotten.image.manifest)
    assert run_gc(repoman, repository=forgotten.name) == ""
    assert forgotten.has("app", forgotten.image) == (True, True)


def test_what_nobody_pulled_goes(forgotten):
    age(forgotten)
    assert "1 manifest" in run_gc(forgotten.repoman, repository=forgotten.name)
    assert forgotten.has("app", forgotten.image) == (False, False)


def test_a_read_only_repository_is_collected_while_clients_are_refused(forgotten):
    kept = make_image()
    forgotten.registry.push("app", "kept", kept)
    forgotten.repoman.repositories.update(forgotten.name, {"storage": {"write_policy": "deny"}})
    assert forgotten.registry.delete("app/manifests/kept").status == 403
    assert forgotten.collect(after=31 * DAY).counts == {"manifest": 1, "blob": 3}
    assert forgotten.has("app", forgotten.image) == (False, False)
    assert forgotten.has("app", kept) == (True, True)


def test_a_large_repository_does_not_keep_small_ones_waiting(in_process, monkeypatch):
    monkeypatch.setattr("repoman_docker.hosted.collection.WINDOW_ASSETS", 1)
    large, *small = (Hosted(in_process, undo_days=0) for _ in range(3))
    for hosted, count in ((large, 8), *((each, 2) for each in small)):
        for _ in range(count):
            hosted.registry.push_blobs("app", make_image())
    collectors = [(each.name, each.collector) for each in (large, *small)]

    def collect_for(seconds):
        return collect(collectors, large.options(), Watcher(), seconds, itertools.count().__next__)

    def left():
        blobs = AssetRecord.select().where(AssetRecord.kind == "blob")
        mine = [AssetRecord.repository == each.repository_id for _, each in collectors]
        return [blobs.where(each).count() for each in mine]

    before = left()
    assert not collect_for(60).is_complete
    some, *others = left()
    assert others == [0, 0]
    # It had its own share, and what the others left of theirs.
    alone = before[0] - some
    assert alone > 0
    while not collect_for(60).is_complete:
        assert left()[0] < some
        some = left()[0]
    assert left() == [0, 0, 0]


# --- Very many attached manifests -----------------------------------------------------------------

ATTACHED = 2_500


@pytest.fixture
def signed(in_process):
    """A repository with an image that goes, and very many manifests that are attached to it."""
    hosted = Hosted(in_process, undo_days=0)
    hosted.image = make_image()
    hosted.registry.push("app", "1", hosted.image)
    hosted.digests = [f"sha256:{secrets.token_hex(32)}" for _ in range(ATTACHED)]
    content, subject = hosted.collector._content, f"manifests/app/{hosted.image.digest}"
    blob = store_bytes(hosted.repoman.blob_stores.get("default"), b"attached")
    with content.transaction():
        for each in hosted.digests:
            content.save_asset(
                NewAsset(
                    path=f"manifests/app/{each}",
                    kind="manifest",
                    blob=blob,
                    media_type=OCI_MANIFEST,
                    attributes={"digest": each},
                    references=(Reference("subject", subject),),
                )
            )
    with acting_by("cleanup"):
        hosted.repository.capabilities.delete_component(Coordinate("tag", "app", "1"))
    return hosted


@pytest.fixture
def releases(monkeypatch):
    """Of how many attached manifests each statement noted that their subject went."""
    counts, release = [], ContentGraph.release_referring

    def noted(*given, **more):
        counts.append(release(*given, **more))
        return counts[-1]

    monkeypatch.setattr(ContentGraph, "release_referring", noted)
    return counts


def manifests(hosted):
    mine = AssetRecord.repository == hosted.collector.repository_id
    return {
        each.path.rpartition("/")[2]
        for each in AssetRecord.select().where(mine & (AssetRecord.kind == "manifest"))
    }


def be_young(hosted):
    """Have what is attached be pushed so late that its grace has not ended when its image goes."""
    paths = AssetRecord.path.in_([f"manifests/app/{each}" for each in hosted.digests])
    AssetRecord.update(updated_at=time.time() + LATER).where(paths).execute()


def test_thousands_of_attached_manifests_go_with_their_image_in_one_run(signed, releases):
    plan = {each.path.rpartition("/")[2] for each in signed.plan() if each.kind == "manifest"}
    assert plan == manifests(signed) == {*signed.digests, signed.image.digest}
    assert signed.collect().counts["manifest"] == ATTACHED + 1
    assert manifests(signed) == set()
    assert max(releases) <= RELEASED_MAX


def test_thousands_that_are_too_young_go_later(signed, releases):
    be_young(signed)
    assert signed.collect().counts == {"manifest": 1, "blob": 3}
    assert manifests(signed) == set(signed.digests)
    assert (sum(releases), max(releases)) == (ATTACHED, RELEASED_MAX)
    assert signed.collect(after=3 * LATER).counts == {"manifest": ATTACHED}


@pytest.mark.parametrize("is_tagged", [True, False])
def test_an_end_between_two_batches_changes_nothing(signed, monkeypatch, is_tagged):
    counts, release = [], ContentGraph.release_referring

    def release_once(*given, **more):
        if counts:
            raise TaskStopped
        counts.append(release(*given, **more))
        return counts[0]

    be_young(signed)
    with monkeypatch.context() as patch:
        patch.setattr(ContentGraph, "release_referring", release_once)
        with pytest.raises(TaskStopped):
            signed.collect()
    assert counts == [RELEASED_MAX]
    if is_tagged:
        signed.registry.push_manifest("app", "2", signed.image.manifest)
        assert signed.plan(after=100 * DAY) == []
        return
    assert signed.collect().counts == {"manifest": 1, "blob": 3}
    assert signed.collect(after=3 * LATER).counts == {"manifest": ATTACHED}


def test_what_is_attached_stays_as_long_as_its_image_can_be_restored(in_process):
    hosted, image = Hosted(in_process, undo_days=14, untagged_days=1), make_image()
    hosted.registry.push("app", "1", image)
    note = attach(hosted, "app", image.manifest)
    hosted.registry.delete(f"app/manifests/{image.digest}")
    assert hosted.plan(after=13 * DAY) == []
    hosted.collect(after=15 * DAY)
    hosted.collect(after=15 * DAY)
    assert digest_of(note) not in manifests(hosted)
