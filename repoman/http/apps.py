"""The Flask apps of the formats."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.routing import BaseConverter

from repoman.core import Repoman
from repoman.http.errors import install_error_handlers
from repoman.http.formats import Format
from repoman.http.guard import Guard
from repoman.http.headers import protect_content
from repoman.http.hosts import HostRequest


class RestConverter(BaseConverter):
    """``<rest:path>`` in a rule: all that follows, even if it is nothing or no good path."""

    regex = "(?s:.*)"
    part_isolating = False


class FormatApp(Flask):
    """Flask for functions that are no coroutines, which it else looks for at each call."""

    request_class = HostRequest

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is."""
        return func


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
