"""The collection: what goes, what stays and why, after histories of clients."""

import sqlite3
import time
from contextlib import closing
from importlib import import_module

import pytest

from repoman.collection import CollectionOptions, collect, list_unneeded
from repoman.collection_records import find_state
from repoman.content_promises import PROMISE_INTERVAL_S
from repoman.db.models import AssetRecord, database_proxy
from repoman.errors import StorageFull
from repoman.events.event import Coordinate
from repoman.events.origin import acting_by
from repoman.graph_records import freed_bytes
from repoman.printable import render_size
from tests.functional.docker.images import (
    OCI_EMPTY,
    OCI_MANIFEST,
    descriptor,
    digest_of,
    index_of,
    make_image,
    to_json,
)
from tests.statements import executed_statements

HOUR = 3600.0
DAY = 24 * HOUR
GRACE = 24 * HOUR
LATER = GRACE + PROMISE_INTERVAL_S + 60


class Watcher:
    """Takes the log of a run."""

    def __init__(self, flush_pulls=lambda: None):
        self.lines = []
        self.size = 0
        self.flush_pulls = flush_pulls

    def progress(self, done, total=None, message=""):
        pass

    def log(self, text):
        self.lines.append(text)

    def pause(self, seconds):
        pass

    def freed(self, size):
        self.size += size


class Hosted:
    """A hosted repository, with a collection at any time."""

    def __init__(self, site, **docker):
        self.registry = site.create({f"docker.{key}": value for key, value in docker.items()})
        self.repoman = site.repoman
        self.name = self.registry.repository

    @property
    def repository(self):
        return self.repoman.repositories.get(self.name)

    @property
    def collector(self):
        return self.repository.capabilities.collector

    def options(self, after=LATER, **more):
        return CollectionOptions(time.time() + after, GRACE, **more)

    def plan(self, after=LATER):
        """What a dry run says, as (title, kind)."""
        return list(list_unneeded(self.collector, self.options(after, is_dry=True)))

    def collect(self, after=LATER, timeout_s=60):
        self.watcher = Watcher()
        return collect([(self.name, self.collector)], self.options(after), self.watcher, timeout_s)

    def has(self, name, image):
        """What is there of an image: its manifest, and all of its blobs."""
        manifest = self.registry.get(f"{name}/manifests/{image.digest}").status == 200
        blobs = [self.blob_status(name, each) == 200 for each in image.blobs]
        return manifest, all(blobs)

    def blob_status(self, name, blob):
        """Whether a blob is there, without a promise."""
        return self.registry.get(f"{name}/blobs/{digest_of(blob)}").status

    def why(self, name, after=LATER):
        return [
            f"{each.title}: {each.reason}"
            for each in self.collector.explain(name, self.options(after))
        ]


@pytest.fixture
def hosted(in_process):
    return Hosted(in_process, undo_days=0)


def test_a_window_costs_nothing_for_what_comes_after_it(hosted):
    hosted.registry.push("app", "1", make_image())
    with executed_statements() as statements:
        hosted.plan()
    windows = [each for each in statements if "NOT EXISTS" in each]
    assert windows
    for each in windows:
        plan = database_proxy.execute_sql(f"EXPLAIN QUERY PLAN {each}").fetchall()
        assert [row[3] for row in plan if "path>? AND path<?" in row[3]], plan


