"""Every example of docs/automation.md, against a running server."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2.nativetypes
import pytest
import requests
import yaml

from tests.clock import LONG_S, WAIT_S
from tests.live import LiveServer, free_port

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/automation.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORTS = [str(port) for port in range(5011, 5018)]


def blocks(language: str) -> list[str]:
    """The blocks of the page in a language, in their order."""
    found = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    return [text for each, text in found if each == language]


def file_named(name: str) -> str:
    """The block that begins with a comment with the name of its file."""
    [found] = [text for text in blocks("yaml") if text.startswith(f"# {name}\n")]
    return found


class Site:
    """A server, a directory in which commands run, and their environment."""

    def __init__(self, server: LiveServer, directory: Path) -> None:
        directory.mkdir()
        (directory / "data").symlink_to(server.data)
        self.server = server
        self._directory = directory
        self._ports = {port: str(free_port()) for port in PORTS} | {"8081": str(server.main_port)}
        self.write("repoman.yaml", file_named("repoman.yaml"))
        self.environment = {
            **server.environment,
            "PATH": f"{server.program.parent}:{os.environ['PATH']}",
            "REPOMAN_DATA": str(server.data),
            "REPOMAN_CONFIG": str(server.config),
            "NEXUS_URL": server.main_url,
            "NEXUS_USERNAME": "admin",
            "NEXUS_PASSWORD": server.password,
            "MIRROR_PASSWORD": "secret-of-the-mirror",
            "ANA_PASSWORD": "first-password",
        }

    def moved(self, text: str) -> str:
        """The text with ports that are free here."""
        return re.sub(rf"\b({'|'.join(self._ports)})\b", lambda port: self._ports[port[0]], text)

    def write(self, name: str, text: str) -> Path:
        path = self._directory / name
        path.write_text(self.moved(text), encoding="utf-8")
        return path

    def read(self, name: str) -> str:
        return (self._directory / name).read_text(encoding="utf-8")

    def run(self, *command: str, given: str = "") -> str:
        """Run a command and return what it prints; it must succeed."""
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            input=given,
            timeout=LONG_S,
            env=self.environment,
            cwd=self._directory,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def shell(self, text: str) -> str:
        return self.run("bash", "-euo", "pipefail", given=self.moved(text))

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        url = f"{self.server.main_url}/service/rest/v1/{path}"
        return requests.request(method, url, auth=self.server.admin, json=body, timeout=WAIT_S)


@pytest.fixture
def site(server, tmp_path):
    return Site(server, tmp_path / "site")


def test_the_blocks_of_the_page_are_known():
    found = [language for language, _ in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
    assert set(found) == {"sh", "yaml", "python", "hcl", "toml"}
    assert len(blocks("yaml")) == 2


def test_the_shell_commands(site):
    shown = site.shell("".join(blocks("sh")))
    assert "create repository mirror" in shown
    assert "There are no differences." in shown
    assert '"name": "by-curl"' in shown
    assert '"privilege": "team-push"' in shown
    assert site.read("differences.txt") == "There are no differences.\n"
    [mirror] = [
        each
        for each in json.loads(site.run("repoman", "repo", "list", "--json"))
        if each["name"] == "mirror"
    ]
    assert mirror["settings"]["http_client"]["password"] == "**********"
    ana = ("ana", "first-password")
    answer = requests.get(f"{site.server.main_url}/api/v1/tokens", auth=ana, timeout=WAIT_S)
    assert answer.status_code == 200


def test_a_drift_is_put_right_by_the_script_for_git(site):
    site.run("repoman", "apply", "repoman.yaml")
    site.run("repoman", "role", "set", "team", "--without", "team-push")
    [script] = [text for text in blocks("sh") if "differences.txt" in text]
    shown = site.shell(script)
    assert "change role team" in shown
    site.run("repoman", "apply", "repoman.yaml", "--dry-run")


def test_the_python(site):
    [program] = blocks("python")
    path = site.write("automate.py", program)
    for _ in range(2):  # It creates the repository, and updates it.
        site.run(sys.executable, str(path))
    assert site.ask("GET", "repositories/docker/hosted/by-python").status_code == 200


def test_the_settings_for_clients_that_check_the_version(tmp_path):
    import tomllib

    [text] = blocks("toml")
    server = LiveServer(tmp_path / "server", settings=tomllib.loads(text))
    try:
        server.start()
        answer = requests.get(f"{server.main_url}/service/rest/v1/status", timeout=WAIT_S)
        assert answer.headers["Server"] == "Nexus/3.83.0-08 (OSS)"
    finally:
        server.end()


# Ansible -----------------------------------------------------------------------------------------


class Playbook:
    """Sends the requests of a playbook that has tasks with the module ``uri`` only."""

    URI = "ansible.builtin.uri"

    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        [self._play] = yaml.safe_load(text)
        self._jinja = jinja2.nativetypes.NativeEnvironment()
        self._jinja.globals["lookup"] = lambda kind, name: {"env": environment}[kind][name]
        self._values: dict[str, Any] = {}
        self._values |= {key: self._render(each) for key, each in self._play["vars"].items()}

    def _render(self, value: Any) -> Any:
        if isinstance(value, str) and "{{" in value:
            return self._jinja.from_string(value).render(self._values)
        if isinstance(value, Mapping):
            return {key: self._render(each) for key, each in value.items()}
        return value

    def run(self) -> list[str]:
        """Run the tasks, and return the names of those that were not skipped."""
        done = []
        for task in self._play["tasks"]:
            assert set(task) <= {"name", self.URI, "register", "when"}
            if "when" in task and not self._jinja.compile_expression(task["when"])(self._values):
                continue
            answer = self._send(
                {**self._play["module_defaults"][self.URI], **self._render(task[self.URI])}
            )
            self._values[task.get("register", "")] = {"status": answer.status_code}
            done.append(task["name"])
        return done

    def _send(self, options: Mapping[str, Any]) -> requests.Response:
        options = self._render(options)
        assert options["force_basic_auth"] is True
        assert options["body_format"] == "json"
        login = (str(options["url_username"]), str(options["url_password"]))
        method, url, body = options.get("method", "GET"), options["url"], options.get("body")
        answer = requests.request(method, url, auth=login, json=body, timeout=WAIT_S)
        expected = options.get("status_code", 200)
        known = expected if isinstance(expected, list) else [expected]
        assert answer.status_code in known, answer.text
        return answer


def test_the_playbook_creates_and_updates(site):
    text = site.moved(file_named("playbook.yml"))
    look = "Look for the repository"
    assert Playbook(text, site.environment).run() == [look, "Create the repository"]
    assert Playbook(text, site.environment).run() == [look, "Update the repository"]
    assert site.ask("GET", "repositories/docker/hosted/by-ansible").json()["online"] is True


# Terraform ---------------------------------------------------------------------------------------

# Where the provider sends a resource, and the status that it expects.
RESOURCES = {
    "nexus_repository_docker_hosted": ("repositories/docker/hosted", (200, 201)),
    "nexus_repository_docker_proxy": ("repositories/docker/proxy", (200, 201)),
    "nexus_security_content_selector": ("security/content-selectors", (201, 204)),
    "nexus_security_role": ("security/roles", (200,)),
}
# Names that the provider translates.
NAMES = {"roleid": "id", "ttl": "timeToLive"}


def parse_hcl(text: str) -> dict[str, dict[str, Any]]:
    """The resources of a configuration by type and name: blocks and values of one line."""
    found: dict[str, dict[str, Any]] = {}
    stack: list[dict[str, Any]] = [{}]
    for line in map(str.strip, text.splitlines()):
        if opened := re.fullmatch(r'(\w+)((?: "[^"]+")*)(?: =)? \{', line):
            words = re.findall(r'"([^"]+)"', opened[2])
            stack.append({})
            if opened[1] == "resource":
                found[".".join(words)] = stack[-1]
            else:
                stack[-2][_camel(opened[1])] = stack[-1]
        elif line == "}":
            stack.pop()
        elif pair := re.fullmatch(r"(\w+) += (.+)", line):
            value = pair[2].replace("true", "True").replace("false", "False")
            stack[-1][_camel(pair[1])] = ast.literal_eval(value)
        else:
            assert not line, line
    assert len(stack) == 1
    return found


def _camel(name: str) -> str:
    first, *more = NAMES.get(name, name).split("_")
    return first + "".join(word.capitalize() for word in more)


def test_the_resources_of_terraform_are_given_back_as_they_are_set(site):
    [text] = blocks("hcl")
    resources = parse_hcl(site.moved(text))
    assert {key.partition(".")[0] for key in resources} == set(RESOURCES)
    for key, wanted in resources.items():
        path, created = RESOURCES[key.partition(".")[0]]
        name = wanted.get("id", wanted["name"])
        assert site.ask("POST", path, wanted).status_code in created, key
        for status in (200, 204):  # It reads what it has made, and after an update again.
            shown = site.ask("GET", f"{path}/{name}")
            assert shown.status_code == 200
            assert differences(wanted, shown.json()) == []
            assert site.ask("PUT", f"{path}/{name}", wanted).status_code in (200, 204), status
    for key, wanted in reversed(resources.items()):
        path, _ = RESOURCES[key.partition(".")[0]]
        kind = path.removesuffix("/docker/hosted").removesuffix("/docker/proxy")
        name = wanted.get("id", wanted["name"])
        assert site.ask("DELETE", f"{kind}/{name}").status_code in (200, 204)
        assert site.ask("GET", f"{path}/{name}").status_code == 404


def differences(wanted: Any, shown: Any, path: str = "") -> list[str]:
    """What of a plan is not there as it was set, which Terraform would change at each run."""
    if isinstance(wanted, Mapping):
        return [
            found
            for key, value in wanted.items()
            for found in differences(value, shown.get(key), f"{path}.{key}")
        ]
    return [] if wanted == shown else [f"{path}: {wanted!r} is {shown!r}"]
