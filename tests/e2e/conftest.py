"""The real clients as fixtures, each with logins of its own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Error, Page

from tests.e2e.clients import Docker, Skopeo, machine_has_daemon, own_daemon
from tests.live import LiveServer


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str | None]:
    """Where the docker daemon listens: the machine's own, or one that we start."""
    if machine_has_daemon():
        yield None
        return
    with own_daemon() as host:
        yield host


@pytest.fixture
def docker(docker_host, tmp_path) -> Iterator[Docker]:
    """The docker command, logged in nowhere; the images a test makes go when it ends."""
    config = tmp_path / "docker-config"
    config.mkdir()
    docker = Docker(docker_host, config)
    yield docker
    docker.forget_images()


@pytest.fixture
def skopeo(tmp_path) -> Skopeo:
    """The skopeo command, logged in nowhere."""
    directory = tmp_path / "skopeo"
    directory.mkdir()
    return Skopeo(directory)


@pytest.fixture
def logged_in(docker, shared_server) -> Docker:
    """The docker command, logged in to the shared server as admin."""
    docker.login(shared_server.registry, *shared_server.admin)
    return docker


@pytest.fixture
def skopeo_in(skopeo, shared_server) -> Skopeo:
    """The skopeo command, logged in to the shared server as admin."""
    skopeo.login(shared_server.registry, *shared_server.admin)
    return skopeo


@pytest.fixture
def registry(shared_server: LiveServer) -> str:
    """``host:port`` of a hosted repository that this module's tests share."""
    return shared_server.registry


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Report what the page said when a test of one fails."""
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if report.failed and report.when == "call" and isinstance(page, Page):
        try:
            said = page.inner_text("main", timeout=1000)
        except Error as error:  # The browser may be what failed.
            said = error.message
        report.sections.append((f"The page {page.url}", said))
    return report
