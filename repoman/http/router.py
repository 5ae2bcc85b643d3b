"""The WSGI application of the server: from a connector or a path to the app that answers.

A request on a connector belongs to the connector's repository; on the main port the repository is
``/repository/<name>``, which moves into SCRIPT_NAME, so that ``url_for`` and relative addresses are
right both ways. The connector is known by what the server put into the environment, never by port
or Host, which proxies rewrite.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from http import HTTPStatus
from itertools import chain
from typing import Any
from urllib.parse import quote

from flask import Flask, Request, request
from flask import Response as FlaskResponse
from flask.ctx import AppContext, RequestContext
from flask.globals import _cv_app, _cv_request
from flask.sessions import NullSession
from werkzeug.routing import BaseConverter, MapAdapter, Rule
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
from repoman.http.rules import LateRule
from repoman.plugins import unique
from repoman.repositories.checks import NAME
from repoman.repositories.model import Repository, RepositoryConfig, RepositoryType
from repoman.repositories.sections import AccessSection

MOUNT = "/repository/"
ASCII = "".join(map(chr, range(128)))
# An address without a host in which nothing has to be encoded.
_PLAIN_LOCATION = re.compile(r"/(?!/)[A-Za-z0-9/:._~-]*", re.ASCII)
_NEEDS_CARE = frozenset({204, 304})  # Statuses whose header loses some fields.
_REST_RULE = re.compile(r"/(?:[^/<>]+/)?<rest:(\w+)>")
_NO_SESSION = NullSession()  # Remembers nothing.

Functions = tuple[Callable[..., Any], ...]


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


class RestRoutes:
    """Finds rules such as ``/v2/<rest:path>`` by their first part, where no other can be meant.

    ``rules`` are all of the app.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: dict[str, dict[str, tuple[Rule, str]]] = {}
        self._fixed: set[str] = set()  # paths, without a slash at their end
        dynamic = []
        for rule in rules:
            begin, mark, _ = rule.rule.partition("<")
            if not mark:
                self._fixed.add(begin.rstrip("/"))
                continue
            match = None if rule.defaults else _REST_RULE.fullmatch(rule.rule)
            dynamic.append((begin, match is not None))
            if match is not None:
                for method in rule.methods or ():
                    self._rules.setdefault(begin, {}).setdefault(method, (rule, match[1]))
        for begin, is_rest in dynamic:
            for prefix in list(self._rules):
                is_same = is_rest and begin == prefix
                if not is_same and (prefix.startswith(begin) or begin.startswith(prefix)):
                    del self._rules[prefix]

    def find(self, path: str, method: str) -> tuple[Rule, dict[str, str]] | None:
        """Return the rule for a path, which begins with one slash, and the arguments of its route.

        None: the router has to look.
        """
        if path.rstrip("/") in self._fixed:
            return None
        prefix = path[: path.find("/", 1) + 1]
        if prefix not in self._rules:
            prefix = "/"
        found = self._rules.get(prefix, {}).get(method)
        return None if found is None else (found[0], {found[1]: path[len(prefix) :]})


class FormatContext(RequestContext):
    """The context of one request, which it enters alone.

    It may be entered again only after it was left, as a body made by ``stream_with_context`` does
    that is sent, but not one that a view reads. ``copy_current_request_context`` cannot copy it.
    """

    app: "FormatApp"

    def __init__(self, app: "FormatApp", environ: Environ) -> None:
        request = app.request_class(environ)
        request.json_module = app.json
        self.app = app
        self.request = request
        self.flashes = None
        self._session = _NO_SESSION
        self._after_request_functions = []

    @cached_property
    def url_adapter(self) -> MapAdapter | None:  # type: ignore[override]  # most need none
        """What finds routes and makes addresses."""
        return self.app.create_url_adapter(self.request)

    def push(self) -> None:
        """Enter the context."""
        self._app_token = _cv_app.set(AppContext(self.app))
        self._token = _cv_request.set(self)

    def pop(self, exc: BaseException | None = None) -> None:
        """Leave the context."""
        try:
            if "files" in self.request.__dict__:
                self.request.close()
        finally:
            _cv_request.reset(self._token)
            _cv_app.reset(self._app_token)
            self.request.environ["werkzeug.request"] = None  # or there would be a cycle


