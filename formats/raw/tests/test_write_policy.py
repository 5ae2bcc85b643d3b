"""What the deployment policy refuses, and when."""

import pytest

from repoman.plugin import BlobUpload, File, NewFile, ReadOnly

URL = "/repository/files"


@pytest.fixture
def set_policy(repoman):
    """Change the policy of the repository, as an administrator does."""
    return lambda policy: repoman.repositories.update(
        "files", {"storage": {"write_policy": policy}}
    )


@pytest.fixture
def service(repoman):
    """The service behind the routes, as it is now."""
    return lambda: repoman.repositories.get("files").service


def test_allow_once_keeps_what_is_there(client, set_policy):
    set_policy("allow_once")
    assert client.put(f"{URL}/a", b"one").status_code == 201
    refused = client.put(f"{URL}/a", b"two")
    assert refused.status_code == 403
    assert "'a' exists" in refused.text
    assert "allow_once" in refused.text
    assert client.get(f"{URL}/a").data == b"one"


def test_allow_once_keeps_the_content_type(client, set_policy):
    set_policy("allow_once")
    client.put(f"{URL}/a", b"one", content_type="text/plain")
    assert client.put(f"{URL}/a", b"one", content_type="text/html").status_code == 403
    assert client.get(f"{URL}/a").content_type.startswith("text/plain")


def test_allow_once_lets_a_file_be_deleted_and_stored_anew(client, set_policy):
    set_policy("allow_once")
    client.put(f"{URL}/a", b"one")
    assert client.delete(f"{URL}/a").status_code == 204
    assert client.put(f"{URL}/a", b"two").status_code == 201


def anybody(_file, _is_free):
    """Let everybody store everything."""


def test_allow_once_holds_for_the_slower_of_two_clients(service, set_policy, client):
    set_policy("allow_once")
    raw, file = service(), File("a")
    new = NewFile(file, "text/plain")
    with raw.open_upload(file) as slow, raw.open_upload(file) as fast:
        slow.write(b"slow")
        fast.write(b"fast")
        assert raw.save((new, fast), check=anybody)
        with pytest.raises(ReadOnly):
            raw.save((new, slow), check=anybody)
    assert client.get(f"{URL}/a").data == b"fast"


def test_deny_makes_the_repository_read_only(client, set_policy):
    client.put(f"{URL}/a", b"one")
    set_policy("deny")
    for refused in (client.put(f"{URL}/b", b"two"), client.delete(f"{URL}/a")):
        assert refused.status_code == 403
        assert "read-only" in refused.text
    assert client.get(f"{URL}/a").data == b"one"
    assert client.get(f"{URL}/b").status_code == 404


def test_a_refused_body_is_not_taken(client, set_policy, monkeypatch):
    set_policy("deny")
    monkeypatch.setattr(BlobUpload, "write", lambda *_: pytest.fail("the body was read"))
    assert client.put(f"{URL}/a", b"one").status_code == 403
