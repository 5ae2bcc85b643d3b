"""What a file that is stored asks of the database while others wait for the transaction."""

import io

import pytest

from repoman.blobs.upload import BlobUpload
from repoman_raw import plugin
from tests.functional.rights.stage import Stage
from tests.statements import executed_statements

URL = "/repository/files/a/b.txt"
RIGHTS = ('FROM "user"', 'FROM "role"', 'FROM "privilege"')


@pytest.fixture
def repoman(repoman_factory):
    """A Repoman with a repository of files."""
    repoman = repoman_factory({"raw": plugin})
    repoman.repositories.create("files", "raw-hosted", {})
    return repoman


def test_a_put_looks_for_its_asset_once_and_asks_for_no_rights_in_its_transaction(client):
    assert client.put("/repository/files/first", b"first").status_code == 201
    for data, status in ((b"one", 201), (b"two", 204), (b"two", 204)):
        with executed_statements() as statements:
            assert client.put(URL, data).status_code == status
        inside = statements[statements.index("BEGIN IMMEDIATE") :]
        assert inside[-1] == "COMMIT"
        assert len([each for each in inside if each.startswith("SELECT a.id, a.path")]) == 1
        assert not [each for each in inside if any(right in each for right in RIGHTS)]
    assert len(inside) == len(("BEGIN", "condemned", "asset", "COMMIT"))


@pytest.mark.parametrize("actions", [("browse", "read", "add"), ("browse", "read", "add", "edit")])
def test_a_form_needs_the_right_to_overwrite_what_came_while_it_was_stored(
    repoman, client, monkeypatch, actions
):
    stage = Stage(repoman)
    login = stage.make_user(stage.make_selected("files", 'path == "/a/b.txt"', actions))
    commit = BlobUpload.commit

    def commit_later(upload):
        monkeypatch.setattr(BlobUpload, "commit", commit)
        assert client.put(URL, b"faster").status_code == 201
        return commit(upload)

    monkeypatch.setattr(BlobUpload, "commit", commit_later)
    form = {"raw.directory": "/a", "raw.asset1": (io.BytesIO(b"slower"), "b.txt")}
    answer = client.request(
        "POST",
        "/service/rest/v1/components?repository=files",
        data={**form, "raw.asset1.filename": "b.txt"},
        content_type="multipart/form-data",
        auth=login,
    )
    is_stored = "edit" in actions
    assert (answer.status_code == 204) is is_stored, answer.text
    assert is_stored or "overwrite" in answer.text
    assert client.get(URL).data == (b"slower" if is_stored else b"faster")
