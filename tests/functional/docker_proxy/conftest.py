"""A proxy in process, the fake registry it asks, and a clock that tests move."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from repoman.testing import Clock, RepomanFactory
from repoman_docker import plugin
from tests.fakes.registry import FakeRegistry, fake_registry
from tests.fakes.scripted import Scripted
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import Image
from tests.functional.docker_proxy.proxies import Proxies
from tests.functional.docker_proxy.shapes import make_image


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def make_proxy(tmp_path_factory, clock) -> Iterator[Proxies]:
    factory = RepomanFactory(tmp_path_factory.mktemp("proxies"))
    yield Proxies(factory({"docker": plugin}, clock), clock)
    factory.stop()


@pytest.fixture
def image() -> Image:
    """An image of every shape that a registry may have; see shapes.serve."""
    return make_image()


@pytest.fixture
def upstream() -> Iterator[FakeRegistry]:
    """A registry that anybody may pull from."""
    with fake_registry() as registry:
        yield registry


@pytest.fixture
def make_upstream() -> Iterator[Callable[..., FakeRegistry]]:
    """Start registries with options of their own."""
    running = []

    def make(**options: Any) -> FakeRegistry:
        context = fake_registry(**options)
        registry = context.__enter__()
        running.append(context)
        return registry

    yield make
    for context in running:
        context.__exit__(None, None, None)


@pytest.fixture
def script() -> Iterator[Callable[..., Scripted]]:
    """Start servers that answer by a function."""
    running = []

    def start(*arguments: Any) -> Scripted:
        running.append(Scripted(*arguments))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def proxy(make_proxy, upstream) -> Registry:
    """A proxy of ``upstream`` with the usual ages."""
    return make_proxy(upstream.url)
