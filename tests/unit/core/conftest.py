"""The lower parts of the core, each on the ones below it."""

from collections.abc import Iterator

import pytest

from repoman.blob_records import save_identity
from repoman.blobs.file import FileBlobStore
from repoman.blobs.upload import store_bytes
from repoman.config import DatabaseSettings
from repoman.content import ContentStore
from repoman.db.database import Database
from repoman.repositories.repository_records import Row, insert_row
from repoman.testing.factory import make_database
from tests.disk import IDENTITY, file_store
from tests.toy import ToyPlugin


@pytest.fixture
def database(tmp_path) -> Iterator[Database]:
    """An empty database."""
    make_database(tmp_path)
    database = Database(tmp_path, DatabaseSettings())
    database.open()
    with database.transaction(touches=()):  # no topic has moved
        save_identity("default", IDENTITY)
    yield database
    database.close()


@pytest.fixture
def blobs(tmp_path) -> FileBlobStore:
    """An empty blob store."""
    return file_store(tmp_path / "blobs")


@pytest.fixture
def make_repository(database):
    """Store a repository of that name and return its id."""

    def make(name: str) -> int:
        return insert_row(Row(0, name, "raw", "hosted", True, {}))

    return make


@pytest.fixture
def make_content(database, blobs, make_repository):
    """The content of a new repository of that name."""

    def make(name: str) -> ContentStore:
        return ContentStore(database, make_repository(name), "default", blobs)

    return make


@pytest.fixture
def content(make_content) -> ContentStore:
    """The content of a new repository."""
    return make_content("files")


@pytest.fixture
def blob(blobs):
    """A blob that somebody has stored."""
    return store_bytes(blobs, b"some bytes")


@pytest.fixture
def toy() -> ToyPlugin:
    """A format that answers with what it sees."""
    return ToyPlugin()


@pytest.fixture
def repoman(repoman_factory, toy):
    """A Repoman with the toy format and a repository of it, ``Team``."""
    repoman = repoman_factory({"toy": toy})
    repoman.repositories.create("Team", "toy-hosted", {})
    return repoman
