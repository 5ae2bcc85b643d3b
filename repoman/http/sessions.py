"""Browser sessions on the main port: the cookies, and what a page may ask and do about them.

There are two cookies. One holds the secret of the login; all about it is in the database
(:mod:`repoman.security.sessions`). The other one is Flask's own ``session``, signed: it holds the
mark that Flask-WTF finds again in each form, and short notices for the next page. It belongs to one
login, or to none, and is forgotten with it.

Over HTTPS the names of both begin with ``__Secure-``. A browser refuses to replace a cookie of
HTTPS by one of plain HTTP, so with one name nobody could log in at both ports of a server.
"""

from typing import cast

from flask import Flask, Request, Response, after_this_request, g, request, session
from flask.sessions import SecureCookieSessionInterface

from repoman.http.current import current_actor, current_security, note_login, note_logout
from repoman.security.actors import Actor
from repoman.security.session_records import Session

LOGIN_COOKIE = "repoman-login"
FORMS_COOKIE = "repoman-forms"
MARK = "csrf_token"  # In Flask's g: the mark that Flask-WTF has made for this request.
SESSION = "repoman.session"  # environ: the Session of the request, if there is one

_OWNER = "login"  # in Flask's session: which login it belongs to


class FormsCookie(SecureCookieSessionInterface):
    """Flask's ``session`` in a cookie whose name, path and flags fit the request."""

    def get_cookie_name(self, app: Flask) -> str:
        """Return its name, by the scheme."""
        return _name_of(FORMS_COOKIE)

    def get_cookie_path(self, app: Flask) -> str:
        """Return the root of the pages, which a proxy may have put below a path."""
        return _path()

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether it may travel by HTTPS alone."""
        return request.is_secure

    def get_cookie_samesite(self, app: Flask) -> str:
        """Return ``Lax``: other sites may lead here, and may not post in somebody's name."""
        return "Lax"


def find_session(request: Request) -> Session | None:
    """Return the session that the cookie of a request belongs to, if it is still valid."""
    secret = _secret(request)
    return current_security().sessions.find(secret) if secret else None


def tie_forms(found: Session | None) -> None:
    """Forget the mark of forms, and what else the browser keeps, if it is another login's."""
    owner = found.id if found else ""
    if session.get(_OWNER, "") != owner:
        session.clear()
        g.pop(MARK, None)
        if owner:
            session[_OWNER] = owner


def current_session() -> Session | None:
    """Return the browser session of the request; None where there is none."""
    return cast("Session | None", request.environ.get(SESSION))


def has_lost_session() -> bool:
    """Return whether the browser had a session, and it has ended."""
    return bool(_secret(request)) and current_session() is None


def begin_session(actor: Actor) -> Session | None:
    """Log somebody in at this browser, with a new session in place of the one it had.

    Return that session; None: it has ended already.

    Raises:
        Denied: the actor has no account here.
    """
    sessions = current_security().sessions
    agent = request.headers.get("User-Agent", "")
    secret = sessions.begin(actor, request.remote_addr or "", agent, instead_of=_secret(request))
    if current_actor().owner != actor.owner:  # else it is one in place of another
        if current_session() is not None:
            note_logout()
        note_login(actor)
    found = sessions.find(secret)
    tie_forms(found)

    @after_this_request
    def _hand_out(response: Response) -> Response:
        response.set_cookie(
            _name_of(LOGIN_COOKIE),
            secret,
            path=_path(),
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )
        return response

    return found


def end_session() -> None:
    """Log out at this browser."""
    if current_session() is not None:
        note_logout()
    current_security().sessions.end(_secret(request))
    session.clear()

    @after_this_request
    def _take_back(response: Response) -> Response:
        response.delete_cookie(
            _name_of(LOGIN_COOKIE),
            path=_path(),
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )
        return response


def _secret(request: Request) -> str:
    return request.cookies.get(_name_of(LOGIN_COOKIE), "")


def _name_of(cookie: str) -> str:
    return f"__Secure-{cookie}" if request.is_secure else cookie


def _path() -> str:
    return request.script_root or "/"
