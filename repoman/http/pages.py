"""The navigation of the pages as data: links that plugins register, and who may see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import cast

from flask import Flask, current_app, request, url_for

from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.http.current import current_actor, current_security
from repoman.rest.endpoints import EVERYBODY, Everybody, Permission, SignedIn

EXTENSION = "repoman_pages"
# What a page may load (the header Content-Security-Policy).
PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


@dataclass(frozen=True, slots=True)
class PageLink:
    """A page of the main port, as the navigation has it.

    Attributes:
        section: what it stands under; sections with the same title are one.
        title: its name.
        icon: the name of its symbol.
        endpoint: of its view, as Flask knows it: ``blueprint.function``; it takes no arguments.
        permission: who may see the link; the view itself checks who may see the page.
        order: small numbers come first.
    """

    section: str
    title: str
    icon: str
    endpoint: str
    permission: Everybody | SignedIn | Permission = EVERYBODY
    order: int = 100


@dataclass(frozen=True, slots=True)
class ShownLink:
    """A link that the visitor may see; ``is_current``: the visitor is on that page, or below it."""

    title: str
    icon: str
    url: str
    is_current: bool


def install_pages(app: Flask, repoman: Repoman) -> None:
    """Let :func:`list_pages` find the links of all plugins; their views are in the app already.

    Raises:
        Invalid: a link leads to no view.
    """
    links = list(chain(*repoman.plugins.hook.repoman_register_pages()))
    for each in links:
        if each.endpoint not in app.view_functions:
            raise Invalid(f"The page {each.title!r} has no view: {each.endpoint} is unknown.")
    app.extensions[EXTENSION] = sorted(links, key=lambda link: (link.order, link.title))


def list_pages() -> Mapping[str, list[ShownLink]]:
    """Return the links that the visitor may see by the title of their section, in their order."""
    links = cast("list[PageLink]", current_app.extensions[EXTENSION])
    actor, authorizer = current_actor(), current_security().authorizer
    shown: dict[str, list[ShownLink]] = {}
    for each in links:
        if each.permission.allows(actor, authorizer):
            url = url_for(each.endpoint)
            is_current = request.path == url or request.path.startswith(f"{url}/")
            shown.setdefault(each.section, []).append(
                ShownLink(each.title, each.icon, url, is_current)
            )
    return shown
