"""The account of the signed-in user: password, tokens, sessions."""

import time
from http import HTTPStatus
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    Actor,
    Credentials,
    Invalid,
    NotFound,
    Unauthenticated,
    begin_session,
    current_actor,
    current_security,
    current_session,
    done,
    end_session,
    log_in,
    login_needed,
    read_list,
)
from repoman_web.views.forms import PasswordForm, TokenForm, made_token
from repoman_web.views.security.extents import (
    ACTIONS,
    MATRIX_ROWS,
    known_repositories,
    overview_of,
    repository_lines,
)

account = Blueprint("account", "repoman_web", url_prefix="/account")
tokens = Blueprint("tokens", "repoman_web", url_prefix="/account/tokens")


@account.get("")
@login_needed
def show() -> str:
    """Return the page with the tokens."""
    return _render_tokens(TokenForm(formdata=None))


@account.get("/password")
@login_needed
def show_password() -> str:
    """Return the page about the user and the password."""
    return _render_password(PasswordForm(formdata=None))


@account.post("/password")
@login_needed
def change_password() -> tuple[str, int] | Response:
    """Set a new password and end all sessions but this one, which gets a new secret."""
    form = PasswordForm()
    if not form.validate():
        return _render_password(form), HTTPStatus.BAD_REQUEST
    actor, security = current_actor(), current_security()
    if not _is_password_of(actor, form.present.data):
        form.present.errors = ["This is not your current password."]
        return _render_password(form), HTTPStatus.FORBIDDEN
    try:
        security.users.set_password(actor.name, form.password.data, is_own=True)
    except Invalid as error:
        form.password.errors = [str(error).removeprefix("password: ")]
        return _render_password(form), HTTPStatus.BAD_REQUEST
    if current_session() is not None:
        begin_session(actor)
    return done(
        "Your password was changed, and all other sessions have ended.",
        url_for("account.show_password"),
    )


@account.get("/sessions")
@login_needed
def show_sessions() -> str:
    """Return the page with the browsers in which the user is logged in."""
    sessions = current_security().sessions.of_user(current_actor().name)
    return render_template(
        "repoman/account_sessions.html", sessions=sessions, own=current_session()
    )


@account.get("/rights")
@login_needed
def show_rights() -> str:
    """Return the page with the roles and what they allow in which repository."""
    actor, query = current_actor(), read_list(rows=MATRIX_ROWS)
    user = current_security().users.get(actor.name)
    lines, older = repository_lines(overview_of(actor), known_repositories(), query)
    return render_template(
        "repoman/account_rights.html",
        roles=[*user.roles, *user.external_roles],
        actions=ACTIONS,
        lines=lines,
        older=older,
        query=query,
    )


@account.post("/sessions/<id_>/end")
@login_needed
def end_one(id_: str) -> Response:
    """End one of the user's sessions, which may be this one."""
    own = current_session()
    if own is not None and own.id == id_:
        end_session()
        return redirect(url_for("pages.start"), HTTPStatus.SEE_OTHER)
    current_security().sessions.end_of_user(current_actor().name, id_)
    return done("The session was ended.", url_for("account.show_sessions"))


def _render_password(form: PasswordForm) -> str:
    user = current_security().users.get(current_actor().name)
    return render_template("repoman/account_password.html", user=user, form=form)


def _render_tokens(form: TokenForm, **values: Any) -> str:
    found = current_security().user_tokens.of_user(current_actor().name)
    return render_template(
        "repoman/tokens.html", form=form, tokens=found, now=time.time(), **values
    )


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
        return _render_tokens(form), HTTPStatus.BAD_REQUEST
    secret = made_token(form, current_actor().name)
    if secret is None:
        return _render_tokens(form), HTTPStatus.BAD_REQUEST
    return _render_tokens(TokenForm(formdata=None), made=form.name.data, secret=secret)


@tokens.route("/<id_>/revoke", methods=["GET", "POST"])
@login_needed
def revoke_token(id_: str) -> str | Response:
    """Return the page that says what a revoked token does, or revoke it."""
    service, user = current_security().user_tokens, current_actor().name
    if request.method == "POST":
        token = service.revoke(user, id_)
        return done(f"Revoked the token {token.name}.", url_for("account.show"))
    for each in service.of_user(user):
        if each.id == id_:
            return render_template("repoman/security/token_revoke.html", token=each, is_own=True)
    raise NotFound("You have no such token.")
