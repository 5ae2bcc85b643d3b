"""The registry in two ways, which nearly every test here goes: in process, and over a socket."""

import secrets
from collections.abc import Iterator

import pytest

from repoman.testing import RepomanFactory
from repoman_docker import plugin
from tests.functional.docker.driver import Registry
from tests.functional.docker.sites import InProcessSite, LiveSite, Site
from tests.functional.rights.stage import Stage
from tests.live import LiveServer


@pytest.fixture(scope="module")
def in_process(tmp_path_factory) -> Iterator[InProcessSite]:
    """The application in this process, with no format but docker."""
    factory = RepomanFactory(tmp_path_factory.mktemp("in-process"))
    yield InProcessSite(factory({"docker": plugin}, server={"trusted_proxies": ["127.0.0.1"]}))
    factory.stop()


@pytest.fixture(scope="session")
def live(shared_server: LiveServer) -> LiveSite:
    """The server that the tests share."""
    return LiveSite(shared_server)


@pytest.fixture(params=["in_process", "live"])
def site(request) -> Site:
    """A server; each test that asks for it runs in both ways."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def registry(site: Site) -> Registry:
    """A repository on a connector, in both ways; its image names are shared with other tests."""
    return site.registry


@pytest.fixture
def name() -> str:
    """An image name that nobody else uses."""
    return f"team/app-{secrets.token_hex(4)}"


@pytest.fixture
def other_name() -> str:
    """A second one."""
    return f"other-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    """A Repoman in process, with users and repositories as tests ask for them."""
    factory = RepomanFactory(tmp_path_factory.mktemp("stage"))
    yield Stage(factory({"docker": plugin}, security={"login_failures": 0}))
    factory.stop()
