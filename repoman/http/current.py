"""What a route may ask of the request it serves."""

from typing import Any, cast

from flask import request

from repoman.repositories.model import Repository
from repoman.security.actors import Actor

REPOSITORY = "repoman.repository"  # keys of the WSGI environment
ACTOR = "repoman.actor"
SOURCE = "repoman.source"


def current_environ() -> dict[str, Any]:
    """Return the WSGI environment of the request."""
    return request.environ


def current_repository() -> Repository:
    """Return the repository that the request came to, by path or by connector."""
    return cast("Repository", request.environ[REPOSITORY])


def current_actor() -> Actor:
    """Return who makes the request; set once it is authenticated."""
    return cast("Actor", request.environ[ACTOR])
