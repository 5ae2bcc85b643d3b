"""A hosted repository named ``files``, and its clients."""

import sqlite3
from contextlib import closing

import pytest

from repoman.testing import both_http_clients, repoman_factory
from repoman_raw import plugin

__all__ = ["both_http_clients", "repoman_factory"]


@pytest.fixture
def repoman(repoman_factory):
    """A Repoman with only this format and an empty repository."""
    repoman = repoman_factory({"raw": plugin})
    repoman.repositories.create("files", "raw-hosted", {})
    return repoman


@pytest.fixture
def stored_paths(repoman):
    """The paths of all files in the database."""

    def read() -> list[str]:
        with closing(sqlite3.connect(repoman.data / "repoman.db")) as database:
            return [path for (path,) in database.execute("select path from asset")]

    return read
