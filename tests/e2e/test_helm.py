"""Helm itself: repositories, searches, pulls with provenance, dependencies, as lines of commands.

The program is built from its Go module where that can be had.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.clock import WAIT_S
from tests.live import wait_until

pytestmark = [pytest.mark.xdist_group("helm"), pytest.mark.timeout(1200)]

MODULE = "helm.sh/helm/v3/cmd/helm@v3.22.0"
BUILT = Path(sys.prefix) / "bin" / "helm"
BUILD_TIMEOUT_S = 1100


@pytest.fixture(scope="session")
def program():
    """The program, built once."""
    if not BUILT.exists():
        go = shutil.which("go")
        if go is None:
            pytest.skip("helm is built by Go, which is missing")
        environment = {**os.environ, "GOBIN": str(BUILT.parent), "CGO_ENABLED": "0"}
        command = [go, "install", "-ldflags", "-s -w", MODULE]
        build = partial(subprocess.run, env=environment, timeout=BUILD_TIMEOUT_S, check=False)
        if build(command).returncode:
            pytest.skip(f"helm cannot be built here:  GOBIN={BUILT.parent} go install {MODULE}")
    return BUILT


class Helm:
    """The helm command with a home of its own."""

    def __init__(self, program, directory, server):
        self.program = program
        self.directory = directory
        self.server = server

    def url(self, repository):
        return f"{self.server.main_url}/repository/{repository}/"

    def run(self, *words, fails=False):
        """Run helm and return its output."""
        homes = {f"HELM_{each}_HOME": str(self.directory) for each in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            [self.program, *words],
            cwd=self.directory,
            env={**os.environ, **homes},
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert bool(done.returncode) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def package(self, name, version):
        """Make a chart, and return the path of its archive."""
        if not (self.directory / name).exists():
            self.run("create", name)
        self.run("package", name, "--version", version)
        return self.directory / f"{name}-{version}.tgz"

    def push(self, archive, repository):
        """Upload an archive as the push plugin of ChartMuseum does."""
        with archive.open("rb") as file:
            return requests.post(
                f"{self.url(repository)}api/charts",
                files={"chart": (archive.name, file, "application/gzip")},
                auth=self.server.admin,
                timeout=WAIT_S,
            )

    def add(self, repository):
        """Add a repository under its name."""
        user, password = self.server.admin
        login = ("--username", user, "--password", password)
        self.run("repo", "add", repository, self.url(repository), *login, "--force-update")

    def versions(self, chart):
        """Return the versions of a chart that a search finds, the newest first."""
        self.run("repo", "update")
        found = json.loads(self.run("search", "repo", chart, "--versions", "--output", "json"))
        return [each["version"] for each in found]


@pytest.fixture(scope="module")
def repositories(shared_server):
    """A hosted repository, a proxy of it, and a group with a second hosted one in front."""
    create = partial(shared_server.cli, "repo", "create")
    for each in ("charts", "own-charts"):
        create("helm-hosted", each)
    user, password = shared_server.admin
    settings = (
        f"proxy.remote_url={shared_server.main_url}/repository/charts/",
        f"http_client.username={user}",
        f"http_client.password={password}",
        "proxy.metadata_max_age=0",
    )
    create("helm-proxy", "chart-copies", *(word for each in settings for word in ("--set", each)))
    members = 'group.members=["own-charts", "chart-copies"]'
    create("helm-group", "helm", "--set", members, "--set", "group.writable_member=own-charts")


@pytest.fixture
def helm(program, tmp_path, shared_server, repositories):
    return Helm(program, tmp_path, shared_server)


@pytest.fixture
def name():
    """A name of a chart that nobody else uses."""
    return f"chart-{secrets.token_hex(4)}"


@pytest.mark.parametrize("source", ["charts", "chart-copies", "helm"])
def test_a_chart_is_found_pulled_and_rendered(helm, name, source):
    for version in ("0.9.0", "0.10.0", "0.11.0-rc.1"):
        assert helm.push(helm.package(name, version), "charts").status_code == 201
    helm.add(source)
    wait_until(
        lambda: helm.versions(f"{source}/{name}") == ["0.10.0", "0.9.0"], what="both versions"
    )
    (helm.directory / "pulled").mkdir()
    helm.run("pull", f"{source}/{name}", "--destination", "pulled")
    pulled = helm.directory / "pulled" / f"{name}-0.10.0.tgz"
    assert pulled.read_bytes() == (helm.directory / pulled.name).read_bytes()
    assert "kind: Deployment" in helm.run("template", f"{source}/{name}", "--devel")


def test_a_chart_of_our_own_hides_that_of_the_remote(helm, name):
    assert helm.push(helm.package(name, "9.0.0"), "charts").status_code == 201
    assert helm.push(helm.package(name, "1.0.0"), "helm").status_code == 201
    helm.add("helm")
    assert helm.versions(f"helm/{name}") == ["1.0.0"]
    url = f"{helm.url('helm')}{name}-9.0.0.tgz"
    assert requests.get(url, auth=helm.server.admin, timeout=WAIT_S).status_code == 404


def test_a_dependency_is_fetched(helm, name):
    assert helm.push(helm.package(name, "1.2.3"), "own-charts").status_code == 201
    helm.add("helm")
    helm.run("create", "parent")
    chart = helm.directory / "parent" / "Chart.yaml"
    wanted = {"name": name, "version": "^1.0.0", "repository": helm.url("helm")}
    chart.write_text(f"{chart.read_text()}\ndependencies: {json.dumps([wanted])}\n")
    helm.run("dependency", "update", "parent")
    assert (helm.directory / "parent" / "charts" / f"{name}-1.2.3.tgz").exists()


def test_what_is_refused_is_told(helm, name):
    archive = helm.package(name, "1.0.0")
    assert helm.push(archive, "charts").status_code == 201
    (helm.directory / name / "values.yaml").write_text("a: 1\n")
    again = helm.push(helm.package(name, "1.0.0"), "charts")
    assert (again.status_code, "exists" in again.json()["error"]) == (409, True)
    words = ("repo", "add", "wrong", helm.url("charts"), "--username", "admin")
    assert "401" in helm.run(*words, "--password", "wrong-password", fails=True)
