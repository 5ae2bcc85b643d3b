"""The login page, also for whoever lost a session within a form, and signing out."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    Actor,
    Credentials,
    RepomanError,
    TooManyRequests,
    Unauthenticated,
    begin_session,
    current_actor,
    current_repoman,
    current_security,
    end_session,
    has_lost_session,
    is_first_login,
    list_addresses,
    log_in,
    note_failed_login,
)
from repoman_web.views.addresses import local_address
from repoman_web.views.forms import LoginForm
from repoman_web.views.unsent import UnsentForm

login = Blueprint("login", "repoman_web")


@login.get("/login")
def show() -> str | Response:
    """Return the form, or redirect a visitor who is signed in already."""
    wanted = request.args.get("next", "")
    if not current_actor().is_anonymous:
        return redirect(local_address(wanted), HTTPStatus.SEE_OTHER)
    form = LoginForm(formdata=None, next=wanted)
    return _render(form, has_ended=has_lost_session())


def render_expired() -> str:
    """Return the login page for a form whose session has ended; it carries what was typed."""
    unsent = UnsentForm.of_request()
    form = LoginForm(formdata=None, unsent=unsent.packed())
    return _render(form, has_ended=True)


@login.post("/login")
def enter() -> tuple[str, int] | Response | str:
    """Begin a session for a user who gives the right password."""
    form = LoginForm()
    if not form.validate():
        return _render(form), HTTPStatus.BAD_REQUEST
    credentials = Credentials(form.name.data, form.password.data)
    try:
        actor = log_in(credentials)
    except (Unauthenticated, TooManyRequests) as error:
        return _refused(form, error)
    # A session has no limits, so a token, which may have some, is not accepted as a password.
    if actor.is_anonymous or actor.token or actor.limit is not None:
        note_failed_login(credentials.name)
        return _refused(form, Unauthenticated("Wrong user name or password."))
    begin_session(actor)
    unsent = UnsentForm.unpacked(form.unsent.data or "")
    if unsent is not None:
        return render_template("repoman/unsent.html", unsent=unsent, visitor=actor)
    return redirect(_next_page(actor, form.next.data or ""), HTTPStatus.SEE_OTHER)


def _next_page(actor: Actor, wanted: str) -> str:
    """Return where to go after a login: to where one wanted, unless something comes first."""
    if current_security().users.get(actor.name).must_change_password:
        flash("Change your password: your present one was meant for the first login only.", "warn")
        return url_for("account.show_password")
    if not wanted and is_first_login(current_repoman().data, actor.name):
        return url_for("first_run.show_password")
    return local_address(wanted)


@login.post("/logout")
def leave() -> Response:
    """End the session."""
    end_session()
    return redirect(url_for("pages.start"), HTTPStatus.SEE_OTHER)


def _render(form: LoginForm, **values: Any) -> str:
    """Return the login page; without a login one goes on where there is something to see."""
    may_go_on = bool(list_addresses())
    return render_template("repoman/login.html", form=form, may_go_on=may_go_on, **values)


def _refused(form: LoginForm, error: RepomanError) -> Response:
    status = HTTPStatus.FORBIDDEN  # 401 would make the browser open its own login dialog
    if isinstance(error, TooManyRequests):
        status = HTTPStatus.TOO_MANY_REQUESTS
    page = _render(form, problem=str(error))
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return Response(page, status, headers, mimetype="text/html")
