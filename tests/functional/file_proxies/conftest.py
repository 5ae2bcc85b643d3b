"""A proxy of a remote that a test writes, a hosted repository, and a group of both.

A module has the fixtures ``remote``, what the server answers, and ``plugins``, with one format.
A test says ``server.answer = …`` where the remote is to answer otherwise.
"""

import pytest

from repoman.testing import Clock
from tests.fakes.scripted import scripted

HTTP = {"timeout": 5, "retries": 0, "auto_block": False}


@pytest.fixture
def server(remote):
    with scripted(remote) as server:
        yield server


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def repoman(repoman_factory, plugins, clock, server):
    """Has the repositories mirror, own, and all."""
    repoman, [format_] = repoman_factory(plugins, clock), plugins
    create = repoman.repositories.create
    create("mirror", f"{format_}-proxy", {"proxy": {"remote_url": server.url}, "http_client": HTTP})
    create("own", f"{format_}-hosted", {})
    group = {"members": ["own", "mirror"], "writable_member": "own"}
    create("all", f"{format_}-group", {"group": group})
    return repoman
