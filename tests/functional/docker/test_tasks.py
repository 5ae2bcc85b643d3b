"""The tasks of the Docker format."""

import time

import pytest

from repoman.db.models import AssetRecord, UploadRecord
from repoman.errors import NotFound, Unavailable
from repoman.printable import render_size
from repoman.testing import HttpClient
from repoman.uploads import UploadSessions
from tests.functional.docker.images import digest_of, make_image

TYPE = "repository.docker.upload-purge"


@pytest.fixture
def repoman(in_process):
    repoman = in_process.repoman
    repoman.repositories.create("idle", "docker-hosted", {})
    yield repoman
    repoman.repositories.delete("idle")


@pytest.fixture
def begin(repoman):
    """Begin an upload; return its address."""
    client = HttpClient(repoman, connector="idle")
    return lambda: client.request("POST", "/v2/app/blobs/uploads/").headers["Location"]


def test_incomplete_uploads_are_deleted_by_their_last_activity(repoman, begin):
    [task] = [each for each in repoman.tasks.all() if each.type == TYPE]
    assert (task.name, str(task.schedule)) == ("Docker - Delete incomplete uploads", "hourly 10")
    assert repoman.tasks.settings_of(task) == {"age": 24}
    old, young = begin(), begin()
    UploadRecord.update(started_at=time.time() - 25 * 3600).where(
        UploadRecord.id == old.partition("?")[0].rpartition("/")[2]
    ).execute()
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "ok"
    assert repoman.tasks.get_run(run.id).result == "Deleted 1 incomplete upload."
    assert [line.text for line in repoman.tasks.lines(run)] == ["idle: 1"]
    client = HttpClient(repoman, connector="idle")
    assert client.get(old).status_code == 404
    assert client.get(young).status_code == 204


def test_the_age_is_a_setting(repoman, begin):
    begin()
    task = repoman.tasks.create(TYPE, "soon", {"age": 1})
    UploadRecord.update(started_at=time.time() - 2 * 3600).execute()
    run = repoman.tasks.run(task)
    repoman.make_runner().execute(run)
    assert "Deleted 1" in repoman.tasks.get_run(run.id).result
    repoman.tasks.delete(task)


@pytest.mark.parametrize("error", [Unavailable, NotFound])
def test_a_repository_that_fails_keeps_no_other_waiting(repoman, begin, monkeypatch, error):
    broken = repoman.repositories.create("broken", "docker-hosted", {}).config.id
    begin()
    UploadRecord.update(started_at=0).execute()
    end_idle = UploadSessions.end_idle

    def fail(self, *args):
        if self._repository == broken:
            raise error("The disk is gone.")
        return end_idle(self, *args)

    monkeypatch.setattr(UploadSessions, "end_idle", fail)
    [task] = [each for each in repoman.tasks.all() if each.type == TYPE]
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "failed"
    assert repoman.tasks.get_run(run.id).result == (
        "Deleted 1 incomplete upload. Not all in broken: the log of this run says why."
    )
    told = [line.text for line in repoman.tasks.lines(run)]
    assert told == ["broken: The disk is gone.", "idle: 1"]
    repoman.repositories.delete("broken")


GC = "repository.docker.gc"


def run_gc(repoman, **settings):
    """Run a task that deletes unused blobs, and return its result."""
    task = repoman.tasks.create(GC, "gc", settings)
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "ok"
    result = repoman.tasks.get_run(run.id).result
    repoman.tasks.delete(task)
    return result


def make_old(hours):
    """Have all content been stored so many hours ago."""
    AssetRecord.update(updated_at=time.time() - hours * 3600).execute()


def test_blobs_that_no_manifest_needs_are_deleted_when_they_are_old(in_process):
    repoman = in_process.repoman
    registry = in_process.create({"docker.undo_days": 0})
    kept, deleted, young = make_image(), make_image(), make_image()
    registry.push("kept", "1", kept)
    registry.push("gone", "1", deleted)
    registry.push("also", "1", kept)
    for name, image in (("gone", deleted), ("also", kept)):
        assert registry.delete(f"{name}/manifests/{image.digest}").status == 202
    make_old(25)
    assert run_gc(repoman, age=26) == ""
    registry.push_blobs("young", young)
    size = sum(map(len, deleted.blobs))
    assert run_gc(repoman, repository=registry.repository) == (
        f"Deleted {len(deleted.blobs) + len(kept.blobs)} blobs; freed {render_size(size)}."
    )
    for image, name, is_there in (
        (kept, "kept", True), (deleted, "gone", False), (kept, "also", False),
        (young, "young", True),
    ):  # fmt: skip
        for blob in image.blobs:
            assert registry.has_blob(name, digest_of(blob)) is is_there
    assert registry.pull("kept", "1") == kept.manifest
    registry.push_manifest("young", "1", young.manifest)
    make_old(25)
    assert run_gc(repoman) == ""


def test_the_collection_is_on_from_the_beginning(in_process):
    repoman = in_process.repoman
    [task] = [each for each in repoman.tasks.all() if each.type == GC]
    assert task.name == "Docker - Delete unused manifests and images"
    assert (str(task.schedule), task.is_enabled) == ("hourly 25", True)
    assert repoman.tasks.settings_of(task) == {"repository": "*", "age": 24, "minutes": 20}


def test_a_collection_of_a_repository_that_is_not_there_fails(in_process):
    repoman = in_process.repoman
    task = repoman.tasks.create(GC, "gc", {"repository": "nowhere"})
    run = repoman.tasks.run(task)
    assert repoman.make_runner().execute(run) == "failed"
    assert "no hosted Docker repository nowhere" in repoman.tasks.get_run(run.id).result
    repoman.tasks.delete(task)
