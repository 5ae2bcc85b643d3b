"""The lines of the page "Use", copied from the browser and run as they are by the real clients."""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser

from tests.chromium import open_chromium
from tests.clock import LONG_S, WAIT_S, wait_until
from tests.e2e.clients import Docker, own_daemon, write_layout
from tests.functional.docker.driver import Registry
from tests.functional.docker.images import make_image
from tests.functional.docker.wires import Socket
from tests.live import LiveServer, live_server
from tests.page_checks import open_page, sign_in
from tests.programs import find_program

pytestmark = pytest.mark.xdist_group("docker")

NAME, TAG = "team/used", "1.0"
Lines = dict[str, str]


def read_lines(chromium: Browser, server: LiveServer) -> Lines:
    """Return what can be copied from the page, by the labels."""
    with open_page(chromium, server.main_url) as page:
        sign_in(page, *server.admin)
        page.goto("/browse/docker-hosted/use")
        page.get_by_label("Image").fill(NAME)
        page.get_by_label("Tag").fill(TAG)
        page.get_by_role("button", name="Fill in").click()
        page.wait_for_url(lambda url: "version=" in url)
        regions = page.locator("pre[role=region]").all()
        return {str(each.get_attribute("aria-label")): each.inner_text() for each in regions}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def lines(chromium, shared_server) -> Lines:
    """The lines for clients on this machine."""
    return read_lines(chromium, shared_server)


@pytest.fixture
def pushed(shared_server) -> str:
    """The image that the lines are about."""
    registry = Registry(Socket(shared_server.connector_port), "", shared_server.admin)
    registry.push(NAME, TAG, make_image())
    return f"{shared_server.registry}/{NAME}:{TAG}"


