"""A repository as clients of both versions see it: in process, and over a socket."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.functional.docker.conftest import in_process, live, name, other_name, site
from tests.functional.docker.driver import Registry
from tests.functional.docker.sites import Site
from tests.functional.docker_proxy.conftest import clock, make_proxy, upstream
from tests.functional.docker_v1.driver import Engine

__all__ = ["clock", "in_process", "live", "make_proxy", "name", "other_name", "site", "upstream"]

V1 = {"docker.v1_enabled": True}


@pytest.fixture(scope="module")
def repositories() -> dict[str, Registry]:
    """The repository of each site, made once."""
    return {}


@pytest.fixture
def registry(site: Site, repositories) -> Registry:
    """A hosted repository for clients of version 2."""
    key = type(site).__name__
    if key not in repositories:
        repositories[key] = site.create(V1)
    return repositories[key]


@pytest.fixture
def make(site: Site) -> Callable[..., Registry]:
    """Make a repository with settings of its own, by ``section.key``."""
    return lambda **settings: site.create(
        {**V1, **{key.replace("__", "."): value for key, value in settings.items()}}
    )


def engine_of(registry: Registry, **options: Any) -> Engine:
    """The same repository for an engine of version 1."""
    return Engine(registry.wire, registry.prefix, registry.login, **options)


@pytest.fixture(params=["token", "basic"])
def engine(request, registry) -> Engine:
    """The hosted repository for engines that use tokens, and for those that send passwords."""
    return engine_of(registry, basic=request.param == "basic")
