"""Logins: a name and a password for a user token of this server, which npm keeps."""

import json
import re
import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar

from flask import Blueprint, Request, jsonify
from pydantic import Field

from repoman.plugin import (
    Actor,
    ConnectorSection,
    Credentials,
    Denied,
    Invalid,
    Limit,
    Unauthenticated,
    current_actor,
    current_environ,
    current_repository,
    current_security,
    read_body,
)

LOGIN = re.compile(r"/-/user/org\.couchdb\.user:(.+)", re.DOTALL)
LOGIN_MAX_BYTES = 64 << 10
TOKEN = re.compile(r"rpm_([0-9a-f]{16})_.*", re.DOTALL)


class NpmSection(ConnectorSection):
    """How clients reach the repository, and for how long their logins are good."""

    in_rest: ClassVar = {"login_days": None}  # Clients refuse fields that they do not know.

    login_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        title="Days of a login",
        description=(
            "For how many days the token is good that npm login gets; none: until npm logout, or "
            "as long as the server lets user tokens live."
        ),
        json_schema_extra={"advanced": True},
    )


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.put("/-/user/<rest:user>")(log_in)
    blueprint.delete("/-/user/token/<rest:token>")(log_out)
    blueprint.get("/-/whoami")(whoami)
    blueprint.get("/-/npm/v1/user")(profile)


def is_login(request: Request) -> bool:
    """Return whether a request is a login: the header may have an older one, which says nothing."""
    return request.method == "PUT" and LOGIN.fullmatch(request.path) is not None


def credentials_of(request: Request) -> Credentials:
    """Return name and password of a login (Invalid: it does not have them)."""
    found = LOGIN.fullmatch(request.path)
    try:
        given = json.loads(read_body(current_environ(), LOGIN_MAX_BYTES))
        name, password = given["name"], given["password"]
        f"{name}{password}".encode()  # JSON can spell halves of characters, which are no text.
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Invalid("A login is a JSON object with name and password.") from error
    if not (found and found[1] == name and isinstance(password, str) and name and password):
        raise Invalid("A login needs a name, as in the address, and a password.")
    return Credentials(name, password)


def log_in(user: str) -> Any:
    """Return a user token for this repository, for whoever has given the password."""
    actor, security = _who(), current_security()
    if actor.token:
        raise Denied(
            "A user token logs in already: npm config set //HOST/…/:_authToken TOKEN. "
            "For a new one, log in with the password."
        )
    security.users.get_account(actor)
    repository = current_repository()
    days = repository.config.section("npm", NpmSection).login_days
    name = f"npm {datetime.now(UTC):%Y-%m-%d %H:%M:%S} {secrets.token_hex(3)}"
    token = security.user_tokens.create(actor.name, name, Limit((repository.name,)), days)
    return jsonify(ok=True, id=user, token=token), 201


def log_out(token: str) -> Any:
    """End the token that the request came with."""
    found, actor = TOKEN.fullmatch(token), _who()
    if found is None or found[1] != actor.token:
        raise Denied("A client can only end the token with which it has logged in.")
    current_security().user_tokens.revoke(actor.name, actor.token)
    return jsonify(ok=True)


def whoami() -> Any:
    """Return who has logged in."""
    return jsonify(username=_who().name)


def profile() -> Any:
    """Return the same, as a profile."""
    return jsonify(name=_who().name, email="", tfa=False)


def _who() -> Actor:
    actor = current_actor()
    if actor.is_anonymous:
        raise Unauthenticated("You are not logged in. Log in with: npm login")
    return actor
