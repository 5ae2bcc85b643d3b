"""What the doctor checks of Docker: the pull limit of Docker Hub."""

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from repoman.plugin import DoctorCheck, Finding, Fix, HttpClientSection, Repository, good, warn
from repoman_docker.protocol.registries import is_hub
from repoman_docker.sections import DockerRemoteSection

LOW_SHARE = 0.1  # Of the pulls in a window; when fewer remain, that is a finding.


def hub_check() -> DoctorCheck:
    """Return the check whether enough pulls from Docker Hub remain."""

    def run(repositories: list[Repository]) -> Iterator[Finding]:
        for each in repositories:
            if each.capabilities.remote is not None and _is_of_hub(each):
                yield from _judged(each, each.capabilities.remote.state.budget)

    return DoctorCheck("docker-hub", "Docker Hub", run)


def _is_of_hub(repository: Repository) -> bool:
    section = repository.config.sections.get("proxy")
    return isinstance(section, DockerRemoteSection) and is_hub(urlsplit(section.remote).netloc)


def _judged(repository: Repository, budget: object) -> Iterator[Finding]:
    name, login = repository.name, repository.config.section("http_client", HttpClientSection)
    who = f"as {login.username}" if login.username else "without a login"
    if not isinstance(budget, dict):
        yield good(f"{name}: {who}; the limit of pulls is not known before the first pull")
        return
    limit, left, window = budget["limit"], budget["remaining"], budget["window"]
    is_over = window and time.time() - budget["seen_at"] > window
    told = f"{left} of {limit} pulls left, {who}"
    if is_over or left > limit * LOW_SHARE:
        yield good(f"{name}: {told}")
        return
    hours = f" within {window / 3600:.0f} hours" if window else ""
    fixes = [Fix("Wait: pulls become free again with time. What is cached is served meanwhile.")]
    if not login.username:
        text = "Log in, which allows more pulls (the command reads the access token):"
        command = f"repoman repo set {name} --set http_client.username=NAME --stdin"
        fixes.insert(0, Fix(text, f"{command} http_client.password"))
    yield warn(
        f"Few pulls from Docker Hub are left for {name}",
        f"{told}{hours}. When none is left, images that are not stored here fail with 429.",
        *fixes,
        repository=name,
    )
