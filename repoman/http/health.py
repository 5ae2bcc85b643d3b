"""Health over HTTP: for balancers, which ask often and are nobody, and for administrators.

Strangers learn whether the server lives and is ready, and nothing more. These requests are in
neither log: there would be little else in them.
"""

from collections.abc import Mapping
from http import HTTPStatus

from flask import Blueprint, Response, current_app, jsonify

from repoman.core import Repoman
from repoman.db.read_only import MESSAGE
from repoman.http.body import Environ
from repoman.http.current import CONNECTOR, MAIN, current_actor, current_security
from repoman.rest.endpoints import Permission

LIVE = "/healthz"
READY = "/readyz"
STATUS = "/service/rest/v1/status"  # See repoman.rest.status.
WRITABLE = f"{STATUS}/writable"

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
    health = repoman.health
    blueprint.record_once(lambda setup: setup.app.extensions.update({EXTENSION: repoman}))

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

    return blueprint


def list_problems() -> list[str]:
    """Return what does not work on this server, one sentence each, if the visitor may know."""
    repoman: Repoman = current_app.extensions[EXTENSION]
    if not _may_see_details():
        return []
    frozen = [] if repoman.database.read_only.state is None else [MESSAGE]
    return [*frozen, *repoman.health.problems().values()]


def _answer(text: str, status: int = HTTPStatus.OK) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(text, status, headers, mimetype="text/plain")


def _status(problems: Mapping[str, str]) -> HTTPStatus:
    return HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK


def _may_see_details() -> bool:
    return DETAILS.allows(current_actor(), current_security().authorizer)