def run(text: str, given: str = "", **environment: str) -> str:
    """Run lines in a shell; what they ask for is given. Returns what they say."""
    done = subprocess.run(
        ["sh", "-ec", text],
        check=False,
        capture_output=True,
        text=True,
        input=given,
        timeout=LONG_S,
        env={**os.environ, **environment},
        cwd=environment.get("PWD"),
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def login(line: str, password: str, **environment: str) -> None:
    """Run the line of a login, whose password comes from a pipe and not from a terminal."""
    run(f"{line} --password-stdin", password, **environment)


def test_docker_logs_in_pushes_and_pulls(shared_server, lines, docker):
    image = f"{shared_server.registry}/{NAME}:{TAG}"
    password, environment = shared_server.password, docker.environment
    login(lines["Docker: Log in; the password is yours or a token"], password, **environment)
    docker.import_image("used")
    run(lines["Docker: Push"], **environment)
    docker.run("rmi", image)
    run(lines["Docker: Pull"], **environment)
    assert docker.has_image(image)
    docker.run("rmi", image)


def test_a_job_of_gitlab_builds_and_pushes(shared_server, lines, docker, tmp_path):
    [job] = yaml.safe_load(
        lines["GitLab CI: .gitlab-ci.yml; REGISTRY_TOKEN is a masked variable"]
    ).values()
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    variables = {
        "REGISTRY_TOKEN": shared_server.password,
        "CI_COMMIT_TAG": "built",
        "DOCKER_BUILDKIT": "0",
        "PWD": str(tmp_path),
    }
    for line in job["script"]:
        run(line, **{**docker.environment, **variables})
    registry = Registry(Socket(shared_server.connector_port), "", shared_server.admin)
    assert "built" in registry.tags(NAME)
    docker.run("rmi", f"{shared_server.registry}/{NAME}:built")


@pytest.fixture
def podman() -> Iterator[dict[str, str]]:
    """An environment in which podman and skopeo keep everything in a directory of their own."""
    directory = Path(tempfile.mkdtemp(prefix="use-"))
    programs = directory / "bin"
    programs.mkdir()
    storage = f"--root {directory}/root --runroot {directory}/run --storage-driver vfs"
    for name, options in (
        ("podman", f"{storage} --events-backend none"),
        ("skopeo", "--insecure-policy"),
    ):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {find_program(name)} {options} "$@"\n')
        program.chmod(0o755)
    yield {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "REGISTRY_AUTH_FILE": str(directory / "auth.json"),
        "PWD": str(directory),
    }
    shutil.rmtree(directory, ignore_errors=True)


def test_podman_and_skopeo_copy_and_search(shared_server, lines, pushed, podman):
    login(lines["Podman, skopeo: Log in"], shared_server.password, **podman)
    assert NAME in run(lines["Podman, skopeo: Search"], **podman)
    run(lines["Podman, skopeo: Copy without an engine"], **podman)
    assert (Path(podman["PWD"]) / "tag-copy" / "index.json").exists()


@pytest.fixture
def containerd() -> Iterator[dict[str, str]]:
    """An environment for ctr, with a daemon of its own."""
    directory = Path(tempfile.mkdtemp(prefix="ctr-"))
    address = directory / "socket"
    places = (
        "--address",
        str(address),
        "--root",
        f"{directory}/root",
        "--state",
        f"{directory}/run",
    )
    with (directory / "log").open("wb") as log:
        daemon = subprocess.Popen([find_program("containerd"), *places], stdout=log, stderr=log)
    wait_until(address.exists, what="the socket of containerd")
    yield {"CONTAINERD_ADDRESS": str(address), "CONTAINERD_SNAPSHOTTER": "native"}
    daemon.terminate()
    daemon.wait(WAIT_S)
    shutil.rmtree(directory, ignore_errors=True)


def test_containerd_pulls(shared_server, lines, pushed, containerd, tmp_path):
    host = shared_server.registry
    hosts = tmp_path / host / "hosts.toml"
    hosts.parent.mkdir()
    hosts.write_text(lines[f"containerd: /etc/containerd/certs.d/{host}/hosts.toml"])
    line = lines["containerd: Pull; it asks for the password"]
    line = line.replace("/etc/containerd/certs.d", str(tmp_path))
    line = line.replace("images pull", "content fetch")  # The image is no real one.
    line = line.replace("--user admin", f"--user admin:{shared_server.password}")
    run(line, **containerd)
    assert pushed in run("ctr images list --quiet", **containerd)


def test_kubernetes_gets_a_secret_and_a_pod(shared_server, lines):
    line = lines["Kubernetes: A secret with the token of a user"]
    made = run(f"{line} --dry-run=client --output json", TOKEN="secret")
    secret = json.loads(made[made.index("{") :])
    config = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    assert config["auths"][shared_server.registry]["username"] == "admin"
    pod = yaml.safe_load(lines["Kubernetes: In the pod"])
    assert pod["spec"]["imagePullSecrets"] == [{"name": secret["metadata"]["name"]}]
    assert pod["spec"]["containers"][0]["image"] == f"{shared_server.registry}/{NAME}:{TAG}"


@pytest.fixture
def elsewhere(tmp_path) -> Iterator[LiveServer]:
    """A server whose external address is not that of the loopback device."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))  # sends nothing
        host = probe.getsockname()[0]
    server = {"host": "0.0.0.0", "external_url": f"http://{host}"}
    with live_server(tmp_path / "server", settings={"server": server}) as server:
        yield server


def test_a_daemon_accepts_plain_http_with_the_settings_that_are_shown(
    elsewhere, chromium, skopeo, tmp_path
):
    server = elsewhere
    lines = read_lines(chromium, server)
    skopeo.login(server.registry, *server.admin)
    target = f"docker://{server.registry}/{NAME}:{TAG}"
    skopeo.copy(write_layout(tmp_path / "layout", b"over plain HTTP"), target)
    settings = tmp_path / "daemon.json"
    settings.write_text(
        lines["Docker daemon: /etc/docker/daemon.json, then: systemctl restart docker"]
    )
    config = tmp_path / "config"
    config.mkdir()
    with own_daemon("--config-file", str(settings)) as daemon:
        environment = Docker(daemon, config).environment
        line = lines["Docker: Log in; the password is yours or a token"]
        login(line, server.password, **environment)
        run(lines["Docker: Pull"], **environment)
