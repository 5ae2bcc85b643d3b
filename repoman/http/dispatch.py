"""The WSGI application of the server: from a connector or a path to the app that answers.

A request on a connector belongs to the connector's repository; on the main port the repository is
``/repository/<name>``, which moves into SCRIPT_NAME, so that ``url_for`` and relative addresses are
right both ways. The connector is known by what the server put into the environment, never by port
or Host, which proxies rewrite.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Response

from repoman.core import Repoman
from repoman.http.access_log import WSGI, AccessLog, Write
from repoman.http.admin import create_admin_app
from repoman.http.apps import create_format_app
from repoman.http.body import Environ, close_untaken
from repoman.http.current import CONNECTOR, MAIN, REPOSITORY
from repoman.http.formats import Format
from repoman.http.forwarded import Forwarded
from repoman.http.repeat import begin_request
from repoman.plugins import unique
from repoman.repositories.model import Repository

MOUNT = "/repository/"


def create_application(repoman: Repoman, write_access: Write | None = None) -> WSGI:
    """Return the whole application of a started Repoman.

    ``write_access`` takes the lines of the access log, which else go to the logger of that name.
    """
    formats = registered_formats(repoman)
    apps: dict[str, WSGI] = {
        name: create_format_app(repoman, format_) for name, format_ in formats.items()
    }
    dispatcher = Dispatcher(repoman, create_admin_app(repoman, formats), apps)
    app: WSGI = dispatcher
    if repoman.settings.log.access:
        app = AccessLog(dispatcher) if write_access is None else AccessLog(dispatcher, write_access)
    return Forwarded(app, repoman.settings.server.trusted_proxies)


def registered_formats(repoman: Repoman) -> dict[str, Format]:
    """Return the formats that plugins bring, by name.

    Raises:
        Conflict: two of them have one name.
    """
    found = repoman.plugins.hook.repoman_register_formats()
    return unique("format", [(each.name, each) for formats in found for each in formats])


def connector_key(repository: str, scheme: str) -> str:
    """Return what the server calls the connector of a repository; names have no colon."""
    return f"{repository}:{scheme}"


class Dispatcher:
    """Chooses the repository, then the app of its format."""

    def __init__(self, repoman: Repoman, admin: WSGI, formats: dict[str, WSGI]) -> None:
        self._database = repoman.database
        self._repositories = repoman.repositories
        self._admin = admin
        self._formats = formats

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        begin_request(environ, self._database)
        name = environ.get(CONNECTOR, MAIN).partition(":")[0]
        if name != MAIN:
            repository = self._repositories.find(name)
        else:
            repository = self._mount(environ)
            if repository is None:
                return self._admin(environ, start_response)
        return self._serve(repository, environ, start_response)

    def _mount(self, environ: Environ) -> Repository | None:
        path = environ.get("PATH_INFO", "")
        if not path.startswith(MOUNT):
            return None
        name, _, rest = path[len(MOUNT) :].partition("/")
        repository = self._repositories.find(name)
        if repository is not None:
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + MOUNT + name
            environ["PATH_INFO"] = "/" + rest
        return repository

    def _serve(
        self, repository: Repository | None, environ: Environ, start_response: Any
    ) -> Iterable[bytes]:
        if repository is None:
            return _unavailable("This connector is closing.")(environ, start_response)
        if repository.problem is not None:
            return _unavailable(repository.problem)(environ, start_response)
        app = self._formats.get(repository.config.format)
        if app is None:  # a plugin brings the recipe of a format that nobody brings
            problem = f"The format {repository.config.format!r} is not installed."
            return _unavailable(problem)(environ, start_response)
        environ[REPOSITORY] = repository
        response = app(environ, start_response)
        close_untaken(environ)
        return response


def _unavailable(problem: str) -> Response:
    return Response(problem + "\n", HTTPStatus.SERVICE_UNAVAILABLE)
