"""The WSGI application of the server: from a connector or a path to the app that answers.

A request on a connector belongs to the connector's repository; on the main port the repository is
``/repository/<name>``, which moves into SCRIPT_NAME, so that ``url_for`` and relative addresses are
right both ways. The connector is known by what the server put into the environment, never by port
or Host, which proxies rewrite.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from flask import Flask, Request
from flask import Response as FlaskResponse
from flask.ctx import RequestContext
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import BaseConverter, MapAdapter
from werkzeug.wrappers import Response

from repoman.core import Repoman
from repoman.db.topics import READER
from repoman.events.origin import ACTING
from repoman.http.access_log import ACCESS, AccessLog, Write
from repoman.http.admin import create_admin_app
from repoman.http.body import RECEIVED, WSGI, Environ, close_untaken
from repoman.http.content import protect_content
from repoman.http.context_path import OUTSIDE, ContextPath
from repoman.http.current import (
    CONNECTOR,
    ENVIRON,
    MAIN,
    REPOSITORY,
    begin_request,
    origin_of,
)
from repoman.http.errors import install_error_handlers
from repoman.http.formats import Format
from repoman.http.guard import HIDDEN, SPEAKER, Guard, Hidden
from repoman.http.hosts import Forwarded, HostRequest, apply_external_url, check_host
from repoman.plugins import unique
from repoman.repositories.checks import NAME
from repoman.repositories.model import Repository, RepositoryConfig, RepositoryType
from repoman.repositories.sections import AccessSection

MOUNT = "/repository/"
ASCII = "".join(map(chr, range(128)))
# An address without a host in which nothing has to be encoded.
_PLAIN_LOCATION = re.compile(r"/(?!/)[A-Za-z0-9/:._~-]*", re.ASCII)
_NEEDS_CARE = frozenset({204, 304})  # Statuses whose header loses some fields.


def create_application(repoman: Repoman, write_access: Write | None = None) -> WSGI:
    """Return the whole application of a started Repoman.

    ``write_access`` takes the lines of the access log, which else go to the logger of that name.
    """
    formats = registered_formats(repoman)
    apps: dict[str, WSGI] = {
        name: create_format_app(repoman, format_) for name, format_ in formats.items()
    }
    absent = Absent(repoman, formats, apps)
    router = Router(repoman, create_admin_app(repoman, formats), apps, absent)
    write = write_access or ACCESS.info
    if not repoman.settings.log.access:
        write = bool  # The requests count nevertheless.
    app: WSGI = AccessLog(router, write, repoman.metrics.requests.note)
    if path := repoman.settings.server.context_path:
        app = ContextPath(app, path)
    return Forwarded(app, repoman.settings.server.trusted_proxies, repoman.sightings)


def registered_formats(repoman: Repoman) -> dict[str, Format]:
    """Return the formats that plugins bring, by name.

    Raises:
        Conflict: two of them have one name.
    """
    found = repoman.plugins.hook.repoman_register_formats()
    return unique("format", [(each.name, each) for formats in found for each in formats])


class Absent:
    """Answers for repositories that do not exist, or that the visitor must not know of.

    Its words depend on the path alone: they are those of the format whose clients ask for it.
    """

    def __init__(
        self, repoman: Repoman, formats: Mapping[str, Format], apps: Mapping[str, WSGI]
    ) -> None:
        self._formats = tuple(formats.values())
        self._nothing = Format(name="", title="", blueprints=())
        self._plain = create_format_app(repoman, self._nothing)
        self._apps = apps

    def speaker_of(self, path: str) -> Format:
        """Return the format whose clients ask for a path."""
        return next((each for each in self._formats if each.speaks(path)), self._nothing)

    def app_of(self, speaker: Format) -> WSGI:
        """Return what words the answers to clients of a format."""
        return self._apps.get(speaker.name, self._plain)


def _stand_in(name: str, format_: str, problem: str | None = None) -> Repository:
    """Return a repository without a service, which anonymous visitors may not know of."""
    known = name if NAME.fullmatch(name) else "-"  # logs tell it, and a challenge
    sections = {"access": AccessSection(anonymous=False)}
    config = RepositoryConfig(0, known, format_, RepositoryType.HOSTED, True, sections)
    return Repository(config, None, problem=problem)


class Router:
    """Chooses the repository, then the app of its format."""

    def __init__(
        self, repoman: Repoman, admin: WSGI, formats: Mapping[str, WSGI], absent: Absent
    ) -> None:
        self._topics = repoman.database.topics
        self._external_url = repoman.settings.server.external_url
        self._repositories = repoman.repositories
        self._admin = admin
        self._formats = formats
        self._absent = absent

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        current = ENVIRON.set(environ)
        acting = ACTING.set(partial(origin_of, environ))
        reading = READER.set(begin_request(environ, self._topics))
        try:
            response = self._serve(environ, start_response)
            if RECEIVED in environ:
                close_untaken(environ)
            return response
        finally:
            READER.reset(reading)
            ACTING.reset(acting)
            ENVIRON.reset(current)

    def _serve(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if not environ.get("QUERY_STRING", "").isascii():
            _encode_query(environ)
        if (refusal := check_host(environ)) is not None:
            return refusal(environ, start_response)
        if OUTSIDE in environ:
            outside: Response = environ[OUTSIDE]
            return outside(environ, start_response)
        name = environ.get(CONNECTOR, MAIN).partition(":")[0]
        if name != MAIN:
            return self._serve_connector(name, environ, start_response)
        if name := _mount(environ, self._external_url):
            return self._serve_mounted(name, environ, start_response)
        return self._admin(environ, start_response)

    def _serve_connector(self, name: str, environ: Environ, start_response: Any) -> Iterable[bytes]:
        repository = self._repositories.find(name)
        if repository is None:
            return _unavailable("This connector is closing.")(environ, start_response)
        app = self._formats.get(repository.config.format)
        if repository.problem is not None or app is None:
            problem = repository.problem or _not_installed(repository)
            return _unavailable(problem)(environ, start_response)
        environ[REPOSITORY] = repository
        if url := repository.external_url:
            apply_external_url(environ, url)
        return app(environ, start_response)

    def _serve_mounted(self, name: str, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve ``/repository/<name>``; a hidden repository takes as long as an absent one."""
        speaker = environ[SPEAKER] = self._absent.speaker_of(environ["PATH_INFO"])
        words = self._absent.app_of(speaker)
        environ[REPOSITORY], app = self._find(name, speaker)
        try:
            return (app or words)(environ, start_response)
        except Hidden as hidden:
            environ[HIDDEN] = hidden.take()
            environ[REPOSITORY] = _stand_in(name, speaker.name)
        try:
            return words(environ, start_response)
        finally:
            del environ[HIDDEN]  # or both would be kept, with the password, until a collection

    def _find(self, name: str, speaker: Format) -> tuple[Repository, WSGI | None]:
        """Return the repository, or what stands in for it, and the app of one that works."""
        repository = self._repositories.find(name)
        if repository is None:
            return _stand_in(name, speaker.name), None
        format_ = repository.config.format
        app = self._formats.get(format_)
        if repository.problem is not None or app is None:
            problem = repository.problem or _not_installed(repository)
            return _stand_in(name, format_, problem), None
        return repository, app


