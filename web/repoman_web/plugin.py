"""The web pages, registered through the same hooks as any other plugin."""

import click
from flask import Blueprint, Response

from repoman.plugin import Failure, PageLink, hookimpl
from repoman_web.commands import session
from repoman_web.views import browse_history, browse_paths, failures
from repoman_web.views.account import account, tokens
from repoman_web.views.browse import browse
from repoman_web.views.first_run import first_run
from repoman_web.views.login import login
from repoman_web.views.pages import pages
from repoman_web.views.repository_pages import BLUEPRINTS as REPOSITORIES
from repoman_web.views.repository_pages import LINKS as REPOSITORY_LINKS
from repoman_web.views.search import search
from repoman_web.views.security.pages import BLUEPRINTS as SECURITY
from repoman_web.views.security.pages import LINKS as SECURITY_LINKS
from repoman_web.views.server_pages import BLUEPRINTS as SERVER
from repoman_web.views.server_pages import LINKS as SERVER_LINKS
from repoman_web.views.system import SYSTEM, SYSTEM_LINKS
from repoman_web.views.upload import SomeUploads, upload
from repoman_web.views.use import use

# The modules whose views are in the blueprint of another module.
MORE_VIEWS = (browse_history, browse_paths)


@hookimpl
def repoman_register_web() -> list[Blueprint]:
    """Return the pages of the main port."""
    return [
        *(pages, login, first_run, account, tokens, browse, search, upload, use),
        *SYSTEM,
        *SECURITY,
        *SERVER,
        *REPOSITORIES,
    ]


@hookimpl
def repoman_register_pages() -> list[PageLink]:
    """Return the links to the pages above."""
    return [
        PageLink("", "Home", "home", "pages.start", order=10),
        PageLink("", "Browse", "layers", "browse.show", order=20),
        PageLink("", "Search", "search", "search.show", order=30),
        *REPOSITORY_LINKS,
        PageLink("", "Upload", "upload", "upload.show", SomeUploads(), 40),
        *SYSTEM_LINKS,
        *SECURITY_LINKS,
        *SERVER_LINKS,
    ]


@hookimpl
def repoman_register_commands() -> list[click.Command]:
    """Return the commands about browser sessions."""
    return [session]


@hookimpl
def repoman_render_failure(failure: Failure) -> Response:
    """Return the page for a failure, or a redirect to the login page."""
    return failures.render(failure)
