"""Blob stores over REST: how they are, what is damaged, and tasks on one of them."""

import os

import pytest

from repoman.blobs.upload import store_bytes
from repoman.compaction import Unwatched
from repoman_raw import plugin as raw
from tests.functional.rest.rights import ANN, let_ann, make_ann

ROOT = "/api/v1/blobstores"


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw})
    make_ann(repoman)
    repoman.repositories.create("files", "raw-hosted", {})
    return repoman


def damage(repoman, client, *names):
    """Store files of these names, damage them, and have that found."""
    for name in names:
        assert client.put(f"/repository/files/{name}", data=name).status_code == 201
    for file in (repoman.data / "blobs/default/sha256").glob("*/*"):
        file.write_bytes(b"X")
    repoman.verifier.run(["default"], bool, Unwatched())


def test_a_blob_store_tells_how_it_is(repoman, client):
    shown = client.get(f"{ROOT}/default").json
    assert shown.pop("free") > 0
    assert shown == {
        "name": "default",
        "type": "file",
        "path": "default",
        "problem": "",
        "blobs": 0,
        "size": 0,
        "reclaimable": 0,
        "temporary": 0,
        "damaged": 0,
        "verification": None,
    }
    damage(repoman, client, "one", "two")
    shown = client.get(f"{ROOT}/default").json
    assert (shown["blobs"], shown["size"], shown["damaged"]) == (2, 6, 2)
    assert shown["temporary"] == 2
    assert shown["verification"]["blobs"] == 2
    assert shown["verification"]["endedAt"]
    assert client.get(f"{ROOT}/other").status_code == 404


def test_damaged_blobs_are_listed_in_pages_until_they_are_pushed_again(repoman, client):
    damage(repoman, client, "one", "two", "three")
    page = client.get(f"{ROOT}/default/damaged-blobs?limit=2").json
    more = client.get(
        f"{ROOT}/default/damaged-blobs?limit=2&continuationToken={page['continuationToken']}"
    ).json
    found = [*page["items"], *more["items"]]
    assert more["continuationToken"] is None
    assert sorted(each["places"][0]["path"] for each in found) == ["one", "three", "two"]
    assert all(each["problem"].startswith("is damaged") for each in found)
    assert client.get("/repository/files/one").status_code == 404
    client.put("/repository/files/one", data="one")
    assert client.get("/repository/files/one").data == b"one"
    left = client.get(f"{ROOT}/default/damaged-blobs").json["items"]
    assert sorted(each["places"][0]["path"] for each in left) == ["three", "two"]
    assert client.get(f"{ROOT}/default/damaged-blobs?continuationToken=x").status_code == 400


def test_paths_are_shown_only_to_who_may_browse_them(repoman, client):
    damage(repoman, client, "one")
    assert client.get(f"{ROOT}/default/damaged-blobs", auth=ANN).status_code == 403
    let_ann(repoman, "nexus:blobstores:read")
    [found] = client.get(f"{ROOT}/default/damaged-blobs", auth=ANN).json["items"]
    assert found["places"] == []
    for work in ("verify", "compact", "orphans"):
        assert client.request("POST", f"{ROOT}/default/{work}", auth=ANN).status_code == 403


def test_work_on_one_store_is_a_task_that_is_used_again(repoman, client):
    store_bytes(repoman.blob_stores.get("default"), b"left by a crash")
    runner = repoman.make_runner()
    ids = []
    for _ in range(2):
        answer = client.request("POST", f"{ROOT}/default/orphans?action=adopt")
        assert answer.status_code == 202
        ids.append(answer.json["id"])
        [run] = repoman.tasks.runs(repoman.tasks.get_by_uid(ids[-1]), 1)
        assert runner.execute(run) == "ok"
    assert ids[0] == ids[1]
    results = [each.result for each in repoman.tasks.runs(repoman.tasks.get_by_uid(ids[0]))]
    assert results == ["Adopted 0 unknown files (0 bytes).", "Adopted 1 unknown file (15 bytes)."]
    assert client.request("POST", f"{ROOT}/default/orphans").json["id"] != ids[0]
    assert client.request("POST", f"{ROOT}/default/orphans?action=burn").status_code == 400
    assert client.request("POST", f"{ROOT}/other/verify").status_code == 404
    for work in ("verify", "compact"):
        assert client.request("POST", f"{ROOT}/default/{work}").status_code == 202


def test_files_that_no_upload_continues_are_deleted_by_a_task(repoman, client):
    store = repoman.blob_stores.get("default")
    store.open_writer("lost").write(b"some bytes")
    made = repoman.tasks.create("blobstore.delete-temp-files", settings={"days": 1})
    runner = repoman.make_runner()
    assert runner.execute(repoman.tasks.run(made)) == "ok"
    assert store.temporary_bytes() == 10
    os.utime(repoman.data / "blobs/default/uploads/lost", (0, 0))
    assert runner.execute(repoman.tasks.run(made)) == "ok"
    assert store.temporary_bytes() == 0


def test_what_a_body_asks_for_is_not_taken_for_something_else(repoman, client):
    path = f"{ROOT}/default/orphans"
    for body in ('{"action": "adopt"}', "adopt", "[1", "{"):
        answer = client.request("POST", path, data=body, content_type="application/json")
        assert answer.status_code == 400
        assert answer.json["detail"] == (
            "This request takes no body. What it takes is in the address: ?action=…"
        )
    answer = client.request("POST", f"{ROOT}/default/verify", data="x")
    assert (answer.status_code, answer.json["detail"]) == (400, "This request takes no body.")
    assert not [each for each in repoman.tasks.all() if "Unknown files" in each.name]
    for body in ("", "{}", " {}\n"):
        answer = client.request("POST", path, data=body, content_type="application/json")
        assert answer.status_code == 202
        repoman.tasks.stop(repoman.tasks.get_by_uid(answer.json["id"]))