def test_the_plan_is_what_a_run_does(hosted):
    kept, gone, shared = make_image(), make_image(), make_image()
    hosted.registry.push("kept", "1", kept)
    hosted.registry.push("gone", "1", gone)
    hosted.registry.push("here", "1", shared)
    hosted.registry.push("there", "1", shared)
    for name, image in (("gone", gone), ("there", shared)):
        assert hosted.registry.delete(f"{name}/manifests/{image.digest}").status == 202
    assert hosted.plan(after=HOUR) == []
    plan = hosted.plan()
    expected = {f"gone@{digest_of(each)}": len(each) for each in gone.blobs}
    expected |= {f"there@{digest_of(each)}": 0 for each in shared.blobs}
    assert {each.title: each.freed for each in plan} == expected
    assert {each.reason for each in plan} == {"No manifest needs it."}
    size = sum(expected.values())
    paths = [each.path for each in plan]
    assert freed_bytes(hosted.collector.repository_id, paths) == size
    assert hosted.collect(after=HOUR).text == ""
    result = hosted.collect()
    assert (result.counts, result.promised, result.freed) == ({"blob": 6}, size, size)
    assert result.text == f"Deleted 6 blobs; freed {render_size(size)}."
    assert hosted.watcher.size == size
    assert hosted.watcher.lines == [
        f"{hosted.name}: deleted 6 blobs; promised {size} bytes, freed {size}."
    ]
    assert hosted.has("kept", kept) == hosted.has("here", shared) == (True, True)
    assert {hosted.blob_status("gone", each) for each in gone.blobs} == {404}
    assert hosted.plan() == []
    assert hosted.collect().text == ""


def test_what_a_head_or_a_mount_promised_stays_for_the_grace(hosted):
    image = make_image()
    hosted.registry.push_blobs("app", image)
    repository = hosted.collector.repository_id
    AssetRecord.update(updated_at=time.time() - 10 * DAY).where(
        AssetRecord.repository == repository
    ).execute()
    first, second, third = image.blobs
    assert hosted.registry.has_blob("app", digest_of(first))
    mounted = hosted.registry.start("other", mount=digest_of(second), **{"from": "app"})
    assert mounted.status == 201
    plan = {each.title for each in hosted.plan(after=0)}
    assert plan == {f"app@{digest_of(each)}" for each in (second, third)}
    hosted.collect(after=0)
    assert hosted.blob_status("app", first) == hosted.blob_status("other", second) == 200
    assert hosted.blob_status("app", second) == hosted.blob_status("app", third) == 404
    assert hosted.plan(after=GRACE - 60) == []
    assert len(hosted.plan()) == 2


def test_a_promise_is_written_once_an_hour(hosted):
    image = make_image()
    hosted.registry.push_blobs("app", image)
    path = f"blobs/{digest_of(image.config)}/app"
    row = AssetRecord.get(
        (AssetRecord.path == path) & (AssetRecord.repository == hosted.collector.repository_id)
    )
    promised = lambda: AssetRecord.get_by_id(row.id).promised_at  # noqa: E731
    assert hosted.registry.has_blob("app", digest_of(image.config))
    assert promised() is None  # it has just been pushed
    AssetRecord.update(updated_at=time.time() - 2 * HOUR).where(AssetRecord.id == row.id).execute()
    for _ in range(3):
        assert hosted.registry.has_blob("app", digest_of(image.config))
        first = promised()
        assert first is not None
    assert promised() == first


def make_old(hosted):
    """Let all assets have been stored long ago."""
    AssetRecord.update(updated_at=time.time() - 2 * HOUR).where(
        AssetRecord.repository == hosted.collector.repository_id
    ).execute()


@pytest.fixture(params=["another program has locked the database", "its disk is full"])
def refuse_writes(request, in_process, monkeypatch):
    """Let no statement write from now on."""

    def fill(*_):
        raise StorageFull("The disk of the database is full.")

    with closing(sqlite3.connect(in_process.data / "repoman.db", isolation_level=None)) as other:
        if "locked" in request.param:
            monkeypatch.setattr(in_process.repoman.database, "_busy_timeout", 1.0)
            yield lambda: other.execute("BEGIN IMMEDIATE")
        else:
            yield lambda: monkeypatch.setattr("repoman.content_promises.save_promised", fill)


