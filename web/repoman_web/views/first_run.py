"""The first run: the password of admin, who may read, and what to try; each step is saved at once.

It begins when admin logs in with the first password, and ends with its last page.
"""

from http import HTTPStatus

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    ANONYMOUS_OPTIONS,
    Invalid,
    begin_session,
    current_actor,
    current_repoman,
    current_security,
    is_first_login,
    list_addresses,
    login_needed,
    may_administer,
)
from repoman_web.views.forms import AnonymousForm, NewPasswordForm

STEP = "first_run"  # In Flask's session: that the first password was replaced, in this browser.
LOOPBACK = ("127.0.0.1", "::1", "localhost")

first_run = Blueprint("first_run", "repoman_web", url_prefix="/setup")


@first_run.get("")
@login_needed
def show() -> Response:
    """Redirect to the step that is next."""
    step = "show_anonymous" if session.get(STEP) else "show_password"
    return redirect(url_for(f"first_run.{step}"), HTTPStatus.SEE_OTHER)


@first_run.get("/password")
@login_needed
def show_password() -> str | Response:
    """Return the form for the password of admin."""
    if session.get(STEP):
        return redirect(url_for("first_run.show_anonymous"), HTTPStatus.SEE_OTHER)
    _check_first_login()
    return render_template("repoman/setup_password.html", form=NewPasswordForm(formdata=None))


@first_run.post("/password")
@login_needed
def save_password() -> tuple[str, int] | Response:
    """Replace the first password, and go on."""
    _check_first_login()
    form, actor = NewPasswordForm(), current_actor()
    if form.validate():
        try:
            current_security().users.set_password(actor.name, form.password.data, is_own=True)
        except Invalid as error:
            form.password.errors = [str(error).removeprefix("password: ")]
        else:
            begin_session(actor)
            session[STEP] = True
            return redirect(url_for("first_run.show_anonymous"), HTTPStatus.SEE_OTHER)
    return render_template("repoman/setup_password.html", form=form), HTTPStatus.BAD_REQUEST


@first_run.get("/anonymous")
@login_needed
def show_anonymous() -> str:
    """Return the form about access without a login."""
    _check_step()
    host = current_repoman().settings.server.host
    return render_template(
        "repoman/setup_anonymous.html",
        form=AnonymousForm(formdata=None),
        loopback=host if host in LOOPBACK else "",
    )


@first_run.post("/anonymous")
@login_needed
def save_anonymous() -> Response:
    """Allow access without a login, or not, and go on."""
    _check_step()
    is_open = request.form.get("anonymous") == "yes"
    current_repoman().options.update(ANONYMOUS_OPTIONS, {"enabled": is_open})
    return redirect(url_for("first_run.show_done"), HTTPStatus.SEE_OTHER)


@first_run.get("/done")
@login_needed
def show_done() -> str:
    """Return what to try first; the first run is over when another page is opened."""
    _check_step()
    usages = [(each.name, each.usage) for each in list_addresses() if each.usage]
    return render_template("repoman/setup_done.html", usages=usages)


@first_run.post("/done")
@login_needed
def leave() -> Response:
    """End the first run."""
    session.pop(STEP, None)
    return redirect(url_for("pages.start"), HTTPStatus.SEE_OTHER)


def _check_first_login() -> None:
    if not is_first_login(current_repoman().data, current_actor().name):
        abort(HTTPStatus.NOT_FOUND)


def _check_step() -> None:
    if not (session.get(STEP) and may_administer("settings", "update")):
        abort(HTTPStatus.NOT_FOUND)
