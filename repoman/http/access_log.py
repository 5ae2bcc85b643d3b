"""One line per request: who asked which repository for what, and what came of it."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from repoman.http.body import Environ
from repoman.http.current import ACTOR, REPOSITORY, SOURCE

_log = logging.getLogger("repoman.access")

WSGI = Callable[[Environ, Any], Iterable[bytes]]


class AccessLog:
    """WSGI middleware; the line is written when the response begins.

    The bytes of a download leave after that, so the line tells the length announced.
    """

    def __init__(self, app: WSGI) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve the request and log it."""
        begin = time.perf_counter()
        answer: dict[str, str] = {}

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            answer["status"] = status[:3]
            answer["length"] = next((v for k, v in headers if k.lower() == "content-length"), "-")
            return start_response(status, headers, exc_info)

        # A request that only asks for its body (BodyWanted) leaves here and is logged later.
        response = self._app(environ, start)
        repository = environ.get(REPOSITORY)
        actor = environ.get(ACTOR)
        _log.info(
            '%s %s %s "%s %s" %s %s %s %.1f ms "%s"',
            environ.get("REMOTE_ADDR", "-"),
            repository.name if repository else "-",
            actor.name if actor else "-",
            environ["REQUEST_METHOD"],
            _target(environ),
            answer.get("status", "-"),
            answer.get("length", "-"),
            environ.get(SOURCE, "-"),
            (time.perf_counter() - begin) * 1000,
            _printable(environ.get("HTTP_USER_AGENT", "-")),
        )
        return response


def _target(environ: Environ) -> str:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING")
    return _printable(f"{path}?{query}" if query else path)


def _printable(text: str) -> str:
    """Return the text without what could forge a line: breaks, quotes, control characters."""
    return "".join(each if each.isprintable() and each != '"' else "?" for each in text)[:1000]
