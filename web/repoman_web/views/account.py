"""The account of the signed-in user: password, tokens, sessions."""

import time
from http import HTTPStatus
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    Actor,
    Conflict,
    Credentials,
    Invalid,
    Unauthenticated,
    begin_session,
    current_actor,
    current_security,
    current_session,
    end_session,
    log_in,
    login_needed,
)
from repoman_web.views.forms import PasswordForm, TokenForm

account = Blueprint("account", "repoman_web", url_prefix="/account")
tokens = Blueprint("tokens", "repoman_web", url_prefix="/account/tokens")


@account.get("")
@login_needed
def show() -> str:
    """Return the page."""
    return render_account()


@account.post("/password")
@login_needed
def change_password() -> tuple[str, int] | Response:
    """Set a new password and end all sessions but this one, which gets a new secret."""
    form = PasswordForm()
    if not form.validate():
        return render_account(password_form=form), HTTPStatus.BAD_REQUEST
    actor, security = current_actor(), current_security()
    if not _is_password_of(actor, form.present.data):
        form.present.errors = ["This is not your current password."]
        return render_account(password_form=form), HTTPStatus.FORBIDDEN
    try:
        security.users.set_password(actor.name, form.password.data, is_own=True)
    except Invalid as error:
        form.password.errors = [str(error).removeprefix("password: ")]
        return render_account(password_form=form), HTTPStatus.BAD_REQUEST
    if current_session() is not None:
        begin_session(actor)
    flash("Your password was changed, and all other sessions have ended.")
    return redirect(url_for("account.show"), HTTPStatus.SEE_OTHER)


@account.post("/sessions/<id_>/end")
@login_needed
def end_one(id_: str) -> Response:
    """End one of the user's sessions, which may be this one."""
    own = current_session()
    if own is not None and own.id == id_:
        end_session()
        return redirect(url_for("pages.start"), HTTPStatus.SEE_OTHER)
    current_security().sessions.end_of_user(current_actor().name, id_)
    flash("Ended the session.")
    return redirect(url_for("account.show"), HTTPStatus.SEE_OTHER)


def render_account(**values: Any) -> str:
    """Return the page; ``values`` override what the template gets, such as a form."""
    security, name = current_security(), current_actor().name
    shown = {
        "user": security.users.get(name),
        "password_form": PasswordForm(formdata=None),
        "token_form": TokenForm(formdata=None),
        "tokens": security.user_tokens.of_user(name),
        "sessions": security.sessions.of_user(name),
        "own": current_session(),
        "now": time.time(),
    }
    return render_template("repoman/account.html", **{**shown, **values})


def _is_password_of(actor: Actor, password: str) -> bool:
    try:
        found = log_in(Credentials(actor.name, password))
    except Unauthenticated:
        return False
    # A session could have created a token without the password.
    return found.owner == actor.owner and not found.token


@tokens.get("")
@login_needed
def show_tokens() -> Response:
    """Redirect to the list: browsers are at this address after they have created a token."""
    return redirect(url_for("account.show", _anchor="tokens"), HTTPStatus.SEE_OTHER)


@tokens.post("")
@login_needed
def create_token() -> str | tuple[str, int]:
    """Create a token and show its secret: only in this answer, never in a URL or a cookie."""
    form = TokenForm()
    if not form.validate():
        return render_account(token_form=form), HTTPStatus.BAD_REQUEST
    name, limit, days = form.name.data, form.limit(), form.days.data
    try:
        secret = current_security().user_tokens.create(current_actor().name, name, limit, days)
    except (Conflict, Invalid) as error:
        at = (error.field if isinstance(error, Invalid) else None) or "name"
        form[at].errors = [str(error).removeprefix(f"{at}: ")]
        return render_account(token_form=form), HTTPStatus.BAD_REQUEST
    return render_account(made=name, secret=secret)


@tokens.post("/<id_>/revoke")
@login_needed
def revoke_token(id_: str) -> Response:
    """Revoke one of the user's tokens."""
    token = current_security().user_tokens.revoke(current_actor().name, id_)
    flash(f"Revoked the token {token.name}.")
    return redirect(url_for("account.show"), HTTPStatus.SEE_OTHER)