def test_a_promise_that_cannot_be_written_is_given_for_what_is_in_use(hosted, refuse_writes):
    image, signed, loose = make_image(), make_image(), b"a blob of no image"
    about = {"mediaType": OCI_MANIFEST, "digest": signed.digest, "size": len(signed.manifest)}
    hosted.registry.push("app", "1", image)
    hosted.registry.push("app", signed.digest, signed)
    hosted.registry.push("app", "signature", make_image(subject=about))
    hosted.registry.push_blob("app", loose)
    make_old(hosted)
    refuse_writes()
    head = hosted.registry.send
    assert head("HEAD", f"app/manifests/{image.digest}").status == 200
    assert head("HEAD", f"app/blobs/{digest_of(image.config)}").status == 200
    assert head("HEAD", f"app/blobs/{digest_of(loose)}").status in (503, 507)
    # What refers to it goes with it, so that keeps nothing.
    assert head("HEAD", f"app/manifests/{signed.digest}").status in (503, 507)


def test_untagged_images_stay_until_a_rule_says_otherwise(hosted):
    old, new = make_image(), make_image()
    hosted.registry.push("app", "latest", old)
    hosted.registry.push("app", "latest", new)
    assert hosted.collect(after=1000 * DAY).text == ""
    state = find_state(hosted.collector.repository_id)
    size = len(old.manifest) + sum(map(len, old.blobs))
    assert (state.reclaimable_count, state.reclaimable_size) == (1, size)
    hosted.repoman.repositories.update(hosted.name, {"docker": {"untagged_days": 30}})
    assert hosted.plan(after=29 * DAY) == []
    result = hosted.collect(after=31 * DAY)
    assert result.counts == {"manifest": 1, "blob": 3}
    assert result.promised == result.freed == size
    assert hosted.has("app", old) == (False, False)
    assert hosted.has("app", new) == (True, True)
    state = find_state(hosted.collector.repository_id)
    assert (state.reclaimable_count, state.reclaimable_size) == (0, 0)


def test_a_pull_by_digest_keeps_an_untagged_image(in_process):
    hosted = Hosted(in_process, undo_days=0, untagged_days=30)
    image = make_image()
    hosted.registry.push("app", "1", image)
    hosted.registry.delete("app/manifests/1")
    pulled_at = time.time() + 20 * DAY
    AssetRecord.update(downloaded_at=pulled_at).where(
        AssetRecord.path == f"manifests/app/{image.digest}"
    ).execute()
    assert hosted.plan(after=49 * DAY) == []
    assert len(hosted.plan(after=51 * DAY)) == 4


def test_a_tag_can_come_back_for_a_while(in_process):
    hosted = Hosted(in_process, undo_days=14, untagged_days=1)
    image = make_image()
    hosted.registry.push("app", "1", image)
    hosted.registry.delete("app/manifests/1")
    assert hosted.plan(after=13 * DAY) == []
    for after in (0, 13 * DAY):  # Within its grace, too, the reason is what holds it longest.
        [hold] = hosted.collector.explain(f"app@{image.digest}", hosted.options(after))
        assert "that can be undone" in hold.reason
        assert hold.until == pytest.approx(time.time() + 14 * DAY, abs=120)
    assert len(hosted.plan(after=15 * DAY)) == 4


def test_what_a_cleanup_policy_untagged_goes_after_that(in_process):
    hosted = Hosted(in_process, undo_days=14)
    cleaned, deleted = make_image(), make_image()
    hosted.registry.push("app", "1", cleaned)
    hosted.registry.push("app", "2", deleted)
    with acting_by("cleanup"):
        hosted.repository.capabilities.delete_component(_tag("app", "1"))
    hosted.registry.delete("app/manifests/2")
    assert hosted.plan(after=13 * DAY) == []
    assert hosted.collect(after=15 * DAY).counts == {"manifest": 1, "blob": 3}
    assert hosted.has("app", cleaned) == (False, False)
    assert hosted.has("app", deleted) == (True, True)


