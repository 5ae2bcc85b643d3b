"""Requests that are carried out only if the file is in the state that the client expects."""

import threading

import pytest

from repoman.plugin import File
from repoman_raw.plugin import Raw

URL = "/repository/files/a"
WAIT_S = 30
LONG_AGO = "Sat, 01 Jan 2000 00:00:00 GMT"
OTHER = '"other"'


@pytest.fixture
def tag(client):
    """The ETag of a file that is there."""
    client.put(URL, b"one")
    return client.get(URL).headers["ETag"]


@pytest.mark.parametrize("headers", [{"If-None-Match": "*"}, {"If-Match": OTHER}])
def test_a_put_that_expects_another_state_replaces_nothing(client, tag, headers):
    for data in (b"one", b"two"):
        refused = client.put(URL, data, headers=headers)
        assert (refused.status_code, next(iter(headers)) in refused.text) == (412, True)
    assert client.get(URL).data == b"one"


def test_a_put_that_expects_the_state_replaces_the_file(client, tag):
    assert client.put(URL, b"two", headers={"If-None-Match": OTHER}).status_code == 204
    assert client.put(URL, b"three", headers={"If-Match": tag}).status_code == 412
    assert client.put(URL, b"four", headers={"If-Match": "*"}).status_code == 204
    now = client.get(URL)
    assert now.data == b"four"
    both = f"{OTHER}, {now.headers['ETag']}"
    assert client.put(URL, b"five", headers={"If-Match": both}).status_code == 204


def test_what_is_not_there_matches_nothing(client):
    for condition in ("*", OTHER):
        assert client.put(URL, b"one", headers={"If-Match": condition}).status_code == 412
    assert client.get(URL, headers={"If-Match": "*"}).status_code == 404
    assert client.delete(URL, headers={"If-Match": "*"}).status_code == 404
    assert client.put(URL, b"one", headers={"If-None-Match": "*"}).status_code == 201


def test_a_delete_that_expects_another_state_removes_nothing(client, tag):
    for condition in (OTHER, f"W/{tag}"):
        assert client.delete(URL, headers={"If-Match": condition}).status_code == 412
    assert client.delete(URL, headers={"If-Unmodified-Since": LONG_AGO}).status_code == 412
    assert client.get(URL).data == b"one"
    assert client.delete(URL, headers={"If-Match": tag}).status_code == 204
    assert client.get(URL).status_code == 404


def test_a_read_of_another_state_gets_nothing(client, tag):
    for headers in ({"If-Match": OTHER}, {"If-Unmodified-Since": LONG_AGO}):
        for ask in (client.get, client.head):
            assert ask(URL, headers=headers).status_code == 412
    stored = client.get(URL).headers["Last-Modified"]
    for headers in (
        {"If-Match": tag},
        {"If-Match": tag, "If-Unmodified-Since": LONG_AGO},
        {"If-Unmodified-Since": stored},
        {"If-Unmodified-Since": "soon"},
    ):
        assert client.get(URL, headers=headers).data == b"one"
    assert client.get(URL, headers={"If-Match": tag, "If-None-Match": tag}).status_code == 304


def test_a_put_after_a_time_is_refused(client, tag):
    headers = {"If-Unmodified-Since": LONG_AGO}
    assert client.put(URL, b"two", headers=headers).status_code == 412
    headers = {"If-Unmodified-Since": client.get(URL).headers["Last-Modified"]}
    assert client.put(URL, b"two", headers=headers).status_code == 204


def test_of_two_who_store_a_new_file_at_once_one_wins(client, monkeypatch):
    both_sent = threading.Barrier(2, timeout=WAIT_S)
    inspect = Raw.inspect

    def inspect_together(self, file: File, upload):
        both_sent.wait()
        return inspect(self, file, upload)

    monkeypatch.setattr(Raw, "inspect", inspect_together)
    answers = {}

    def put(data):
        answers[data] = client.put(URL, data, headers={"If-None-Match": "*"}).status_code

    threads = [threading.Thread(target=put, args=(data,)) for data in (b"one", b"two")]
    for each in threads:
        each.start()
    for each in threads:
        each.join(WAIT_S)
    assert sorted(answers.values()) == [201, 412]
    assert answers[client.get(URL).data] == 201


def test_in_a_group_the_file_of_the_writable_member_counts(repoman, client, tag):
    group = {"group": {"members": ["files"], "writable_member": "files"}}
    repoman.repositories.create("all", "raw-group", group)
    url = "/repository/all/a"
    assert client.put(url, b"two", headers={"If-None-Match": "*"}).status_code == 412
    assert client.delete(url, headers={"If-Match": OTHER}).status_code == 412
    assert client.delete(url, headers={"If-Match": tag}).status_code == 204
