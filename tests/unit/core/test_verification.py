"""Every blob is what its digest says, or is told."""

from pathlib import Path

import pytest

from repoman import verification
from repoman.blobs.manager import BlobStoreManager
from repoman.blobs.upload import store_bytes
from repoman.config import BlobStoreSettings
from repoman.content import ContentStore, NewAsset
from repoman.errors import Invalid
from repoman.verification import Verified, verify
from tests.disk import make_created_store


@pytest.fixture
def stores(tmp_path) -> BlobStoreManager:
    settings = BlobStoreSettings.model_validate({"type": "file", "path": "blobs"})
    return BlobStoreManager({"default": settings}, {"file": make_created_store}, tmp_path)


@pytest.fixture
def content(database, stores, make_repository) -> ContentStore:
    """The content of a repository ``files``."""
    return ContentStore(database, make_repository("files"), "default", stores.get("default"))


@pytest.fixture
def save(content, stores, tmp_path):
    """Store bytes at a path; return their digest and the file that holds them."""

    def save(path, data):
        blob = store_bytes(stores.get("default"), data)
        content.save_asset(NewAsset(path, "file", blob, "text/plain"))
        return blob.digest, tmp_path / "blobs" / "sha256" / blob.digest[:2] / blob.digest

    return save


def damage(file):
    file.write_bytes(b"X" + file.read_bytes()[1:])


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


def put_directory(file):
    file.unlink()
    file.mkdir()


def test_what_is_whole_is_read_and_no_problem(stores, save, monkeypatch):
    monkeypatch.setattr(verification, "BATCH_BLOBS", 2)
    digests = sorted(save(f"/{number}", b"%d" % number)[0] for number in range(5))
    assert list(verify(stores, "default")) == [Verified(digest) for digest in digests]


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (damage, "is damaged: its content has the digest sha256:"),
        (cut, "is damaged: its content has the digest sha256:"),
        (Path.unlink, "is missing"),
        (put_directory, "is missing"),
    ],
)
def test_what_is_not_as_it_was_is_told_with_who_needs_it(stores, save, harm, problem):
    save("/good", b"good bytes")
    digest, file = save("/bad", b"some bytes")
    save("/also", b"some bytes")
    harm(file)
    [found] = [each for each in verify(stores, "default") if each.problem]
    assert found.digest == digest
    assert found.problem.startswith(problem)
    assert set(found.places) == {("files", "/bad"), ("files", "/also")}


def test_what_nothing_names_any_more_is_no_problem(stores, save, content):
    _, file = save("/gone", b"some bytes")
    content.delete_assets(["/gone"])
    file.unlink()
    assert [each.problem for each in verify(stores, "default")] == [""]


def test_an_unknown_store_is_invalid(stores):
    with pytest.raises(Invalid, match="no blob store 'other'"):
        next(verify(stores, "other"))
