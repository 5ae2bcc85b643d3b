"""The path below which the main port serves everything: pages, REST and ``/repository/<name>/``.

It moves from the path of a request to ``SCRIPT_NAME``, after what a proxy has put in front, so that
``url_for``, cookies and redirects are right whoever looks at them. Connectors have no such path:
their clients expect the API at the root.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from werkzeug.wrappers import Response

from repoman.http.body import WSGI, Environ
from repoman.http.current import CONNECTOR, MAIN

OUTSIDE = "repoman.outside"  # environ: the response to what is not below the path


class ContextPath:
    """WSGI middleware; ``path`` begins with a slash and has none at its end."""

    def __init__(self, app: WSGI, path: str) -> None:
        self._app = app
        self._path = path

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        if environ.get(CONNECTOR, MAIN).partition(":")[0] == MAIN:
            self._move(environ)
        return self._app(environ, start_response)

    def _move(self, environ: Environ) -> None:
        path: str = environ.get("PATH_INFO", "")
        if path.startswith(f"{self._path}/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._path
            environ["PATH_INFO"] = path[len(self._path) :]
        elif path in ("", "/", self._path) and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            environ[OUTSIDE] = self._lead_in(environ)
        else:
            text = f"There is nothing at this address. This server begins at {self._path}/.\n"
            environ[OUTSIDE] = Response(text, HTTPStatus.NOT_FOUND)

    def _lead_in(self, environ: Environ) -> Response:
        target = quote(f"{environ.get('SCRIPT_NAME', '')}{self._path}/", safe="/!$&'()*+,:;=@%")
        return Response(status=HTTPStatus.FOUND, headers={"Location": target})