class FormatApp(Flask):
    """Flask without what formats do not use.

    That is sessions, views that are coroutines, signals, teardown functions and, for routes that
    take the rest of a path, the search for a route. Nearly half of the calls of a small request
    were Flask's and Werkzeug's.
    """

    request_class = HostRequest
    url_rule_class = LateRule

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is."""
        return func

    @cached_property
    def rest_routes(self) -> RestRoutes:
        """The routes that take the rest of a path."""
        return RestRoutes(self.url_map.iter_rules())

    @cached_property
    def _functions(self) -> dict[str | None, tuple[Functions, Functions]]:
        """What runs before and after each route."""
        return {}

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
        context = FormatContext(self, environ)
        context.push()
        try:
            try:
                response = self._respond_to(context)
            except Exception as error:  # noqa: BLE001 - Flask logs it
                response = self.handle_exception(error)
            return respond(response, environ, start_response)
        finally:
            context.pop()

    def _respond_to(self, context: FormatContext) -> FlaskResponse:
        """Return the response to the request of the context, as ``full_dispatch_request`` does."""
        request = context.request
        route = self.rest_routes.find(request.path, request.method)
        if route is None:
            context.match_request()
        else:
            request.url_rule, request.view_args = route
        endpoint = None if request.url_rule is None else request.url_rule.endpoint
        before, after = self._functions.get(endpoint) or self._functions_of(endpoint)
        try:
            for function in before:
                if (found := function()) is not None:
                    break
            else:
                found = self._dispatch(request)
        except Exception as error:  # noqa: BLE001 - the handlers of errors raise what is not theirs
            found = self.handle_user_exception(error)
        if not isinstance(found, FlaskResponse):
            found = self.make_response(found)
        response: Any = found  # or Flask's types ask for coroutines
        for function in (*context._after_request_functions, *after):
            response = function(response)
        answer: FlaskResponse = response
        return answer

    def _functions_of(self, endpoint: str | None) -> tuple[Functions, Functions]:
        """Return what runs before and after the route of the request, each in its order."""
        names = (*request.blueprints, None)
        befores = (self.before_request_funcs.get(name, ()) for name in reversed(names))
        afters = (reversed(self.after_request_funcs.get(name, ())) for name in names)
        found = tuple(chain(*befores)), tuple(chain(*afters))
        self._functions[endpoint] = found
        return found

    def _dispatch(self, request: Request) -> Any:
        """Return what the route answers."""
        rule = request.url_rule
        if rule is None or (rule.provide_automatic_options and request.method == "OPTIONS"):  # type: ignore[attr-defined]
            return self.dispatch_request()
        return self.view_functions[rule.endpoint](**request.view_args or {})


def respond(response: FlaskResponse, environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Send a response as it would itself, with fewer steps where nothing has to be changed."""
    headers = [*response.headers]
    given = {name.lower(): value for name, value in headers}
    if (
        not isinstance(response.response, list)
        or response._on_close
        or response.status_code in _NEEDS_CARE
        or "content-location" in given
        or not _PLAIN_LOCATION.fullmatch(given.get("location", "/"))
    ):
        return response(environ, start_response)
    pieces = [each.encode() if isinstance(each, str) else each for each in response.response]
    if "content-length" not in given:
        headers.append(("Content-Length", str(sum(map(len, pieces)))))
    start_response(response.status, headers)
    return () if environ["REQUEST_METHOD"] == "HEAD" else pieces


def create_format_app(repoman: Repoman, format_: Format) -> FormatApp:
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
