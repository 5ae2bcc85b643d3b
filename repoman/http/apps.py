"""The Flask apps of the formats."""

from flask import Flask, request
from werkzeug.routing import BaseConverter

from repoman.core import Repoman
from repoman.errors import Unauthenticated, Unavailable
from repoman.http.audit import AUDIT, note_failed_login
from repoman.http.body import RECEIVED
from repoman.http.current import ACTOR, SECURITY, current_environ, current_repository, place_of
from repoman.http.errors import install_error_handlers
from repoman.http.formats import Format
from repoman.http.headers import protect_content
from repoman.http.origin import check_origin
from repoman.repositories.model import Repository
from repoman.security.actors import ANONYMOUS, Actor, Credentials
from repoman.security.services import Security


class RestConverter(BaseConverter):
    """``<rest:path>`` in a rule: all that follows, even if it is nothing or no good path."""

    regex = "(?s:.*)"
    part_isolating = False


def create_format_app(repoman: Repoman, format_: Format) -> Flask:
    """Return the app that serves every repository of a format.

    Before any route: who asks, may they, and is the repository online?
    """
    app = Flask(f"repoman.{format_.name}", static_folder=None)
    app.url_map.merge_slashes = False  # a path is data here, not to be tidied
    app.url_map.converters["rest"] = RestConverter
    install_error_handlers(app, format_.render_error)
    app.after_request(protect_content)
    for blueprint in format_.blueprints:
        app.register_blueprint(blueprint)

    @app.before_request
    def _guard() -> None:
        check_origin(request)
        environ = current_environ()
        environ[SECURITY] = repoman.security
        environ[AUDIT] = repoman.audit
        repository = current_repository()
        place = place_of(repository)
        access = format_.access_of(request)
        environ[ACTOR] = ANONYMOUS
        if access is not None:
            actor = environ[ACTOR] = _authenticate(repoman.security, repository)
            repoman.security.authorizer.check(actor, place, access)
        if not repository.config.is_online:
            raise Unavailable(f"The repository {repository.name!r} is offline.")

    return app


def _authenticate(security: Security, repository: Repository) -> Actor:
    sent = request.authorization
    if sent is not None and sent.type == "bearer":
        # A long upload may outlive its token, which was valid when the request began.
        has_begun = RECEIVED in current_environ()
        token = sent.token or ""
        return security.tokens.verify(token, repository.name, may_have_expired=has_begun)
    credentials = None
    if sent is not None and sent.type == "basic":
        credentials = Credentials(sent.username or "", sent.password or "")
    try:
        return security.authenticator.authenticate(credentials)
    except Unauthenticated:
        note_failed_login(credentials.name if credentials else "")
        raise
