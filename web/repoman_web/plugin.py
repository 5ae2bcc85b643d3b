"""The web pages, registered through the same hooks as any other plugin.

The views are imported by the hooks that a server calls, since commands need none of them.
"""

import click
from flask import Blueprint, Response

from repoman.plugin import Failure, PageLink, hookimpl

REPOMAN_API = "1.0"  # The version of the API of plugins that this was written for.


@hookimpl
def repoman_register_web() -> list[Blueprint]:
    """Return the pages of the main port."""
    from repoman_web.views.navigation import BLUEPRINTS

    return [*BLUEPRINTS]


@hookimpl
def repoman_register_pages() -> list[PageLink]:
    """Return the links to the pages above."""
    from repoman_web.views.navigation import LINKS

    return [*LINKS]


@hookimpl
def repoman_register_commands() -> list[click.Command]:
    """Return the commands about browser sessions."""
    from repoman_web.commands import session

    return [session]


@hookimpl
def repoman_render_failure(failure: Failure) -> Response:
    """Return the page for a failure, or a redirect to the login page."""
    from repoman_web.views import failures

    return failures.render(failure)
