"""The WSGI application of the server: from a connector or a path to the app that answers.

A request on a connector belongs to the connector's repository; on the main port the repository is
``/repository/<name>``, which moves into SCRIPT_NAME, so that ``url_for`` and relative addresses are
right both ways. The connector is known by what the server put into the environment, never by port
or Host, which proxies rewrite.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Response

from repoman.core import Repoman
from repoman.http.access_log import WSGI, AccessLog, Write
from repoman.http.admin import create_admin_app
from repoman.http.apps import create_format_app
from repoman.http.audit import current_origin
from repoman.http.body import Environ, close_untaken
from repoman.http.current import CONNECTOR, MAIN, REPOSITORY
from repoman.http.formats import Format
from repoman.http.forwarded import Forwarded
from repoman.http.guard import HIDDEN
from repoman.http.hosts import apply_external_url, check_host
from repoman.http.repeat import begin_request
from repoman.plugins import unique
from repoman.repositories.manager import NAME
from repoman.repositories.model import Repository, RepositoryConfig, RepositoryType
from repoman.repositories.sections import AccessSection

MOUNT = "/repository/"


def create_application(repoman: Repoman, write_access: Write | None = None) -> WSGI:
    """Return the whole application of a started Repoman.

    ``write_access`` takes the lines of the access log, which else go to the logger of that name.
    """
    repoman.audit.find_origin = current_origin
    formats = registered_formats(repoman)
    apps: dict[str, WSGI] = {
        name: create_format_app(repoman, format_) for name, format_ in formats.items()
    }
    absent = Absent(repoman, formats, apps)
    dispatcher = Dispatcher(repoman, create_admin_app(repoman, formats), apps, absent)
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


class Absent:
    """Answers for repositories that do not exist, cannot work, or that nobody may know of.

    Which of these it is shows only to whoever may know it: the answer depends on the address and
    on who asks.
    """

    def __init__(
        self, repoman: Repoman, formats: Mapping[str, Format], apps: Mapping[str, WSGI]
    ) -> None:
        self._formats = tuple(formats.values())
        self._apps = apps
        self._plain = create_format_app(repoman, Format(name="", title="", blueprints=()))

    def serve(
        self, name: str, environ: Environ, start_response: Any, broken: Repository | None = None
    ) -> Iterable[bytes]:
        """Serve a request to the repository ``name``, in the words of whose path it is."""
        path = environ["PATH_INFO"]
        speaker = next((each.name for each in self._formats if each.speaks(path)), "")
        sections = {"access": AccessSection(anonymous=False)}
        format_, problem = speaker, None
        if broken is not None:
            format_, problem = broken.config.format, broken.problem or _not_installed(broken)
        known = name if NAME.fullmatch(name) else "-"  # logs tell it, and a challenge
        config = RepositoryConfig(0, known, format_, RepositoryType.HOSTED, True, sections)
        environ[REPOSITORY] = Repository(config, None, problem)
        app = self._apps.get(speaker, self._plain)
        return app(environ, start_response)


class Dispatcher:
    """Chooses the repository, then the app of its format."""

    def __init__(
        self, repoman: Repoman, admin: WSGI, formats: Mapping[str, WSGI], absent: Absent
    ) -> None:
        self._database = repoman.database
        self._external_url = repoman.settings.server.external_url
        self._repositories = repoman.repositories
        self._admin = admin
        self._formats = formats
        self._absent = absent

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        begin_request(environ, self._database)
        if (refusal := check_host(environ)) is not None:
            close_untaken(environ)
            return refusal(environ, start_response)
        name = environ.get(CONNECTOR, MAIN).partition(":")[0]
        if name != MAIN:
            response = self._serve_connector(name, environ, start_response)
        elif name := _mount(environ, self._external_url):
            response = self._serve_mounted(name, environ, start_response)
        else:
            return self._admin(environ, start_response)
        close_untaken(environ)
        return response

    def _serve_connector(self, name: str, environ: Environ, start_response: Any) -> Iterable[bytes]:
        repository = self._repositories.find(name)
        if repository is None:
            return _unavailable("This connector is closing.")(environ, start_response)
        app = self._formats.get(repository.config.format)
        if repository.problem is not None or app is None:
            problem = repository.problem or _not_installed(repository)
            return _unavailable(problem)(environ, start_response)
        environ[REPOSITORY] = repository
        apply_external_url(environ, repository.external_url)
        return app(environ, start_response)

    def _serve_mounted(self, name: str, environ: Environ, start_response: Any) -> Iterable[bytes]:
        repository = self._repositories.find(name)
        if repository is None:
            return self._absent.serve(name, environ, start_response)
        app = self._formats.get(repository.config.format)
        if repository.problem is not None or app is None:
            return self._absent.serve(name, environ, start_response, repository)
        environ[REPOSITORY] = repository
        begun: list[Any] = []
        response = app(environ, lambda *given: begun.append(given))
        if HIDDEN in environ:  # this answer is not told
            _close(response)
            return self._absent.serve(name, environ, start_response)
        start_response(*begun[-1])
        return response


def _mount(environ: Environ, external_url: str) -> str:
    """Move ``/repository/<name>`` from the path to SCRIPT_NAME; return the name, or nothing."""
    path: str = environ.get("PATH_INFO", "")
    if not path.startswith(MOUNT):
        return ""
    name, _, rest = path[len(MOUNT) :].partition("/")
    if name:
        apply_external_url(environ, external_url)
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + MOUNT + name
        environ["PATH_INFO"] = "/" + rest
    return name


def _not_installed(repository: Repository) -> str:
    """Say what is wrong where a plugin brings the recipe of a format that nobody brings."""
    return f"The format {repository.config.format!r} is not installed."


def _close(response: Iterable[bytes]) -> None:
    close = getattr(response, "close", None)
    if close is not None:
        close()


def _unavailable(problem: str) -> Response:
    return Response(problem + "\n", HTTPStatus.SERVICE_UNAVAILABLE)