def test_an_index_holds_its_images_and_takes_them_along(in_process):
    hosted = Hosted(in_process, undo_days=0, untagged_days=10)
    one, two, shared = make_image(), make_image(), make_image()
    index, other = index_of(one.manifest, shared.manifest), index_of(two.manifest, shared.manifest)
    for image in (one, two, shared):
        hosted.registry.push_blobs("app", image)
        hosted.registry.push_manifest("app", image.digest, image.manifest)
    hosted.registry.push_manifest("app", "1", index)
    hosted.registry.push_manifest("app", "2", other)
    assert hosted.plan(after=100 * DAY) == []
    hosted.registry.delete("app/manifests/1")
    result = hosted.collect(after=11 * DAY)
    assert result.counts == {"manifest": 2, "blob": 3}
    assert result.promised == result.freed
    assert hosted.has("app", one) == (False, False)
    assert hosted.has("app", two) == hosted.has("app", shared) == (True, True)
    why = hosted.why(f"app@{digest_of(shared.layers[0])}")
    assert why == [
        f"app@{digest_of(shared.layers[0])}: It is a part of app@{shared.digest}.",
        f"app@{shared.digest}: The index app@{digest_of(other)} lists it.",
        f"app@{digest_of(other)}: The tag app:2 leads to it.",
    ]


@pytest.mark.parametrize("most", [5, 6, 7, 17, 100])
def test_what_has_many_holders_is_judged_in_parts_and_stays(hosted, monkeypatch, most):
    monkeypatch.setattr("repoman_docker.hosted.reachability.CLOSURE_MAX", most)
    children, lonely = [make_image() for _ in range(3)], make_image()
    for image in (*children, lonely):
        hosted.registry.push_blobs("app", image)
        hosted.registry.push_manifest("app", image.digest, image.manifest)
    for number in range(6):
        others = [make_image()] if number else [lonely]
        for image in others:
            hosted.registry.push_blobs("app", image)
            hosted.registry.push_manifest("app", image.digest, image.manifest)
        body = index_of(*(each.manifest for each in (*children, *others)))
        hosted.registry.push_manifest("app", f"{number}", body)
    AssetRecord.update(released_at=time.time() + HOUR, released_by="collection").where(
        AssetRecord.path.in_([f"manifests/app/{each.digest}" for each in children])
    ).execute()
    with acting_by("cleanup"):
        hosted.repository.capabilities.delete_component(_tag("app", "0"))
    gone = {digest_of(index_of(*(each.manifest for each in (*children, lonely)))), lonely.digest}
    plan = [each.title for each in hosted.plan() if each.kind == "manifest"]
    assert {each.removeprefix("app@") for each in plan} == gone
    assert hosted.collect().counts == {"manifest": 2, "blob": 3}
    for image in children:
        assert hosted.has("app", image) == (True, True)
    [hold] = hosted.why(f"app@{children[0].digest}")[:1]
    assert ("Too many manifests" in hold) == (most == 5)


@pytest.mark.parametrize(("rule", "stays"), [(30, True), (1, False), (None, False)])
def test_an_image_that_is_pulled_by_digest_survives_its_index(in_process, rule, stays):
    hosted = Hosted(in_process, undo_days=0, untagged_days=rule)
    image = make_image()
    hosted.registry.push_blobs("app", image)
    hosted.registry.push_manifest("app", image.digest, image.manifest)
    index = index_of(image.manifest)
    hosted.registry.push_manifest("app", "1", index)
    child, whole = (f"manifests/app/{each}" for each in (image.digest, digest_of(index)))
    now = time.time()
    for path, released_by in ((child, "collection"), (whole, "cleanup")):
        AssetRecord.update(
            updated_at=now - 100 * DAY, released_at=now - 50 * DAY, released_by=released_by
        ).where(AssetRecord.path == path).execute()
    AssetRecord.update(downloaded_at=now - DAY).where(AssetRecord.path == child).execute()
    with acting_by("cleanup"):
        hosted.repository.capabilities.delete_component(_tag("app", "1"))
    hosted.collect()
    assert hosted.has("app", image)[0] == stays
    hosted.collect(after=40 * DAY)
    assert hosted.has("app", image) == (False, False)


