"""The guard before every route: authenticates, authorizes, and hides what a user must not know.

On the main port the name of a repository is in the address, and users without any access to it must
not learn whether it exists. Whatever fails before that is clear therefore leaves the application
as :class:`Hidden`, and :class:`repoman.http.dispatch.Dispatcher` answers it as it does for a
repository that does not exist: how the credentials are read and how the failure is worded depend on
the path alone. A connector belongs to its repository, so there is nothing to hide.
"""

from flask import Request

from repoman.core import Repoman
from repoman.errors import NotFound, Unauthenticated, Unavailable
from repoman.http.audit import AUDIT, note_password, note_refused
from repoman.http.body import RECEIVED
from repoman.http.current import (
    ACTOR,
    REPOSITORY,
    SECURITY,
    current_request,
    is_on_main_port,
    ref_of,
)
from repoman.http.formats import Format
from repoman.http.logins import actor_of_header, log_in
from repoman.http.origin import check_origin
from repoman.repositories.model import Repository
from repoman.security.actors import ANONYMOUS, Access, Actor, RepositoryRef

HIDDEN = "repoman.hidden"  # environ: the failure to answer with as if there were no such repository
SPEAKER = "repoman.speaker"  # environ: the Format that clients of this path speak


class Hidden(BaseException):
    """Leaves the application: the visitor may not learn whether the repository exists.

    Not an ``Exception``, so that no error handler of the repository's format words it.

    Args:
        error: the failure to answer with.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._errors = [error]

    def take(self) -> Exception:
        """Return the failure, once, and let go of it.

        Frames of Flask hold this exception. If it held them, by the failure and what both have
        been through, they and the password in them would be there until a collection of garbage.
        """
        self.__cause__ = self.__context__ = self.__traceback__ = None
        return self._errors.pop()


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
            Hidden: it may not, and its sender may not know that the repository exists.
        """
        request = current_request()
        environ = request.environ
        if HIDDEN in environ:
            raise environ[HIDDEN]
        environ[SECURITY] = self._security
        environ[AUDIT] = self._audit
        repository: Repository = environ[REPOSITORY]
        ref, authorizer = ref_of(repository), self._security.authorizer
        is_secret = is_on_main_port() and not authorizer.knows(ANONYMOUS, ref)
        if is_secret:
            self._reveal(request, repository, ref)
        else:
            check_origin(request)
        access = Access() if repository.service is None else self._format.access_of(request)
        if not is_secret:
            is_asked = access is not None
            actor = self._identify(request, repository, self._format) if is_asked else ANONYMOUS
            environ[ACTOR] = actor
        if access is not None:
            authorizer.check(environ[ACTOR], ref, access)
        _check_state(repository)

    def _reveal(self, request: Request, repository: Repository, ref: RepositoryRef) -> None:
        """Find out who asks, and return if they may know of the repository (Hidden)."""
        environ = request.environ
        try:
            check_origin(request)
            actor = environ[ACTOR] = self._identify(request, repository, environ[SPEAKER])
            if not self._security.authorizer.knows(actor, ref):
                if actor.is_anonymous:
                    raise Unauthenticated("Authentication is required.")
                note_refused()
                raise _no_such()
        except Exception as error:
            raise Hidden(error) from error

    def _identify(self, request: Request, repository: Repository, format_: Format) -> Actor:
        token = format_.token_of(request)
        if token is not None:
            # A long upload may outlive its token, which was valid when the request began.
            has_begun = RECEIVED in request.environ
            return self._security.tokens.verify(token, repository.name, may_have_expired=has_begun)
        credentials = format_.credentials_of(request)
        if credentials is None:
            return actor_of_header()
        actor = log_in(credentials)
        note_password(actor)
        return actor


def _check_state(repository: Repository) -> None:
    if repository.problem is not None:
        raise Unavailable(repository.problem)
    if repository.service is None:
        raise _no_such()
    if not repository.config.is_online:
        raise Unavailable(f"The repository {repository.name!r} is offline.")


def _no_such() -> NotFound:
    return NotFound("The repository does not exist, or you have no access to it.")
