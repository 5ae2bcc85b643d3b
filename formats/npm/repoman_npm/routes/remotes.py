"""What remotes are asked for past the cache of a proxy, and who may have them asked."""

from collections.abc import Callable
from functools import cache
from typing import cast

from repoman.plugin import (
    READING,
    Backend,
    Denied,
    FileRepository,
    Unauthenticated,
    current_actor,
    current_ref,
    current_repository,
    current_security,
)
from repoman_npm.paths import is_name

Serves = Callable[[str], bool]


def backends() -> list[Backend]:
    """Return which repositories answer for the current one.

    Raises:
        Unauthenticated, Denied: the visitor may not read anything in it.
    """
    actor, authorizer = current_actor(), current_security().authorizer
    if not authorizer.may_do_somewhere(actor, current_ref(), READING):
        if actor.is_anonymous:
            raise Unauthenticated("Authentication is required.")
        raise Denied("You may not read anything in this repository.")
    return cast("FileRepository", current_repository().service).backends()


def serves_of(backend: Backend) -> Serves:
    """Return whether a name is one that a backend answers for; each is looked up once."""
    return cache(lambda name: is_name(name) and backend.serves(name))
