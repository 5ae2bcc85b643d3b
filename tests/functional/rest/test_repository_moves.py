"""Moves of repositories to another blob store over REST, and who may begin them."""

import json

import pytest

from repoman_raw import plugin as raw
from tests.functional.rest.rights import ANN, let_ann, make_ann

PATH = "/api/v1/repositories/files/move"


@pytest.fixture
def repoman(repoman_factory):
    repoman = repoman_factory({"raw": raw})
    make_ann(repoman)
    repoman.repositories.create("files", "raw-hosted", {})
    repoman.stores.create("other", "other")
    return repoman


@pytest.fixture
def begin(client):
    def begin(store, **options):
        body = {"data": json.dumps({"blobStore": store}), "content_type": "application/json"}
        return client.request("POST", PATH, **body, **options)

    return begin


def test_a_move_is_begun_and_watched(repoman, client, begin):
    client.put("/repository/files/one", data="one")
    assert client.get(PATH).status_code == 404
    answer = begin("other")
    assert answer.status_code == 202
    assert (answer.json["blobStore"], answer.json["endedAt"]) == ("other", None)
    assert client.request("POST", f"{PATH}/pause").json["isPaused"] is True
    assert client.request("POST", f"{PATH}/resume").json["isPaused"] is False
    [task] = [each for each in repoman.tasks.all() if each.type == "repository.move"]
    assert repoman.make_runner().execute(repoman.tasks.run(task)) == "ok"
    shown = client.get(PATH).json
    assert shown["endedAt"]
    assert (shown["assets"], shown["blobs"], shown["size"], shown["problem"]) == (1, 1, 3, "")
    assert client.get("/repository/files/one").data == b"one"
    assert client.request("POST", f"{PATH}/pause").status_code == 409
    assert begin("other").status_code == 409


def test_an_unknown_store_is_told_of(begin):
    answer = begin("none")
    assert answer.status_code == 400
    assert "there is no blob store 'none'" in answer.text


def test_it_takes_the_right_to_edit_the_settings(repoman, client, begin):
    assert begin("other", auth=ANN).status_code == 404
    let_ann(repoman, "nexus:repository-admin:raw:files:read")
    assert begin("other", auth=ANN).status_code == 403
    assert client.get(PATH, auth=ANN).status_code == 404  # It never moved.


def test_who_may_edit_the_settings_may_begin_it(repoman, begin):
    let_ann(repoman, "nexus:repository-admin:raw:files:edit")
    assert begin("other", auth=ANN).status_code == 202


def test_a_group_has_nothing_to_move_and_names_another_store_at_once(repoman, client):
    repoman.repositories.create("all", "raw-group", {"group": {"members": ["files"]}})
    body = {"data": '{"blobStore": "other"}', "content_type": "application/json"}
    answer = client.request("POST", "/api/v1/repositories/all/move", **body)
    assert answer.status_code == 405
    assert answer.json["detail"] == "all is a group and stores nothing: move its members."
    assert repoman.moves.find("all") is None
    changed = repoman.repositories.update("all", {"storage": {"blob_store": "other"}})
    assert changed.blob_store == "other"
    assert repoman.stores.users() == {"default": ["files"], "other": ["all"]}