def test_what_a_cleanup_policy_untagged_stays_if_it_is_pulled_since(in_process):
    hosted = Hosted(in_process, undo_days=14, untagged_days=30)
    image = make_image()
    hosted.registry.push("app", "1", image)
    with acting_by("cleanup"):
        hosted.repository.capabilities.delete_component(_tag("app", "1"))
    pulled_at = time.time() + 10 * DAY
    AssetRecord.update(downloaded_at=pulled_at).where(
        AssetRecord.path == f"manifests/app/{image.digest}"
    ).execute()
    assert hosted.plan(after=39 * DAY) == []
    assert len(hosted.plan(after=41 * DAY)) == 4


def test_a_push_by_digest_leaves_the_time_in_which_a_tag_can_come_back(in_process):
    hosted = Hosted(in_process, undo_days=14, untagged_days=1)
    image = make_image()
    hosted.registry.push("app", "1", image)
    hosted.registry.delete("app/manifests/1")
    hosted.registry.push_manifest("app", image.digest, image.manifest)
    assert hosted.plan(after=13 * DAY) == []
    assert len(hosted.plan(after=15 * DAY)) == 4


def attach(hosted, name, subject, **more):
    """Attach something to a manifest; return the digest."""
    empty = b"{}"
    hosted.registry.push_blob(name, empty)
    body = to_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/x-note",
            "config": descriptor(empty, OCI_EMPTY),
            "layers": [descriptor(empty, OCI_EMPTY)],
            "subject": descriptor(subject, OCI_MANIFEST),
            **more,
        }
    )
    hosted.registry.push_manifest(name, digest_of(body), body)
    return body


def test_what_is_attached_stays_and_goes_with_its_subject(hosted):
    image = make_image()
    hosted.registry.push("app", "1", image)
    note = attach(hosted, "app", image.manifest)
    again = attach(hosted, "app", note)
    assert hosted.plan(after=100 * DAY) == []
    with acting_by("cleanup"):
        hosted.repository.capabilities.delete_component(_tag("app", "1"))
    plan = hosted.plan()
    manifests = [each.title for each in plan if each.kind == "manifest"]
    assert manifests == [f"app@{digest_of(each)}" for each in (again, note, image.manifest)]
    result = hosted.collect()
    assert result.counts == {"manifest": 3, "blob": 4}
    assert result.promised == result.freed == sum(each.freed for each in plan)
    catalog = hosted.registry.get("_catalog").json()["repositories"]
    assert "app" not in catalog


@pytest.mark.parametrize("undo_days", [0, 14])
def test_what_is_attached_goes_after_a_subject_that_a_client_deleted(in_process, undo_days):
    hosted, image = Hosted(in_process, undo_days=undo_days), make_image()
    hosted.registry.push("app", "1", image)
    note = attach(hosted, "app", image.manifest)
    attach(hosted, "app", note)
    before = attach(hosted, "app", make_image().manifest)  # Its subject may be pushed later.
    hosted.registry.delete(f"app/manifests/{image.digest}")
    if undo_days:
        assert hosted.plan(after=13 * DAY) == []
    hosted.collect(after=15 * DAY)
    hosted.collect(after=15 * DAY)
    empty = digest_of(b"{}")
    digests = {each.path.rpartition("/")[2] for each in _assets(hosted)}
    assert digests == {digest_of(before), "app"}
    assert [each.path for each in _assets(hosted, "blob")] == [f"blobs/{empty}/app"]


def test_what_is_attached_stays_if_its_subject_was_pushed_again(in_process):
    hosted, image = Hosted(in_process, undo_days=14), make_image()
    hosted.registry.push("app", "1", image)
    note = attach(hosted, "app", image.manifest)
    hosted.registry.delete(f"app/manifests/{image.digest}")
    hosted.registry.push("app", "1", image)
    hosted.collect(after=15 * DAY)
    hosted.registry.delete("app/manifests/1")
    assert hosted.plan(after=16 * DAY) == []
    assert hosted.registry.get(f"app/manifests/{digest_of(note)}").status == 200


