"""Fixtures that all tests may use; those of one kind of test are in its own directory."""

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.nodeid import NodeId
from flask import Flask

from repoman.http.rules import LateRule
from repoman.testing import http_client, repoman_factory
from tests import examples
from tests.compiled import CompiledOnce, compile_rules_once
from tests.live import LiveServer, live_server
from tests.warm import WarmProgram

__all__ = ["examples", "http_client", "repoman_factory"]

# Fixtures of these scopes are made once for all tests that share them.
SHARED_SCOPES = {"class", "module", "package"}
IN_MEMORY = Path("/dev/shm")
MEMORY_MIN_BYTES = 8 << 30  # What must be free there, for several processes with large blobs.


def pytest_configure() -> None:
    """Have servers, commands, routes and pages start quickly; the first one takes as ever."""
    LiveServer.warm = WarmProgram()
    Flask.jinja_environment = CompiledOnce
    compile_rules_once(LateRule)
    if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free >= MEMORY_MIN_BYTES:
        # A disk would be busy with the directories of thousands of blob stores.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


def pytest_unconfigure() -> None:
    """End the process that starts them."""
    if LiveServer.warm is not None:
        LiveServer.warm.end()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    """Have one process run the tests that share a fixture of their module, so that it is made once.

    Long work comes first, and tests that stand alone come last and fill the gaps.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None and _shares_fixture(item):
            # Not its location: tests of a suite are in other modules than the class that has them.
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    items.sort(key=_turn)
    if getattr(config.option, "loadgroup", False):
        for item in items:
            _tell_group(item)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking at all tests again and again, as a server does."""
    gc.collect()
    gc.freeze()


def _tell_group(item: pytest.Function) -> None:
    """Add the group to the id, by which pytest-xdist knows it.

    Its version 3.8 means to, but writes the id to an attribute that pytest 9 does not read.
    """
    if (group := item.get_closest_marker("xdist_group")) is not None:
        item._id = NodeId.parse(f"{item.nodeid}@{group.args[0]}")


def _shares_fixture(item: pytest.Function) -> bool:
    found = item._fixtureinfo.name2fixturedefs.values()
    return any(each.scope in SHARED_SCOPES for definitions in found for each in definitions)


def _turn(item: pytest.Function) -> int:
    group = item.get_closest_marker("xdist_group")
    if group is None:
        return 2
    return 1 if "/" in group.args[0] else 0


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
