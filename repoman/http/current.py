"""What a route can find out about the request it serves."""

from typing import Any, cast

from flask import Request, request

from repoman.repositories.model import Repository
from repoman.security.actors import Actor, RepositoryRef
from repoman.security.services import Security

REPOSITORY = "repoman.repository"  # keys of the WSGI environment
ACTOR = "repoman.actor"
SECURITY = "repoman.security"
SOURCE = "repoman.source"
CONNECTOR = "repoman.connector"

MAIN = "*"  # the main port, in place of a repository; no repository can be called so


def current_environ() -> dict[str, Any]:
    """Return the WSGI environment of the request."""
    return request.environ


def current_repository() -> Repository:
    """Return the repository that the request came to, by path or by connector."""
    return cast("Repository", request.environ[REPOSITORY])


def is_on_main_port() -> bool:
    """Return whether the request came by the main port, whose pages have the same origin."""
    connector: str = request.environ.get(CONNECTOR, MAIN)
    return connector.partition(":")[0] == MAIN


def current_ref() -> RepositoryRef:
    """Return the repository of the request as rights see it."""
    return current_repository().ref


def current_actor() -> Actor:
    """Return who makes the request; set once it is authenticated."""
    return cast("Actor", request.environ[ACTOR])


def current_security() -> Security:
    """Return the services that decide who may do what."""
    return cast("Security", request.environ[SECURITY])


def bearer_token(request: Request) -> str | None:
    """Return the bearer token of a request; None if it has none (RFC 6750, section 2.1)."""
    scheme, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
