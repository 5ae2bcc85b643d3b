"""A server with Docker repositories, and users who may do a part."""

from collections.abc import Iterator

import pytest

from repoman.testing import RepomanFactory
from repoman_docker import plugin
from tests.functional.rights.stage import Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    """The repositories hosted, proxy and group, with content; nobody but ``admin`` has rights."""
    factory = RepomanFactory(tmp_path_factory.mktemp("rights"))
    yield Stage(factory({"docker": plugin}, security={"login_failures": 0}))
    factory.stop()
