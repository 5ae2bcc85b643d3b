"""What a format plugin registers: its name, its routes and how it words an error."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Request, Response

from repoman.http.errors import Failure, render_plain
from repoman.security.actors import Action

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def action_of_method(request: Request) -> Action:
    """Return what a request does, judged by its method alone."""
    if request.method in SAFE_METHODS:
        return Action.READ
    return Action.DELETE if request.method == "DELETE" else Action.WRITE


@dataclass(frozen=True, slots=True)
class Format:
    """A package world with its own protocol.

    Attributes:
        name: what its recipes and repositories are filed under (``raw``).
        title: its name for people.
        blueprints: its routes, as seen from the root of a connector.
        render_error: returns the response for a failure, in the format's own words.
        action_of: returns what a request does, for the rights.
        needs_root: whether its clients cannot take a path in the address, so that it wants a
            connector.
        trust: where its clients look for the certificate of an authority to trust; a path, with
            HOST and PORT for those of the connector.
    """

    name: str
    title: str
    blueprints: tuple[Blueprint, ...]
    render_error: Callable[[Failure], Response] = render_plain
    action_of: Callable[[Request], Action] = action_of_method
    needs_root: bool = False
    trust: str | None = None
