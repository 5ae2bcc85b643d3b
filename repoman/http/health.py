"""Health over HTTP: for balancers, which ask often and are nobody, and for administrators.

Strangers learn whether the server lives and is ready, and nothing more. These requests are in
neither log: there would be little else in them.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, current_app, jsonify

from repoman.core import Repoman
from repoman.health import Health
from repoman.http.body import Environ
from repoman.http.current import CONNECTOR, MAIN, current_actor, current_security
from repoman.http.guard import permission_needed
from repoman.rest.endpoints import Permission

LIVE = "/healthz"
READY = "/readyz"
STATUS = "/service/rest/v1/status"
WRITABLE = f"{STATUS}/writable"
CHECK = f"{STATUS}/check"

EXTENSION = "repoman_health"
DETAILS = Permission("metrics", "read")  # Who may know what does not work.

# Nobody is asked who they are here, and no login, not even a wrong one, makes a difference.
OPEN = frozenset({LIVE, STATUS, WRITABLE})
UNLOGGED = OPEN | {READY}  # Nor are they logged.


def is_health_check(environ: Environ) -> bool:
    """Return whether a request asks for the health of the server, on the main port."""
    return (
        environ["PATH_INFO"] in UNLOGGED
        and environ["REQUEST_METHOD"] in ("GET", "HEAD")
        and environ.get(CONNECTOR, MAIN).partition(":")[0] == MAIN
    )


def create_health_rest(repoman: Repoman) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("repoman_health", __name__)
    health, writing = repoman.health, repoman.writing
    blueprint.record_once(lambda setup: setup.app.extensions.update({EXTENSION: health}))

    @blueprint.get(LIVE)
    def live() -> Response:
        """Answer: so the process lives."""
        return _answer("ok\n")

    @blueprint.get(READY)
    def ready() -> Response:
        """Answer whether all parts work; with the reasons for users who may know them."""
        problems = health.problems()
        if _may_see_details():
            response = jsonify({"ready": not problems, "problems": dict(problems)})
            response.status_code = _status(problems)
            return response
        return _answer("not ready\n" if problems else "ready\n", _status(problems))

    @blueprint.get(STATUS)
    def readable() -> Response:
        """Answer whether content can be read; as Sonatype Nexus Repository 3 does."""
        problems = health.problems()
        needed = ("database", "blob store")
        return _answer("", _status({k: v for k, v in problems.items() if k.startswith(needed)}))

    @blueprint.get(WRITABLE)
    def writable() -> Response:
        """Answer whether content can be written; as Sonatype Nexus Repository 3 does."""
        return _answer("", _status(writing.problems()))

    @blueprint.get(CHECK)
    @permission_needed(DETAILS.domain, DETAILS.action)
    def check() -> dict[str, Any]:
        """Answer with all checks; in the form of Sonatype Nexus Repository 3."""
        return {**_told(health), **_told(writing)}

    return blueprint


def list_problems() -> list[str]:
    """Return what does not work on this server, one sentence each, if the visitor may know."""
    health: Health = current_app.extensions[EXTENSION]
    return list(health.problems().values()) if _may_see_details() else []


def _answer(text: str, status: int = HTTPStatus.OK) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(text, status, headers, mimetype="text/plain")


def _status(problems: Mapping[str, str]) -> HTTPStatus:
    return HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK


def _may_see_details() -> bool:
    return DETAILS.allows(current_actor(), current_security().authorizer)


def _told(health: Health) -> dict[str, Any]:
    problems, now = health.problems(), time.time()
    return {
        name: {
            "healthy": name not in problems,
            "message": problems.get(name) or "This works.",
            "error": None,
            "details": None,
            "time": int(now * 1000),
            "duration": 0,
            "timestamp": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        }
        for name in health.names()
    }
