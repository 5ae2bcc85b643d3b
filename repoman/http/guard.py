"""Who makes a request, and what they may do: the guard before every route, logins, and views.

On the main port the name of a repository is in the address, and users without any access to it must
not learn whether it exists. Whatever fails before that is clear therefore leaves the application
as :class:`Hidden`, and :class:`repoman.http.router.Router` answers it as it does for a repository
that does not exist: how the credentials are read and how the failure is worded depend on the path
alone. A connector belongs to its repository, so there is nothing to hide.
"""

from base64 import b64decode
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar

from flask import Request, request
from flask.globals import request_ctx

from repoman.core import Repoman
from repoman.errors import Denied, NotFound, Unauthenticated, Unavailable
from repoman.http.body import RECEIVED
from repoman.http.content import PULLS
from repoman.http.current import (
    ACTOR,
    AUDIT,
    REPOSITORY,
    SECURITY,
    current_actor,
    current_environ,
    current_security,
    is_on_main_port,
    note_failed_login,
    note_nameless_login,
    note_password,
    note_refused,
)
from repoman.http.formats import Format
from repoman.http.hosts import check_origin
from repoman.repositories.model import Repository
from repoman.rest.endpoints import Permission, require_login
from repoman.security.actors import ANONYMOUS, Access, Actor, Credentials, RepositoryRef
from repoman.security.user_tokens import is_user_token

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
        self._note_pull = repoman.pulls.note
        self._security = repoman.security
        self._format = format_

    def check(self) -> None:
        """Return if the current request may go on to its route.

        Raises:
            RepomanError: it may not.
            Hidden: it may not, and its sender may not know that the repository exists.
        """
        request = request_ctx.request  # flask's stand-in looks for it again at each use
        environ = request.environ
        if HIDDEN in environ:
            raise environ[HIDDEN]
        environ[SECURITY] = self._security
        environ[AUDIT] = self._audit
        environ[PULLS] = self._note_pull
        repository: Repository = environ[REPOSITORY]
        ref, authorizer = repository.ref, self._security.authorizer
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
        if repository.service is None or not repository.config.is_online:
            _refuse(repository)

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
        if token is not None and not is_user_token(token):
            # A long upload may outlive its token, which was valid when the request began.
            has_begun = RECEIVED in request.environ
            return self._security.tokens.verify(token, repository.name, may_have_expired=has_begun)
        credentials = None if token else format_.credentials_of(request)
        if credentials is None:
            return actor_of_header(for_content=True)
        actor = log_in(credentials)
        _check_password(actor)
        note_password(actor)
        return actor


def _refuse(repository: Repository) -> NoReturn:
    """Say why a repository does not answer: it does not work, does not exist or is offline."""
    if repository.problem is not None:
        raise Unavailable(repository.problem)
    if repository.service is None:
        raise _no_such()
    raise Unavailable(f"The repository {repository.name!r} is offline.")


def _no_such() -> NotFound:
    return NotFound("The repository does not exist, or you have no access to it.")


MALFORMED = (
    "The Authorization header is not valid: it must be Basic, with the user name, a colon and the "
    "password in UTF-8, encoded in base64."
)
ALSO_BEARER = "It may also be Bearer, with a user token."


def log_in(credentials: Credentials | None) -> Actor:
    """Return who presents a name and a password; no credentials, or empty ones, are anonymous.

    Raises:
        Unauthenticated: they are wrong.
        TooManyRequests: too many were, lately.
        Unavailable: nobody can tell.
    """
    security = current_security()
    try:
        return security.authenticator.authenticate(credentials, request.remote_addr or "")
    except Unauthenticated as error:
        note_failed_login(credentials.name if credentials else "", error.retry_after)
        raise


def _check_password(actor: Actor) -> None:
    """Return if who has logged in may get to content so (Unauthenticated: needs a user token)."""
    if not (actor.token or actor.is_anonymous) and current_security().user_tokens.are_required:
        raise Unauthenticated(
            "Repositories of this server accept user tokens only: use one as the password."
        )


def actor_of_header(*, for_content: bool = False) -> Actor:
    """Return who the request's ``Authorization`` names; without one, anonymous.

    It is Basic or, where ``for_content`` says that it is for the content of a repository, Bearer
    with a user token.

    Raises:
        RepomanError: as :func:`log_in`; a header that names nobody is a wrong login.
    """
    header = current_environ().get("HTTP_AUTHORIZATION")
    if header is None:
        return ANONYMOUS

    def ask() -> Actor:
        credentials = parse_basic(header) or (_parse_bearer(header) if for_content else None)
        if credentials is None:
            note_nameless_login()
            raise Unauthenticated(f"{MALFORMED} {ALSO_BEARER}" if for_content else MALFORMED)
        actor = log_in(credentials)
        if for_content:
            _check_password(actor)
        return actor

    known_as = f"content {header}" if for_content else header
    actor = current_security().authenticator.remembered(known_as, ask)
    note_password(actor)
    return actor


def parse_basic(header: str) -> Credentials | None:
    """Return the name and password in the value of an ``Authorization`` header (RFC 7617).

    None for every other scheme, and for what is not base64 of UTF-8 with a colon in it.
    """
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        return None
    name, colon, password = text.partition(":")
    return Credentials(name, password) if colon else None


def _parse_bearer(header: str) -> Credentials | None:
    """Return the user token in the value of an ``Authorization`` header, as a login."""
    scheme, _, token = header.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not is_user_token(token):
        return None
    return Credentials(current_security().user_tokens.owner_of(token), token)


View = TypeVar("View", bound=Callable[..., Any])


def login_needed(view: View) -> View:
    """Let a view be called by users who logged in as a person, and not by a token.

    The view then raises Unauthenticated for nobody, and Denied for a token and for one who only has
    the name of somebody with an account.
    """

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        actor = current_actor()
        require_login(actor)
        if actor.token or actor.limit is not None or actor.scopes is not None:
            raise Denied("This cannot be done with a token. Log in with the password.")
        current_security().users.get_account(actor)
        return view(*args, **kwargs)

    return guarded  # type: ignore[return-value]  # it takes and returns what the view does


def permission_needed(domain: str, action: str) -> Callable[[View], View]:
    """Let a view be called by users with a permission on the server itself.

    The view then raises Unauthenticated for nobody, and Denied for somebody without the right.
    """
    needed = Permission(domain, action)

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            needed.require(current_actor(), current_security().authorizer)
            return view(*args, **kwargs)

        return guarded  # type: ignore[return-value]  # it takes and returns what the view does

    return guard
