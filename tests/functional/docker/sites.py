"""A Repoman that serves Docker repositories, in process or in a process of its own."""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from repoman.core import Repoman
from repoman.testing import ADMIN, HttpClient
from tests.functional.docker.driver import Login, Registry
from tests.functional.docker.wires import InProcess, Socket
from tests.live import LiveServer, wait_until

Settings = Mapping[str, Any]  # by ``section.key``


class Site(Protocol):
    """A server and its administrator.

    Attributes:
        data: its data directory.
        registry: a hosted repository on a connector, which tests share.
    """

    data: Path
    registry: Registry

    def create(self, settings: Settings | None = None) -> Registry:
        """Make a repository and return it as it is reached on the main port."""

    def change(self, registry: Registry, settings: Settings, is_seen: Callable[[], bool]) -> None:
        """Change a repository's settings and wait until that is seen."""

    def take_offline(self, registry: Registry) -> None:
        """Let a repository serve no more."""

    def make_user(self) -> Login:
        """Make a user and return the login."""

    def leave(self) -> None:
        """End a thread that has sent requests."""


class InProcessSite:
    """The application in this process."""

    def __init__(self, repoman: Repoman) -> None:
        self.repoman = repoman
        self.data = repoman.data
        repoman.repositories.create("docker-hosted", "docker-hosted", {})
        connector = HttpClient(repoman, connector="docker-hosted")
        self.registry = Registry(InProcess(connector), "", ADMIN)

    def create(self, settings: Settings | None = None) -> Registry:
        """See :class:`Site`."""
        name = _new_name("hosted")
        self.repoman.repositories.create(name, "docker-hosted", _nested(settings or {}))
        return Registry(InProcess(HttpClient(self.repoman)), f"/repository/{name}", ADMIN)

    def change(self, registry: Registry, settings: Settings, is_seen: Callable[[], bool]) -> None:
        """See :class:`Site`."""
        self.repoman.repositories.update(registry.repository, _nested(settings))
        assert is_seen()

    def take_offline(self, registry: Registry) -> None:
        """See :class:`Site`."""
        self.repoman.repositories.update(registry.repository, {}, is_online=False)

    def make_user(self) -> Login:
        """See :class:`Site`."""
        login = (_new_name("user"), secrets.token_hex(8))
        self.repoman.users.create(*login, ["nx-developer"])
        return login

    def leave(self) -> None:
        """See :class:`Site`."""
        self.repoman.database.close()  # each thread has a connection of its own


class LiveSite:
    """A real server, administered on the command line."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self.data = server.data
        self.registry = Registry(Socket(server.connector_port), "", server.admin)

    def create(self, settings: Settings | None = None) -> Registry:
        """See :class:`Site`."""
        name = _new_name("hosted")
        self._server.cli("repo", "create", "docker-hosted", name, *_options(settings or {}))
        registry = Registry(
            Socket(self._server.main_port), f"/repository/{name}", self._server.admin
        )
        wait_until(lambda: self._is_served(registry), what=f"the repository {name}")
        return registry

    def change(self, registry: Registry, settings: Settings, is_seen: Callable[[], bool]) -> None:
        """See :class:`Site`."""
        self._server.cli("repo", "set", registry.repository, *_options(settings))
        wait_until(is_seen, what="the change")

    def take_offline(self, registry: Registry) -> None:
        """See :class:`Site`."""
        self._server.cli("repo", "set", registry.repository, "--offline")
        wait_until(lambda: registry.get("").status == 503, what="the end of service")

    def make_user(self) -> Login:
        """See :class:`Site`."""
        name, password = _new_name("user"), secrets.token_hex(8)
        self._server.cli(
            "user",
            "create",
            name,
            "--role",
            "nx-developer",
            "--password-stdin",
            given=f"{password}\n",
        )
        return name, password

    def leave(self) -> None:
        """See :class:`Site`."""

    @staticmethod
    def _is_served(registry: Registry) -> bool:
        return registry.get("").status == 200


def _new_name(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(4)}"


def _nested(settings: Settings) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for path, value in settings.items():
        section, _, key = path.partition(".")
        nested.setdefault(section, {})[key] = value
    return nested


def _options(settings: Settings) -> list[str]:
    return [
        word
        for path, value in settings.items()
        for word in ("--set", f"{path}={str(value).lower()}")
    ]
