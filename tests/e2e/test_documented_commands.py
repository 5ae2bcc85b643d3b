"""The shell commands of the README and of the quick start do what they say."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clock import LONG_S
from tests.live import free_port
from tests.programs import find_program

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = ["README.md", "docs/quickstart.md"]
# What installs, starts and ends a server: the fixture does that.
ABOUT_THE_SERVER = re.compile(r"^(make|\.venv/bin/(pip|repoman serve))\b")

REPORT = """trap 'echo "FAILED: $BASH_COMMAND"' ERR"""
# A person needs the seconds that a new connector may take to type the next command.
PATIENCE = (
    """docker() { for _ in {1..60}; do command docker "$@" && return; sleep 0.5; done; false; }"""
)


def commands_of(page: str) -> list[str]:
    """The commands of a page's shell blocks, without those about the server itself."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = "".join(BLOCK.findall(text)).replace("\\\n", "")
    lines = [line.strip() for line in blocks.splitlines()]
    return [line for line in lines if line and not ABOUT_THE_SERVER.match(line)]


def run_commands(commands: list[str], directory: Path, environment: dict[str, str]) -> str:
    script = "\n".join(
        ["set -euo pipefail", "trap 'echo \"FAILED: $BASH_COMMAND\"' ERR", *commands]
    )
    done = subprocess.run(
        ["bash"],
        input=script,
        check=False,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        cwd=directory,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def checkout(server, tmp_path):
    """A directory that looks like a checkout in which ``make run`` runs."""
    directory = tmp_path / "checkout"
    directory.mkdir()
    (directory / "data").symlink_to(server.data)
    (directory / "conf").symlink_to(ROOT / "conf")
    shutil.copy(ROOT / "README.md", directory)
    (directory / ".venv/bin").mkdir(parents=True)
    (directory / ".venv/bin/repoman").symlink_to(server.program)
    return directory


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of(page, server, checkout, docker_host, tmp_path):
    for program in ("docker", "skopeo", "curl"):
        find_program(program)
    ports = {"5001": server.connector_port, "8081": server.main_port}
    ports |= {"5002": free_port(), "5003": free_port()}
    commands = [
        re.sub("|".join(ports), lambda port: str(ports[port[0]]), command)
        for command in commands_of(page)
    ]
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    environment |= {"DOCKER_HOST": docker_host} if docker_host else {}
    output = run_commands(commands, checkout, environment)
    assert "Login Succeeded" in output
    assert json.dumps({"name": "team/app", "tags": ["1"]}, separators=(",", ":")) in re.sub(
        r"\s", "", output
    )


def test_the_commands_of_the_format_raw(server, checkout):
    find_program("curl")
    ports = {"8081": server.main_port, "5010": free_port()}
    commands = [
        re.sub("|".join(ports), lambda port: str(ports[port[0]]), command)
        for command in commands_of("formats/raw/README.md")
    ]
    # The server sees a moment later what the command line did beside it.
    patience = "--silent --show-error --fail --retry 60 --retry-delay 1 --retry-all-errors"
    curl = f"""curl() {{ command curl {patience} "$@"; }}"""
    output = run_commands([curl, *commands], checkout, dict(os.environ))
    text = (checkout / "README.md").read_text(encoding="utf-8")
    assert text + text[:100] in output
    assert f"Content-Length: {len(text.encode())}" in output


def test_the_commands_of_the_page_about_docker(server, checkout):
    find_program("curl")
    ports = {"5001": server.connector_port, "8081": server.main_port}
    commands = [
        re.sub("|".join(ports), lambda port: str(ports[port[0]]), command)
        for command in commands_of("docs/docker.md")
    ]
    output = run_commands(
        ["""curl() { command curl --silent --show-error --fail "$@"; }""", *commands],
        checkout,
        dict(os.environ),
    )
    assert '{"name": "team/notes", "tags": ["1"]}' in output
    assert (checkout / "manifest.json").read_text() in output
    assert (checkout / "README.md").read_text()[:100] in output
    assert "Docker-Content-Digest: sha256:" in output


def test_the_readme_shows_each_command_of_the_first_minutes():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    wanted = [
        "make run",
        "docker login 127.0.0.1:5001",
        "docker push 127.0.0.1:5001/team/app:1",
        "docker rmi 127.0.0.1:5001/team/app:1",
        "docker pull 127.0.0.1:5001/team/app:1",
        "skopeo copy",
        "skopeo inspect",
        "127.0.0.1:5001/v2/team/app/tags/list",
    ]
    assert [command for command in wanted if command not in text] == []
