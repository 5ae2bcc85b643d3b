"""A Repoman with all installed plugins, and clients of its repositories."""

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from importlib.metadata import entry_points
from io import BytesIO
from typing import Any

from werkzeug.test import EnvironBuilder, TestResponse

from repoman.core import Repoman
from repoman.http.body import WSGI
from repoman.plugins import ENTRY_POINTS
from repoman.security.rights_records import Role, SelectorRow
from repoman.testing.client import HttpClient
from repoman.testing.factory import ADMIN, Clock, RepomanFactory

PASSWORD = "a password of a test"  # noqa: S105
WAIT_S = 30.0  # Nothing that a test waits for takes longer.
Settings = Mapping[str, Mapping[str, Any]]
HTTP_CLIENT = {"timeout": 10, "retries": 0, "auto_block": False}


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition, for :data:`WAIT_S` at most."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


def all_plugins(name: str, plugin: object) -> dict[str, object]:
    """Return the installed plugins by name, with one that need not be installed."""
    found = {each.name: each.load() for each in entry_points(group=ENTRY_POINTS)}
    return {**found, name: plugin}


class RepositoryClient:
    """Sends requests to one repository; paths are below its address.

    Attributes:
        is_cut: whether bodies end a byte before the length that was announced.
    """

    def __init__(self, client: HttpClient, root: str) -> None:
        self._client = client
        self._root = root
        self.is_cut = False
        self.login: dict[str, Any] = {}

    def request(self, method: str, path: str, **options: Any) -> TestResponse:
        """Send a request; ``options`` as of :meth:`repoman.testing.HttpClient.request`."""
        options = {**self.login, **options}
        if self.is_cut:
            options = _cut(method, path, options)
        return self._client.request(method, f"{self._root}/{path}", **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        """Send a GET."""
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> TestResponse:
        """Send a HEAD."""
        return self.request("HEAD", path, **options)

    def put(self, path: str, data: bytes = b"", **options: Any) -> TestResponse:
        """Send a PUT with a body."""
        return self.request("PUT", path, data=data, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        """Send a POST."""
        return self.request("POST", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        """Send a DELETE."""
        return self.request("DELETE", path, **options)

    def wrap(self, wrapper: Callable[[WSGI], WSGI]) -> None:
        """Send the requests of this client to what a wrapper makes of the application."""
        self._client.wrap(wrapper)

    def as_user(self, login: tuple[str, str] | None) -> "RepositoryClient":
        """Return a client of somebody else; None: of nobody."""
        other = RepositoryClient(self._client, self._root)
        other.login = {"login": False, "auth": login}
        return other


def _cut(method: str, path: str, options: dict[str, Any]) -> dict[str, Any]:
    body = {key: options.pop(key) for key in ("data", "json", "content_type") if key in options}
    environ = EnvironBuilder(path="/", method=method, **body).get_environ()
    data = environ["wsgi.input"].read()
    return {
        **options,
        "input_stream": BytesIO(data[:-1]),
        "environ_overrides": {"CONTENT_LENGTH": str(len(data))},
        "content_type": environ.get("CONTENT_TYPE"),
    }


class Site:
    """A started Repoman for the tests of one format; each test makes repositories of its own."""

    def __init__(self, factory: RepomanFactory, plugins: Mapping[str, object]) -> None:
        self.plugins = plugins
        self.clock = Clock()
        settings: Settings = {
            "security": {"login_failures": 0},
            "server": {"trusted_proxies": ["127.0.0.1"]},
        }
        self.repoman: Repoman = factory(plugins, self.clock, **settings)
        self.http = HttpClient(self.repoman)

    def create(self, recipe: str, settings: Settings | None = None, name: str = "") -> str:
        """Create a repository and return its name."""
        name = name or f"{recipe}-{secrets.token_hex(4)}"
        self.repoman.repositories.create(name, recipe, settings or {})
        return name

    def proxy(self, recipe: str, url: str, **sections: Mapping[str, Any]) -> str:
        """Create a proxy of a remote and return its name."""
        given: dict[str, dict[str, Any]] = {
            "proxy": {"remote_url": url},
            "http_client": dict(HTTP_CLIENT),
        }
        for key, values in sections.items():
            given[key] = {**given.get(key, {}), **values}
        return self.create(recipe, given)

    def client(self, repository: str, way: str = "main") -> RepositoryClient:
        """Return a client of a repository.

        ``way`` is main (the main port), connector, or in place (as main, for servers that do not
        ask before they read a body).
        """
        if way == "connector":
            return RepositoryClient(HttpClient(self.repoman, connector=repository), "")
        http = HttpClient(self.repoman, admission=way != "in place")
        return RepositoryClient(http, f"/repository/{repository}")

    def user(self, *privileges: str) -> tuple[str, str]:
        """Create a user with these privileges and return the login."""
        name = f"user-{secrets.token_hex(4)}"
        self.repoman.security.roles.create(Role(name, "", privileges=privileges))
        self.repoman.users.create(name, PASSWORD, [name])
        return name, PASSWORD

    def selected(self, repository: str, paths: Iterable[str], *actions: str) -> str:
        """Create a privilege for some paths of a repository and return its name."""
        name = f"selected-{secrets.token_hex(4)}"
        expression = " or ".join(f'path == "/{each}"' for each in paths)
        self.repoman.security.selectors.create(SelectorRow(name, expression))
        properties = {"selector": name, "repository": repository, "actions": list(actions)}
        self.repoman.security.privileges.create(name, "repository-content-selector", properties)
        return name

    def rest(self, path: str, **options: Any) -> TestResponse:
        """Return the answer of the REST API to a GET."""
        return self.http.get(path, **options)

    def assets(self, repository: str) -> list[dict[str, Any]]:
        """Return what REST lists of a repository, in one page."""
        answer = self.rest(f"/service/rest/v1/assets?repository={repository}")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json["items"]  # type: ignore[index]
        return found

    def components(self, repository: str, login: tuple[str, str] = ADMIN) -> list[dict[str, Any]]:
        """Return the components that REST lists for a user, in one page."""
        path = f"/service/rest/v1/components?repository={repository}"
        answer = self.rest(path, auth=login)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json["items"]  # type: ignore[index]
        return found

    def rows(self, repository: str) -> int:
        """Return how many assets of a repository there are in the database."""
        statement = "SELECT count(*) FROM asset WHERE repository_id = ?"
        number = self.repoman.repositories.get(repository).config.id
        with closing(sqlite3.connect(self.repoman.data / "repoman.db")) as database:
            (count,) = database.execute(statement, (number,)).fetchone()
        return int(count)

    def unfinished(self) -> list[str]:
        """Return the names of files of bytes that are on their way in."""
        uploads = self.repoman.data / "blobs" / "default" / "uploads"
        return sorted(each.name for each in uploads.iterdir())

    def has_blob(self, digest: str) -> bool:
        """Return whether the bytes with a SHA-256 are on the disk."""
        path = self.repoman.data / "blobs" / "default" / "sha256" / digest[:2] / digest
        return path.exists()
