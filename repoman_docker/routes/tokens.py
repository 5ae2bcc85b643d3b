"""The token endpoint: Docker's GET with a login in the header, and the OAuth2 POST of a form.

There are no refresh tokens: docker would store one in place of the password, and use it forever.

The main port serves no images; its endpoint tells clients the addresses of the connectors. Of a
response to ``/v2/`` docker shows only the status. It does show the error of a token endpoint, so
``/v2/`` of the main port sends it to one.

Source: Docker's token authentication specification; RFC 6749, section 4.3.
"""

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qs

from flask import Blueprint, Response, request

from repoman.plugin import (
    Actor,
    Credentials,
    Invalid,
    NotFound,
    Scope,
    Unauthenticated,
    current_actor,
    current_environ,
    current_repository,
    current_security,
    list_addresses,
    main_address,
    read_body,
)
from repoman_docker.protocol.challenge import CATALOG, TokenScope, parse_scopes, render_challenge
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.routes.access import BROWSE, NEEDS, TOKEN_PATH, may, repository
from repoman_docker.routes.errors import render_registry_error

FORM = "repoman_docker.form"  # environ: the form of the request, once it has been read
FORM_MAX_BYTES = 65_536  # maximum bytes of a form
FIELDS_MAX = 200
SCOPES_MAX = 100  # maximum number for one token; further scopes are not granted
SERVICE = "main port"  # The name of the service in the challenge.
ADDRESSES_MAX = 20  # Maximum number of repositories in the message.
ELSEWHERE = (
    "This is the main port, which serves no Docker images: each Docker repository has a port of "
    "its own."
)

Form = dict[str, list[str]]

token = Blueprint("docker_token", __name__)
main_port = Blueprint("docker_main_port", __name__)


@token.get(TOKEN_PATH)
def get_token() -> Response:
    """Issue a token with those of the requested scopes that the actor may have."""
    return _answer(request.args.getlist("scope"))


@token.post(TOKEN_PATH)
def post_token() -> Response:
    """Do the same for a login in the form."""
    return _answer(_form().get("scope", []))


def credentials_of_form() -> Credentials:
    """Return the login in an OAuth2 form.

    Raises:
        Invalid: the body is not a form, or requests another grant.
        TooLarge: the form is too long.
    """
    form = _form()
    grant = form.get("grant_type", [""])[0]
    if grant != "password":
        raise Invalid(
            f"grant_type: {grant[:50]!r} is not supported; it must be 'password'.",
            field="grant_type",
        )
    return Credentials(form.get("username", [""])[0], form.get("password", [""])[0])


def _form() -> Form:
    environ = current_environ()
    if FORM not in environ:
        environ[FORM] = _read_form()
    return cast("Form", environ[FORM])


def _read_form() -> Form:
    if request.mimetype != "application/x-www-form-urlencoded":
        raise Invalid("The body must be a form: application/x-www-form-urlencoded.")
    body = read_body(current_environ(), FORM_MAX_BYTES)
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise Invalid("The body is not a valid form.") from error


def _answer(scopes: list[str]) -> Response:
    if (
        current_actor().scopes is not None
    ):  # otherwise a token could be renewed forever, with more scopes
        raise Unauthenticated(
            "A token cannot be used to get another token. Log in with your password."
        )
    if repository().settings.force_basic_auth:
        raise NotFound(
            "This repository does not issue tokens. Send the password with each request."
        )
    actor, tokens = current_actor(), current_security().tokens
    asked = parse_scopes(scopes)[:SCOPES_MAX]
    granted = tuple(scope for scope in (_grant(actor, each) for each in asked) if scope.actions)
    text = tokens.issue(actor, current_repository().name, granted)
    body = {
        "token": text,
        "access_token": text,
        "expires_in": tokens.lifetime_for(actor),
        "issued_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "scope": " ".join(str(TokenScope(each.type, each.name, each.actions)) for each in granted),
    }
    response = Response(json.dumps(body), mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _grant(actor: Actor, asked: TokenScope) -> Scope:
    if (asked.type, asked.name) == (CATALOG.type, CATALOG.name):
        return Scope(asked.type, asked.name, asked.actions & {"*", "search"})
    wanted = frozenset(NEEDS) if "*" in asked.actions else asked.actions
    actions = frozenset(each for each in wanted if _may_have(actor, asked.name, each))
    return Scope(asked.type, asked.name, actions)


def _may_have(actor: Actor, name: str, action: str) -> bool:
    # Clients list tags with the scope of a pull, but lists need another right.
    is_list = action == "pull" and may(actor, name, BROWSE)
    return is_list or may(actor, name, NEEDS.get(action))


@main_port.get("/v2/", defaults={"path": ""})
@main_port.get("/v2/<path:path>")
def send_elsewhere(path: str) -> Response:
    """Refuse any request of the API, so that the client requests a token."""
    headers = {"WWW-Authenticate": render_challenge(main_address() + TOKEN_PATH, SERVICE)}
    return render_registry_error(
        RegistryError(ErrorCode.UNAUTHORIZED, ELSEWHERE, {"path": path[:200]}, headers=headers)
    )


@main_port.get(TOKEN_PATH)
def tell_addresses() -> Response:
    """Refuse a token; the message lists the Docker repositories that the user may see."""
    found = [
        f"{each.name} at {each.urls[0].partition('://')[2]}"
        for each in list_addresses()
        if each.format == "Docker" and each.urls
    ]
    where = f" You have access to {', '.join(found[:ADDRESSES_MAX])}." if found else ""
    where = where or " Ask the administrator of this server for the port."
    error = RegistryError(ErrorCode.DENIED, ELSEWHERE + where, status=HTTPStatus.FORBIDDEN)
    return render_registry_error(error)
