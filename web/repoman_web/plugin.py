"""The web pages, registered through the same hooks as any other plugin."""

import click
from flask import Blueprint, Response

from repoman.plugin import Failure, PageLink, hookimpl
from repoman_web.commands import session
from repoman_web.views import failures
from repoman_web.views.navigation import BLUEPRINTS, LINKS


@hookimpl
def repoman_register_web() -> list[Blueprint]:
    """Return the pages of the main port."""
    return [*BLUEPRINTS]


@hookimpl
def repoman_register_pages() -> list[PageLink]:
    """Return the links to the pages above."""
    return [*LINKS]


@hookimpl
def repoman_register_commands() -> list[click.Command]:
    """Return the commands about browser sessions."""
    return [session]


@hookimpl
def repoman_render_failure(failure: Failure) -> Response:
    """Return the page for a failure, or a redirect to the login page."""
    return failures.render(failure)
