"""The navigation of the pages as data: links that plugins register, and who may see them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, cast

from flask import Flask, current_app, request, url_for

from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.http.current import current_actor, current_security
from repoman.rest.endpoints import EVERYBODY
from repoman.security.actors import Action, Actor
from repoman.security.authorization import Authorizer

EXTENSION = "repoman_pages"
# The sections of the navigation in their order; those of plugins follow.
SECTIONS = ("", "Content", "Security", "System")
# What a page may load (the header Content-Security-Policy).
PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


class Visibility(Protocol):
    """Who sees a link: everybody, who has logged in, who has a permission."""

    def allows(self, actor: Actor, authorizer: Authorizer) -> bool:
        """Return whether this actor does."""


@dataclass(frozen=True, slots=True)
class SomeSettings:
    """The right to an action on the settings of some repository; there need not be one."""

    action: Action

    def allows(self, actor: Actor, authorizer: Authorizer) -> bool:
        """Return whether the actor has it."""
        return not actor.is_anonymous and authorizer.may_configure_some(actor, self.action)


@dataclass(frozen=True, slots=True)
class PageLink:
    """A page of the main port, as the navigation has it.

    Attributes:
        section: what it stands under; sections with the same title are one. The first one has no
            title.
        title: its name.
        icon: the name of its symbol.
        endpoint: of its view, as Flask knows it: ``blueprint.function``; it takes no arguments.
        permission: who may see the link; the view itself checks who may see the page.
        order: small numbers come first.
        count: returns how many things on the page need attention; asked for each page, so it must
            be at hand.
    """

    section: str
    title: str
    icon: str
    endpoint: str
    permission: Visibility = EVERYBODY
    order: int = 100
    count: Callable[[], int] | None = None


@dataclass(frozen=True, slots=True)
class ShownLink:
    """A link that the visitor may see; ``is_current``: the visitor is on that page, or below it."""

    title: str
    icon: str
    url: str
    is_current: bool
    count: int = 0


def install_pages(app: Flask, repoman: Repoman) -> None:
    """Let :func:`list_pages` find the links of all plugins; their views are in the app already.

    Raises:
        Invalid: a link leads to no view.
    """
    links = list(chain(*repoman.plugins.hook.repoman_register_pages()))
    for each in links:
        if each.endpoint not in app.view_functions:
            raise Invalid(f"The page {each.title!r} has no view: {each.endpoint} is unknown.")
    app.extensions[EXTENSION] = sorted(links, key=_place)


def _place(link: PageLink) -> tuple[int, int, str]:
    section = SECTIONS.index(link.section) if link.section in SECTIONS else len(SECTIONS)
    return (section, link.order, link.title)


def list_pages() -> Mapping[str, list[ShownLink]]:
    """Return the links that the visitor may see by the title of their section, in their order."""
    links = cast("list[PageLink]", current_app.extensions[EXTENSION])
    actor, authorizer = current_actor(), current_security().authorizer
    shown: dict[str, list[ShownLink]] = {}
    for each in links:
        if each.permission.allows(actor, authorizer):
            shown.setdefault(each.section, []).append(_show(each))
    return shown


def _show(link: PageLink) -> ShownLink:
    url, here = url_for(link.endpoint), request.script_root + request.path
    is_current = here == url or here.startswith(f"{url}/")
    return ShownLink(link.title, link.icon, url, is_current, link.count() if link.count else 0)
