"""Fixtures that all tests may use; those of one kind of test are in its own directory."""

from collections.abc import Iterator

import pytest

from repoman.testing import repoman_factory
from tests import examples
from tests.live import LiveServer, live_server

__all__ = ["examples", "repoman_factory"]


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory) -> Iterator[LiveServer]:
    """One running server for all tests that neither stop it nor mind each other's repositories."""
    with live_server(tmp_path_factory.mktemp("shared-server")) as server:
        yield server


@pytest.fixture
def server(tmp_path) -> Iterator[LiveServer]:
    """A running server with data of its own."""
    with live_server(tmp_path / "server") as server:
        yield server
