"""Runs the cases of the vectors: in order on a fresh server, as who they name, with what they need.

See ``vectors/*.json``: each case is a request and what the answer must be like.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import requests

from tests.clock import WAIT_S
from tests.functional.rest.matching import VECTORS, Matcher, refusals
from tests.live import LiveServer, Tables, free_port, to_toml
from tests.server.certificates import Certificate

ROOT = "/service/rest"
SAMPLE_ID = "ZG9ja2VyLWhvc3RlZDox"
PASSWORD = "a password of a test"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
TAGS = 101
SETTINGS: Tables = {
    "server": {"nexus_compatibility": "3.83.0-08"},
    "security": {"password_cost": 8192, "password_min_chars": 1},
}
# From who makes a request to a user and the privileges of the user's role.
USERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "signed in, no right": ("norights", ()),
    "signed in, no view right": ("norights", ()),
    "signed in, no metrics right": ("norights", ()),
    "signed in, no blobstores right": ("norights", ()),
    "signed in, no repository-admin right": ("norights", ()),
    "signed in, repository-view read (not browse)": (
        "reader",
        ("nx-repository-view-*-*-read",),
    ),
    "signed in, read and browse only": (
        "visitor",
        ("nx-repository-view-*-*-read", "nx-repository-view-*-*-browse"),
    ),
    "signed in, nx-tasks-read": ("tasks", ("nx-tasks-read",)),
    "signed in, nx-users-all only": ("helpdesk", ("nx-users-all",)),
}
# Cases whose answers may have more names and items than the template.
OPEN = {
    ("components", "assets"),
    ("metrics", "data"),
    ("realms_anonymous", "available"),
    ("status_system", "check"),
    ("status_system", "cluster check"),
    ("tasks", "list"),
}

Case = Mapping[str, Any]


def load_cases(name: str) -> list[Case]:
    """Return the cases of a file, in their order."""
    cases: list[Case] = json.loads((VECTORS / f"{name}.json").read_text())["cases"]
    return cases


class FreshServer(LiveServer):
    """A server with nothing in it that a test did not make."""

    def _configuration(self, settings: Tables) -> str:
        server = {"port": self.main_port, **settings.get("server", {})}
        return to_toml({**settings, "server": server})

    def create_user(self, name: str, privileges: tuple[str, ...]) -> None:
        """Create a user who has these privileges."""
        roles: tuple[str, ...] = ()
        if privileges:
            given = [word for each in privileges for word in ("--privilege", each)]
            self.cli("role", "create", f"role-{name}", *given)
            roles = ("--role", f"role-{name}")
        self.cli("user", "create", name, *roles, "--password-stdin", given=PASSWORD + "\n")


class Refused(Exception):
    """The server does not do what a setup needs."""


class Given(NamedTuple):
    """What brings about what a case takes as given, and what ends it."""

    begin: Callable[["Stage"], None]
    end: Callable[["Stage"], None] = lambda _stage: None


class Stage:
    """A fresh server on which the cases of one file run.

    Args:
        directory: where the server keeps everything.
        name: of the file.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.cases = load_cases(name)
        self.server = FreshServer(directory, settings=SETTINGS)
        self._has_anonymous = False
        self._given: str | None = None
        self._ports: dict[int, int] = {}
        lines = Certificate(directory, "mail.example").path.read_text().splitlines()
        self._texts = {"<PEM>": "\n".join(lines[1:-1])}
        self._session: requests.Session | None = None

    def start(self) -> None:
        """Start the server with the users and the content of the file."""
        self.server.cli("init")
        for name, privileges in {
            USERS[each["request"]["as"]] for each in self.cases if (each["request"]["as"] in USERS)
        }:
            self.server.create_user(name, privileges)
        for words in REPOSITORIES.get(self.name, ()):
            self.server.cli("repo", "create", *words)
        self.server.start()
        with suppress(Refused, AssertionError):  # Cases that need the content tell it.
            CONTENTS.get(self.name, lambda _stage: None)(self)

    def run(self, case: Case) -> Iterator[str]:
        """Run a case, and yield what is wrong with the answer, in words."""
        try:
            self._bring_about(case.get("given"))
            answer = self.send(case["request"])
        except (Refused, AssertionError) as error:
            yield f"what it takes as given: {error}"
            return
        try:
            yield from self._differences(case, answer)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            yield f"the answer {answer.text!r} has another shape: {error!r}"

    def _bring_about(self, given: str | None) -> None:
        """Bring about what a case takes as given, and end what the one before did."""
        before, self._given = self._given, given
        if given == before:
            return
        if before is not None:
            with suppress(Refused, AssertionError):  # It may not have begun.
                GIVEN[before].end(self)
        if given is not None:
            GIVEN[given].begin(self)

    # --- Requests ------------------------------------------------------------------------------

    def send(self, asked: Mapping[str, Any]) -> requests.Response:
        """Send the request of a case."""
        path = self._filled(asked["path"])
        path = path[1:] if path.startswith("//") else ROOT + path
        session, auth = self._client(asked.get("as", "admin"))
        headers = {
            name: value.replace("<cookie value>", session.cookies.get("NX-ANTI-CSRF-TOKEN", ""))
            for name, value in asked.get("headers", {}).items()
        }
        options: dict[str, Any] = {}
        if "json" in asked:
            options["json"] = self._with_own_ports(asked["json"])
        elif "text" in asked:
            options["data"] = self._filled(asked["text"]).encode()
        elif "multipart" in asked:
            options["files"] = {
                name: (value[1:], b"content") if value.startswith("@") else (None, value)
                for name, value in asked["multipart"].items()
            }
        return session.request(
            asked["method"],
            self.server.main_url + path,
            headers=headers,
            auth=auth,
            allow_redirects=False,
            timeout=WAIT_S,
            **options,
        )

    def _client(self, who: str) -> tuple[requests.Session, tuple[str, str] | None]:
        """Return with what somebody asks, and with which name and password."""
        session = requests.Session()
        session.trust_env = False
        if who == "admin":
            return session, self.server.admin
        if who == "admin:wrong":
            return session, ("admin", "wrong")
        if who == "session cookie":
            return self._logged_in(session), None
        if who in USERS:
            return session, (USERS[who][0], PASSWORD)
        if who.endswith(("access on", "access off")):
            self.set_anonymous(who.endswith("access on"))
        return session, None

    def _logged_in(self, session: requests.Session) -> requests.Session:
        if self._session is None:
            self._session = session
            name, password = (b64encode(each.encode()).decode() for each in self.server.admin)
            session.post(
                f"{self.server.main_url}/service/rapture/session",
                data={"username": name, "password": password},
                timeout=WAIT_S,
            )
        return self._session

    def set_anonymous(self, is_enabled: bool) -> None:
        """Let clients without a login read, or not."""
        if is_enabled is not self._has_anonymous:
            self._has_anonymous = is_enabled
            self.server.cli("option", "set", "anonymous", f"enabled={str(is_enabled).lower()}")
            self.server.restart()

    def _filled(self, text: str) -> str:
        for name, value in self._texts.items():
            text = text.replace(name, value)
        return text

    def _with_own_ports(self, value: Any) -> Any:
        """Return the same with ports that nobody else on this machine has."""
        if isinstance(value, list):
            return [self._with_own_ports(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {
            key: self._ports.setdefault(each, free_port())
            if key.endswith("Port") and isinstance(each, int)
            else self._with_own_ports(each)
            for key, each in value.items()
        }

    # --- Answers -------------------------------------------------------------------------------

    def _differences(self, case: Case, answer: requests.Response) -> Iterator[str]:
        expected = case["response"]
        if answer.status_code != expected["status"]:
            yield f"status {answer.status_code} and not {expected['status']}: {answer.text[:500]}"
            return
        matcher = Matcher(
            self.server.main_url,
            is_open=(self.name, case["name"]) in OPEN,
            is_ordered="sort=" in case["request"]["path"],
        )
        for name, value in expected.get("headers", {}).items():
            got = answer.headers.get(name, "")
            if name == "WWW-Authenticate":  # Schemes are compared in any case.
                value, got = value.lower(), got.lower()
            yield from matcher.differences(value, got, name)
        if expected.get("empty") and answer.content:
            yield f"the body is not empty: {answer.text[:500]!r}"
        if "text" in expected:
            yield from matcher.differences(expected["text"], answer.text, "text")
        if "json" in expected:
            yield from self._differences_of_json(case, answer, matcher)

    def _differences_of_json(
        self, case: Case, answer: requests.Response, matcher: Matcher
    ) -> Iterator[str]:
        kind = answer.headers.get("Content-Type")
        if kind != "application/json":
            yield f"Content-Type is {kind}: {answer.text[:500]!r}"
            return
        value, template = answer.json(), self._with_own_ports(case["response"]["json"])
        self._learn(template, value)
        known = self._texts.get(SAMPLE_ID, SAMPLE_ID)
        template = json.loads(json.dumps(template).replace(SAMPLE_ID, known))
        yield from matcher.differences(template, value)
        if "go_model" in case:
            yield from refusals(case["go_model"], value)

    def _learn(self, template: Any, value: Any) -> None:
        """Note what later cases name: the first id, and the latest token."""
        if not isinstance(value, dict):
            return
        self._texts["<token>"] = str(value.get("continuationToken"))
        found = value
        if value.get("items"):
            first = template["items"][0] if isinstance(template, dict) else None
            name = first.get("name") if isinstance(first, dict) else None
            items = [each for each in value["items"] if each.get("name") == name]
            found = [*items, *value["items"]][0]
        if isinstance(id_ := found.get("id"), str) and id_ != "*":
            self._texts.setdefault("<id>", id_)
            self._texts.setdefault(SAMPLE_ID, id_)
        if "pem" in value:
            self._texts.setdefault("<same PEM>", value["pem"])

    # --- What cases take as given --------------------------------------------------------------

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request of the setup as admin; it must succeed."""
        url = self.server.main_url + path
        answer = requests.request(method, url, auth=self.server.admin, timeout=WAIT_S, **options)
        if not answer.ok:
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def run_of(self, name: str, *wanted: str) -> None:
        """Run some cases of another file; they must succeed."""
        for case in load_cases(name):
            if case["name"] in wanted:
                answer = self.send(case["request"])
                if not answer.ok:
                    raise Refused(f"{case['name']}: {answer.status_code} {answer.text}")

    def push(self, repository: str, image: str, *tags: str) -> None:
        """Push one image by several tags."""
        base = f"/repository/{repository}/v2/{image}"
        config, layer = f'{{"image":"{image}"}}'.encode(), f"layer {image} {tags[0]}".encode()
        parts = []
        for kind, data in ((CONFIG, config), (LAYER, layer)):
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            self.ask("POST", f"{base}/blobs/uploads/?digest={digest}", data=data)
            parts.append({"mediaType": kind, "size": len(data), "digest": digest})
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": parts[0],
            "layers": parts[1:],
        }
        for tag in tags:
            self.ask(
                "PUT",
                f"{base}/manifests/{tag}",
                data=json.dumps(manifest),
                headers={"Content-Type": MANIFEST},
            )


def _push_for_search(stage: Stage) -> None:
    stage.push("docker-hosted", "team/app", "1.0")
    stage.push("docker-hosted", "team/app", "2.0")
    stage.push("docker-hosted", "lib/base", "1.0")


def _begin_use_of_rule(stage: Stage) -> None:
    stage.ask(
        "POST",
        f"{ROOT}/v1/repositories/docker/proxy",
        json={
            "name": "routed",
            "online": True,
            "storage": {"blobStoreName": "default", "strictContentTypeValidation": True},
            "proxy": {"remoteUrl": "https://registry-1.docker.io"},
            "negativeCache": {"enabled": True, "timeToLive": 1440},
            "httpClient": {"blocked": False, "autoBlock": True},
            "routingRule": "rr",
            "docker": {"v1Enabled": False, "forceBasicAuth": True},
            "dockerProxy": {"indexType": "HUB"},
        },
    )


def _set_cleanup(stage: Stage, is_enabled: bool) -> None:
    stage.server.cli("task", "set", "Cleanup service", "--enabled" if is_enabled else "--disabled")


DOCKER = ("docker-hosted", "docker-hosted")
RAW = ("raw-hosted", "raw")
# Repositories to create before the server starts: a recipe, a name, and options.
REPOSITORIES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "components": (
        DOCKER,
        ("docker-hosted", "big"),
        RAW,
        ("raw-group", "all", "--set", "group.members=raw"),
    ),
    "search": (DOCKER,),
    "blobstores": (),
}
CONTENTS: Mapping[str, Callable[[Stage], None]] = {
    "components": lambda stage: stage.push("docker-hosted", "team/app", "1.0"),
    "search": _push_for_search,
    "repositories_list": lambda stage: stage.run_of(
        "repositories_docker", "create hosted", "create proxy, goc style nulls", "create group"
    ),
}
GIVEN: Mapping[str, Given] = {
    "a repository uses default": Given(
        lambda stage: stage.server.cli("repo", "create", *RAW) and None
    ),
    "repository big has 101 tags": Given(
        lambda stage: stage.push("big", "team/app", *(f"1.{each}" for each in range(TAGS)))
    ),
    "read-only mode": Given(
        lambda stage: stage.ask("POST", f"{ROOT}/v1/read-only/freeze") and None,
        lambda stage: stage.ask("POST", f"{ROOT}/v1/read-only/release") and None,
    ),
    "task disabled": Given(
        lambda stage: _set_cleanup(stage, is_enabled=False),
        lambda stage: _set_cleanup(stage, is_enabled=True),
    ),
    "one proxy uses it": Given(
        _begin_use_of_rule,
        lambda stage: stage.ask("DELETE", f"{ROOT}/v1/repositories/routed") and None,
    ),
    "no longer used": Given(lambda _stage: None),
}
