"""The app of the main port: the pages that plugins bring, and who may open them.

A visitor is known by the ``Authorization`` header or, without one, by the session of the browser.
A request that changes something must not come from a page of another site, and must carry the mark
of a form of ours if it is the browser that vouches for the visitor. Its body is read once it is
known who sends it: of nobody only as much as a login takes.
"""

import io
from collections.abc import Callable, Iterator, Mapping

from flask import Blueprint, Flask, Request, Response, request
from flask_wtf.csrf import CSRFProtect
from werkzeug.routing import MapAdapter

from repoman.core import Repoman
from repoman.http.addresses import AddressBook
from repoman.http.api_page import api_page
from repoman.http.body import read_body
from repoman.http.browse_page import create_browse_page
from repoman.http.compression import install_compression
from repoman.http.content import POLICY
from repoman.http.current import (
    ACTOR,
    AUDIT,
    REPOMAN,
    SECURITY,
    current_actor,
    current_environ,
)
from repoman.http.errors import Failure, install_error_handlers, render_plain
from repoman.http.formats import Format
from repoman.http.guard import actor_of_header
from repoman.http.health import OPEN, create_health_rest
from repoman.http.hosts import SAFE_METHODS, HostRequest, check_origin, note_external_url
from repoman.http.page_forms import is_streamed
from repoman.http.pages import PAGE_POLICY, install_pages
from repoman.http.rest import create_rest, install_server_name, is_rest, present_path, takes_form
from repoman.http.rest_errors import RestErrors
from repoman.http.rest_sessions import SESSION_PATH, protect_session, session_blueprint
from repoman.http.rules import LateRule
from repoman.http.sessions import SESSION, FormsCookie, find_session, tie_forms
from repoman.http.static_files import StaticFiles
from repoman.security.actors import ANONYMOUS

BODY_LIMIT = 1 << 20  # Bytes of a body; forms and settings are far smaller.
LOGIN_LIMIT = 1 << 14  # Bytes of a body by nobody, who has but the login form to send.
PAGE_HEADERS = {
    POLICY: PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}


class _AdminApp(Flask):
    request_class = HostRequest
    url_rule_class = LateRule

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds the route of a request; former paths need no routes of their own."""
        adapter = super().create_url_adapter(request)
        if adapter is not None:
            adapter.path_info = present_path(adapter.path_info)
        return adapter


def create_admin_app(repoman: Repoman, formats: Mapping[str, Format]) -> Flask:
    """Return the app of the main port."""
    app = _AdminApp("repoman", static_folder=None)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.secret_key = repoman.security.sessions.signing_key
    app.session_interface = FormsCookie()
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,  # the guard below decides when
        WTF_CSRF_TIME_LIMIT=None,  # a mark lives as long as the login it belongs to
        WTF_CSRF_SSL_STRICT=False,  # check_origin looks at more than the referrer
    )
    marks = CSRFProtect(app)
    external_url = repoman.settings.server.external_url
    AddressBook(repoman.repositories, formats, external_url).install(app)
    install_error_handlers(app, _renderer(repoman))
    _install_page_headers(app, repoman.settings.security.hsts)
    install_compression(app)
    install_server_name(app, repoman.settings.server.nexus_compatibility)
    _install_blueprints(app, repoman, formats)

    @app.before_request
    def _guard() -> None:
        environ = current_environ()
        environ[SECURITY] = repoman.security
        environ[AUDIT] = repoman.audit
        environ[REPOMAN] = repoman
        environ[ACTOR] = ANONYMOUS  # until it is known: the page of a failure asks too
        if request.path in OPEN:
            return
        note_external_url(environ, external_url)
        check_origin(request)
        _identify()
        if is_rest(request.path):
            protect_session(takes_form=takes_form(app))
            return  # an endpoint reads its body itself, after its right is checked
        if not is_streamed(app):
            _fetch_body()
            _protect_form(marks)

    return app


def _install_page_headers(app: Flask, hsts: int) -> None:
    """Give every response of the app the headers of pages; those that a view set stay.

    ``hsts`` is for how many seconds HTTPS is to be insisted on, once it was used; 0: say nothing.
    """

    @app.after_request
    def _protect(response: Response) -> Response:
        for name, value in PAGE_HEADERS.items():
            response.headers.setdefault(name, value)
        if hsts and request.is_secure:
            response.headers["Strict-Transport-Security"] = f"max-age={hsts}"
        return response


def _install_blueprints(app: Flask, repoman: Repoman, formats: Mapping[str, Format]) -> None:
    """Add all routes, the navigation that leads to them, and their static files."""
    for blueprint in _blueprints(repoman, formats):
        app.register_blueprint(blueprint)
    install_pages(app, repoman)
    StaticFiles(app).install(app)


def _blueprints(repoman: Repoman, formats: Mapping[str, Format]) -> Iterator[Blueprint]:
    yield create_health_rest(repoman)
    yield create_rest(repoman, formats)
    yield session_blueprint
    yield create_browse_page(repoman)
    yield api_page
    for blueprints in repoman.plugins.hook.repoman_register_web():
        yield from blueprints


def wants_page() -> bool:
    """Return whether the client is a browser that shows a page, judged by what it accepts."""
    return request.accept_mimetypes.best_match(["text/plain", "text/html"]) == "text/html"


def _identify() -> None:
    """Note who the visitor is: by the header or, without one, by the session of the browser."""
    environ = current_environ()
    if "Authorization" in request.headers:
        environ[ACTOR] = actor_of_header()
        return
    session = environ[SESSION] = find_session(request)
    if session is not None:
        environ[ACTOR] = session.actor
    tie_forms(session)


def _protect_form(marks: CSRFProtect) -> None:
    """Refuse a form without its mark, if it is the browser that vouches for the visitor."""
    if SESSION in current_environ() and request.path != SESSION_PATH:
        marks.protect()


def _fetch_body() -> None:
    """Have the whole body at hand: the server reads it only when it is asked to."""
    if request.method in SAFE_METHODS:
        return
    environ = current_environ()
    body = read_body(environ, LOGIN_LIMIT if current_actor().is_anonymous else BODY_LIMIT)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))


def _renderer(repoman: Repoman) -> Callable[[Failure], Response]:
    """Return what renders a failure: as a page for browsers, if a plugin has one."""
    rest_errors = RestErrors(repoman)

    def render(failure: Failure) -> Response:
        if is_rest(request.path) or request.path == SESSION_PATH:
            return rest_errors.render(failure)
        page = None
        if wants_page():
            page = repoman.plugins.hook.repoman_render_failure(failure=failure)
        return page or render_plain(failure)

    return render
