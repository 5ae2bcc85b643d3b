"""Proxies in process, and a clock that tests move."""

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import pytest

from repoman.core import Repoman
from repoman.flights import SingleFlight
from repoman.security.rights_records import Role
from repoman.testing import ADMIN, Clock, HttpClient
from tests.clock import LONG_S, WAIT_S
from tests.functional.docker.driver import Login, Registry
from tests.functional.docker.wires import Answer, Body, InProcess
from tests.live import wait_until

MINUTE, HOUR, DAY = 60, 3600, 86_400


class Settled(InProcess):
    """Returns an answer when all that was downloaded whole for it is kept, too."""

    def __init__(self, repoman: Repoman) -> None:
        super().__init__(HttpClient(repoman))
        self._running = repoman.proxies.downloads._running

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: Body = None
    ) -> Answer:
        """Return the answer to a request."""
        answer = super().send(method, target, headers, body)
        wait_until(lambda: not any(each.is_complete for each in list(self._running.values())))
        return answer


class Proxies:
    """Makes proxies of fake registries."""

    def __init__(self, repoman: Repoman, clock: Clock) -> None:
        self.repoman = repoman
        self.clock = clock

    def __call__(self, remote: str, **settings: Any) -> Registry:
        """Make a proxy of a remote; settings are ``section__key``."""
        name = f"proxy-{secrets.token_hex(4)}"
        sections = nested(settings)
        sections.setdefault("proxy", {})["remote_url"] = remote
        http = {"timeout": int(WAIT_S), "retries": 1, "auto_block": False}
        sections["http_client"] = {**http, **sections.get("http_client", {})}
        self.repoman.repositories.create(name, "docker-proxy", sections)
        return self.reach(name)

    def hosted(self) -> Registry:
        """Make a hosted repository."""
        name = f"hosted-{secrets.token_hex(4)}"
        self.repoman.repositories.create(name, "docker-hosted", {})
        return self.reach(name)

    def group(self, *members: Registry, **settings: Any) -> Registry:
        """Make a group of repositories; settings are ``section__key``."""
        name = f"group-{secrets.token_hex(4)}"
        sections = nested(settings)
        sections.setdefault("group", {})["members"] = [name_of(each) for each in members]
        self.repoman.repositories.create(name, "docker-group", sections)
        return self.reach(name)

    def user_of(self, registry: Registry, *actions: str) -> Login:
        """Make a user who may do this with all content of a repository."""
        name = f"user-{secrets.token_hex(4)}"
        view = f"nx-repository-view-docker-{name_of(registry)}"
        privileges = tuple(f"{view}-{each}" for each in actions)
        self.repoman.security.roles.create(Role(name, "", privileges=privileges))
        self.repoman.users.create(name, "secret-word", [name])
        return name, "secret-word"

    def reach(self, name: str) -> Registry:
        """A repository as it is reached on the main port."""
        return Registry(Settled(self.repoman), f"/repository/{name}", ADMIN)

    def change(self, proxy: Registry, **settings: Any) -> None:
        """Change settings of a proxy."""
        sections = nested(settings)
        self.repoman.repositories.update(name_of(proxy), sections)


def name_of(proxy: Registry) -> str:
    """The name of the repository."""
    return proxy.prefix.rpartition("/")[2]


@contextmanager
def late(
    monkeypatch: pytest.MonkeyPatch, what: str, read: Callable[[], Any]
) -> Iterator["Future[Any]"]:
    """Begin to read, and hold the reader during the block, before it asks on behalf of others.

    ``what`` is in the name of what it asks for.
    """
    run, arrived, may_ask = SingleFlight.run, threading.Event(), threading.Event()

    def hold(flights: SingleFlight[Any], key: Any, work: Callable[[], Any]) -> Any:
        if what in str(key) and not arrived.is_set():
            arrived.set()
            assert may_ask.wait(LONG_S)
        return run(flights, key, work)

    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(SingleFlight, "run", hold)
        reader = pool.submit(read)
        try:
            assert arrived.wait(WAIT_S)
            yield reader
        finally:
            may_ask.set()
            wait([reader], LONG_S)


def nested(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings by section, from ``section__key``."""
    sections: dict[str, dict[str, Any]] = {}
    for path, value in settings.items():
        section, _, key = path.partition("__")
        sections.setdefault(section, {})[key] = value
    return sections