def test_any_number_of_attached_manifests_goes_with_the_subject(hosted, monkeypatch):
    monkeypatch.setattr("repoman_docker.hosted.collection.REFERRERS_MAX", 2)
    monkeypatch.setattr("repoman_docker.hosted.collection.WINDOW_ASSETS", 1)
    image = min((make_image() for _ in range(8)), key=lambda each: each.digest)
    hosted.registry.push("app", "1", image)
    for number in range(9):
        attach(hosted, "app", image.manifest, number=number)
    with acting_by("cleanup"):
        hosted.repository.capabilities.delete_component(_tag("app", "1"))
    hosted.collect()
    hosted.collect()
    assert _assets(hosted) == []


def test_a_push_wins_against_a_step_that_was_planned_before(hosted):
    image = make_image()
    hosted.registry.push("app", "1", image)
    with acting_by("cleanup"):
        hosted.repository.capabilities.delete_component(_tag("app", "1"))
    options = hosted.options()
    steps = [each for each in hosted.collector.steps(hosted.options(is_dry=True)) if each.items]
    hosted.registry.push_manifest("app", "2", image.manifest)
    for step in steps:
        assert hosted.collector.carry_out(step, options) == ([], 0)
    assert hosted.has("app", image) == (True, True)


def test_a_run_that_has_no_time_goes_on_where_it_stopped(hosted):
    for number in range(3):
        image = make_image()
        hosted.registry.push(f"app{number}", "1", image)
        hosted.registry.delete(f"app{number}/manifests/{image.digest}")
    removed = 0
    for _ in range(20):
        result = hosted.collect(timeout_s=0)
        removed += result.counts.total()
        if result.is_complete:
            break
        assert find_state(hosted.collector.repository_id).position
    assert removed == 9
    assert find_state(hosted.collector.repository_id).position == ""
    assert hosted.plan() == []


def test_no_transaction_removes_many_rows(hosted, monkeypatch):
    monkeypatch.setattr("repoman_docker.hosted.collection.STEP_ASSETS", 4)
    monkeypatch.setattr("repoman_docker.hosted.collection.WINDOW_ASSETS", 5)
    for number in range(6):
        hosted.registry.push("app", f"{number}", make_image())
        with acting_by("cleanup"):
            hosted.repository.capabilities.delete_component(_tag("app", f"{number}"))
    steps = list(hosted.collector.steps(hosted.options(is_dry=True)))
    assert max(len(each.items) for each in steps) <= 4
    result = hosted.collect()
    assert result.counts == {"manifest": 6, "blob": 18}
    assert result.promised == result.freed


def test_tags_that_left_before_the_migration_count(hosted):
    moved, deleted, tagged = make_image(), make_image(), make_image()
    hosted.registry.push("app", "1", moved)
    hosted.registry.push("app", "1", tagged)
    hosted.registry.push("app", "2", deleted)
    hosted.registry.delete("app/manifests/2")
    rows = AssetRecord.select().where(AssetRecord.repository == hosted.collector.repository_id)
    times = {each.path: (each.released_at, each.released_by) for each in rows}
    AssetRecord.update(released_at=None, released_by=None).execute()
    migration = import_module("repoman.db.migrations.0056_released_assets")
    position = 0
    while position is not None:
        position = migration.fill_releases(database_proxy, position)
    assert {each.path: (each.released_at, each.released_by) for each in rows.clone()} == times
    assert sum(at is not None for at, _ in times.values()) == 2


def _assets(hosted, *kinds):
    """What is left, of some kinds or of all."""
    rows = AssetRecord.select().where(AssetRecord.repository == hosted.collector.repository_id)
    return [each for each in rows if not kinds or each.kind in kinds]


def _tag(name, tag):
    return Coordinate("tag", name, tag)
