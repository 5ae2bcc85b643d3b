"""What views of pages need: who asks for which repository, and what to say after a change."""

from http import HTTPStatus

from flask import flash, redirect, request
from markupsafe import Markup
from werkzeug.wrappers import Response

from repoman.http.addresses import format_name_of, main_address
from repoman.http.current import current_actor, current_repoman, current_security
from repoman.repositories.model import Repository
from repoman.rest.endpoints import Call, Permission, RepositoryContent, RepositorySettings
from repoman.security.actors import Action

NAME = "name"  # Under which a right finds the name of its repository.


def page_call() -> Call:
    """Return the current request as the functions and the rights of the REST API see it."""
    return Call(
        repoman=current_repoman(),
        actor=current_actor(),
        address=request.remote_addr or "",
        base_url=main_address(),
        name_of=format_name_of,
    )


def may_administer(domain: str, action: str) -> bool:
    """Return whether the visitor has a permission on the server itself."""
    return Permission(domain, action).allows(current_actor(), current_security().authorizer)


def content_repository(name: str) -> Repository:
    """Return a repository in which the visitor has some right.

    Whether they may see something in it, ``page_call`` or the service says.

    Raises:
        Unauthenticated, NotFound: there is none, or the visitor may not know.
    """
    call = page_call()
    RepositoryContent(NAME).check(call, {NAME: name})
    return call.repository


def settings_repository(name: str, action: Action) -> Repository:
    """Return a repository on whose settings the visitor may do this.

    Raises:
        Unauthenticated, NotFound: there is none, or the visitor may not know.
        Denied: the visitor may not do this.
    """
    call = page_call()
    RepositorySettings(action, NAME).check(call, {NAME: name})
    return call.repository


def done(
    text: str, url: str, link: tuple[str, str] | None = None, *, tone: str = "good"
) -> Response:
    """Return the redirect after a change, to a page that says what was done.

    ``link`` is the text and the address of what comes next; ``tone`` that of the notice.
    """
    message: str = text
    if link is not None:
        message = Markup('{} <a href="{}">{}</a>').format(text, link[1], link[0])
    flash(message, tone)
    return redirect(url, HTTPStatus.SEE_OTHER)