def _encode_query(environ: Environ) -> None:
    """Encode the bytes of the query that had to be, but are not (RFC 3986, section 2.1)."""
    environ["QUERY_STRING"] = quote(environ["QUERY_STRING"], safe=ASCII, encoding="latin-1")


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


def _unavailable(problem: str) -> Response:
    return _plain(problem, HTTPStatus.SERVICE_UNAVAILABLE)


def _plain(text: str, status: HTTPStatus) -> Response:
    return Response(text + "\n", status)


class RestConverter(BaseConverter):
    """``<rest:path>`` in a rule: all that follows, even if it is nothing or no good path."""

    regex = "(?s:.*)"
    part_isolating = False


class NoSessions(SessionInterface):
    """The sessions of clients that have none; Flask would try to open one for each request."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """Return a session that remembers nothing."""
        return self._none

    def is_null_session(self, obj: object) -> bool:
        """Return whether there is nothing to save; there never is."""
        return True


class FormatApp(Flask):
    """Flask without what formats do not use.

    That is sessions, views that are coroutines, signals and teardown functions. Nearly half of the
    calls of a small request were Flask's and Werkzeug's.
    """

    request_class = HostRequest
    session_interface = NoSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds the route of a request, whose Host has been checked."""
        if request is None:
            return None
        environ = request.environ
        if "HTTP_HOST" not in environ:
            return super().create_url_adapter(request)
        return MapAdapter(
            self.url_map,
            environ["HTTP_HOST"].lower(),
            request.root_path,
            self.url_map.default_subdomain,
            environ["wsgi.url_scheme"],
            environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),  # as PEP 3333 has it
            environ["REQUEST_METHOD"],
            environ["QUERY_STRING"],
        )

    def wsgi_app(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        context = self.request_context(environ)
        try:
            try:
                context.push()
                response = self._respond_to(context)
            except Exception as error:  # noqa: BLE001 - Flask logs it
                response = self.handle_exception(error)
            return respond(response, environ, start_response)
        finally:
            context.pop(None)

    def _respond_to(self, context: RequestContext) -> FlaskResponse:
        """Return the response to the request of the context, as ``full_dispatch_request`` does."""
        names = (*context.request.blueprints, None)
        try:
            found = self._prepare(names)
            if found is None:
                found = self.dispatch_request()
        except Exception as error:  # noqa: BLE001 - the handlers of errors raise what is not theirs
            found = self.handle_user_exception(error)
        response: Any = self.make_response(found)  # or Flask's types ask for coroutines
        for function in context._after_request_functions:
            response = function(response)
        for name in names:
            for function in reversed(self.after_request_funcs.get(name, ())):
                response = function(response)
        answer: FlaskResponse = response
        return answer

    def _prepare(self, names: tuple[str | None, ...]) -> Any:
        """Return what a function before the route answers in its place; None: nothing."""
        for name in reversed(names):
            for function in self.before_request_funcs.get(name, ()):
                if (answer := function()) is not None:
                    return answer
        return None

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Do nothing at the end of a request."""

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Do nothing at the end of a request."""


def respond(response: FlaskResponse, environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Send a response as it would itself, with fewer steps where nothing has to be changed."""
    headers = list(response.headers)
    given = {name.lower(): value for name, value in headers}
    if (
        not isinstance(response.response, list)
        or response._on_close
        or response.status_code in _NEEDS_CARE
        or "content-location" in given
        or not _PLAIN_LOCATION.fullmatch(given.get("location", "/"))
    ):
        return response(environ, start_response)
    pieces = list(response.iter_encoded())
    if "content-length" not in given:
        headers.append(("Content-Length", str(sum(map(len, pieces)))))
    start_response(response.status, headers)
    return () if environ["REQUEST_METHOD"] == "HEAD" else pieces


def create_format_app(repoman: Repoman, format_: Format) -> Flask:
    """Return the app that serves every repository of a format.

    Before any route: who asks, may they, and is the repository online?
    """
    app = FormatApp(f"repoman.{format_.name}", static_folder=None)
    app.url_map.merge_slashes = False  # a path is data here, not to be tidied
    app.url_map.converters["rest"] = RestConverter
    install_error_handlers(app, format_.render_error)
    app.after_request(protect_content)
    for blueprint in format_.blueprints:
        app.register_blueprint(blueprint)

    app.before_request(Guard(repoman, format_).check)
    return app
