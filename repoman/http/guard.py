"""The guard before every route: who asks, may they, and may they know that there is anything?

On the main port the name of a repository is in the address, and whoever may do nothing there must
not learn whether it exists. The answer is therefore that to a repository which does not exist
(:class:`repoman.http.dispatch.Dispatcher` makes it); only the wording follows the path. A connector
belongs to its repository, so there is nothing to hide.
"""

from flask import Request

from repoman.core import Repoman
from repoman.errors import NotFound, RepomanError, Unauthenticated, Unavailable
from repoman.http.audit import AUDIT, note_password, note_refused
from repoman.http.body import RECEIVED
from repoman.http.current import (
    ACTOR,
    REPOSITORY,
    SECURITY,
    current_request,
    is_on_main_port,
    place_of,
)
from repoman.http.formats import Format
from repoman.http.logins import actor_of_header, log_in
from repoman.http.origin import check_origin
from repoman.repositories.model import Repository
from repoman.security.actors import ANONYMOUS, Access, Actor

HIDDEN = "repoman.hidden"  # the failure to answer with as if there were no such repository


class Guard:
    """Guards the routes of a format."""

    def __init__(self, repoman: Repoman, format_: Format) -> None:
        self._audit = repoman.audit
        self._security = repoman.security
        self._format = format_

    def check(self) -> None:
        """Return if the current request may go on to its route.

        Raises:
            RepomanError: it may not.
        """
        request = current_request()
        check_origin(request)
        environ = request.environ
        if HIDDEN in environ:
            raise environ[HIDDEN]
        environ[SECURITY] = self._security
        environ[AUDIT] = self._audit
        repository: Repository = environ[REPOSITORY]
        self._admit(request, repository)
        if repository.problem is not None:
            raise Unavailable(repository.problem)
        if repository.service is None:
            raise _no_such()
        if not repository.config.is_online:
            raise Unavailable(f"The repository {repository.name!r} is offline.")

    def _admit(self, request: Request, repository: Repository) -> None:
        authorizer = self._security.authorizer
        place = place_of(repository)
        is_secret = is_on_main_port() and not authorizer.knows(ANONYMOUS, place)
        access = Access() if repository.service is None else self._format.access_of(request)
        if access is None and not is_secret:
            request.environ[ACTOR] = ANONYMOUS
            return
        actor = self._authenticate(request, repository, is_secret=is_secret)
        if is_secret and not authorizer.knows(actor, place):
            if actor.is_anonymous:
                raise _hide(request, _login_needed())
            note_refused()
            raise _hide(request, _no_such())
        if access is not None:
            authorizer.check(actor, place, access)

    def _authenticate(self, request: Request, repository: Repository, *, is_secret: bool) -> Actor:
        try:
            actor = self._identify(request, repository)
        except Unauthenticated as error:
            raise _hide(request, error) if is_secret else error from None
        request.environ[ACTOR] = actor
        return actor

    def _identify(self, request: Request, repository: Repository) -> Actor:
        token = self._format.token_of(request)
        if token is not None:
            # A long upload may outlive its token, which was valid when the request began.
            has_begun = RECEIVED in request.environ
            return self._security.tokens.verify(token, repository.name, may_have_expired=has_begun)
        credentials = self._format.credentials_of(request)
        if credentials is None:
            return actor_of_header()
        actor = log_in(credentials)
        note_password(actor)
        return actor


def _hide(request: Request, error: RepomanError) -> RepomanError:
    request.environ[HIDDEN] = error
    return error


def _login_needed() -> RepomanError:
    return Unauthenticated("A login is needed for this.")


def _no_such() -> RepomanError:
    return NotFound("There is no such repository, or you have no right to anything in it.")
