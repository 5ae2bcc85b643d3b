"""Access on the wire: the challenge, the token endpoint, and the scopes that a token must have.

Clients look only at the answer to ``/v2/`` to learn how to log in. Where anybody may read, it
therefore sends everybody to the token endpoint, which gives anonymous tokens too; so pulls without
and pushes with a login work at one address. Where nobody may, Basic is enough.
"""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from flask import Blueprint, Request, Response, request

from repoman.plugin import (
    ANONYMOUS,
    Action,
    Actor,
    Scope,
    action_of_method,
    current_actor,
    current_repository,
    current_security,
)
from repoman_docker.protocol.challenge import (
    CATALOG,
    TokenScope,
    image_scope,
    parse_scopes,
    render_challenge,
)
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.paths import Resource, Route
from repoman_docker.routes.current import current_route

TOKEN_PATH = "/v2/token"  # noqa: S105 - a path
LIFETIME = 300  # seconds, as the core issues tokens
ACTIONS = {"pull": Action.READ, "push": Action.WRITE, "delete": Action.DELETE, "*": Action.READ}

token = Blueprint("docker_token", __name__)


@token.get(TOKEN_PATH)
def get_token() -> Response:
    """Answer with a token for as much of the scopes asked for as the actor may have."""
    actor = current_actor()
    asked = parse_scopes(request.args.getlist("scope"))
    granted = tuple(scope for scope in (_grant(actor, each) for each in asked) if scope.actions)
    text = current_security().tokens.issue(actor, current_repository().name, granted)
    issued_at = datetime.fromtimestamp(int(time.time()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"token": text, "access_token": text, "expires_in": LIFETIME, "issued_at": issued_at}
    response = Response(json.dumps(body), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _grant(actor: Actor, asked: TokenScope) -> Scope:
    authorizer = current_security().authorizer
    actions = frozenset(
        each
        for each in asked.actions
        if each in ACTIONS and authorizer.is_allowed(actor, ACTIONS[each])
    )
    return Scope(asked.type, asked.name, actions)


def action_of(request: Request) -> Action:
    """Return what a request does; everything about an upload is part of a push."""
    route = current_route()
    if route is not None and route.resource in (Resource.UPLOAD, Resource.UPLOAD_START):
        return Action.WRITE
    return action_of_method(request)


def challenge() -> str | None:
    """Return the challenge for a request that needs a login, or None for the usual Basic."""
    if request.path == TOKEN_PATH or not _anybody_may_read():
        return None
    route = current_route()
    return _bearer(() if route is None else _needed_scopes(route))


def check_ping() -> None:
    """Return if the client at ``/v2/`` has shown who it is.

    Raises:
        RegistryError: UNAUTHORIZED, with the way to a token.
    """
    actor = current_actor()
    if actor.is_anonymous and actor.scopes is None:
        raise RegistryError(ErrorCode.UNAUTHORIZED, headers={"WWW-Authenticate": _bearer(())})


def check_scopes(route: Route) -> None:
    """Return if the request's token, if there is one, may be used for it.

    Raises:
        RegistryError: UNAUTHORIZED, so that the client fetches a token for more.
    """
    actor = current_actor()
    needed = _needed_scopes(route)
    if all(actor.has_scope(each.type, each.name, a) for each in needed for a in each.actions):
        return
    raise RegistryError(
        ErrorCode.UNAUTHORIZED,
        "The token does not cover this request.",
        headers={"WWW-Authenticate": _bearer(needed, "insufficient_scope")},
    )


def _anybody_may_read() -> bool:
    return current_security().authorizer.is_allowed(ANONYMOUS, Action.READ)


def _bearer(scopes: Iterable[TokenScope], error: str = "") -> str:
    # Clients need an absolute address here, the one under which they reached this server.
    realm = request.root_url.rstrip("/") + TOKEN_PATH
    return render_challenge(realm, current_repository().name, scopes, error)


def _needed_scopes(route: Route) -> tuple[TokenScope, ...]:
    if route.resource is Resource.BASE:
        return ()
    if route.resource is Resource.CATALOG:
        return (CATALOG,)
    if action_of(request) is Action.READ:
        return (image_scope(route.name, "pull"),)
    if action_of(request) is Action.DELETE:
        return (image_scope(route.name, "delete"),)
    push = image_scope(route.name, "pull", "push")
    source = request.args.get("from") if "mount" in request.args else None
    return (push,) if source is None else (push, image_scope(source, "pull"))
