"""The tasks of the Docker format."""

import time

import pytest

from repoman.db.models import UploadRecord
from repoman.testing import HttpClient

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
