"""The first run: password, who may read, what formats ask, what to try; each step is saved at once.

It begins when admin logs in with the first password, and ends with its last page.
"""

from http import HTTPStatus
from typing import Any

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
from repoman_web.views.first_questions import FirstQuestions
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
    return _render("password", form=NewPasswordForm(formdata=None))


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
    return _render("password", form=form), HTTPStatus.BAD_REQUEST


@first_run.get("/anonymous")
@login_needed
def show_anonymous() -> str:
    """Return the form about access without a login."""
    _check_step()
    host = current_repoman().settings.server.host
    return _render(
        "anonymous",
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
    step = "show_questions" if FirstQuestions() else "show_done"
    return redirect(url_for(f"first_run.{step}"), HTTPStatus.SEE_OTHER)


@first_run.get("/repositories")
@login_needed
def show_questions() -> str:
    """Return the form with what formats ask about the repositories that are there already."""
    _check_step()
    return _render("repositories", questions=_questions())


@first_run.post("/repositories")
@login_needed
def save_questions() -> tuple[str, HTTPStatus] | Response:
    """Give the repositories the settings that were ticked, and go on."""
    _check_step()
    questions = _questions()
    if questions.save(request.form):
        return redirect(url_for("first_run.show_done"), HTTPStatus.SEE_OTHER)
    return _render("repositories", questions=questions), questions.form.status


@first_run.get("/done")
@login_needed
def show_done() -> str:
    """Return what to try first; the first run is over when another page is opened."""
    _check_step()
    usages = [(each.name, each.usage) for each in list_addresses() if each.usage]
    return _render("done", usages=usages)


@first_run.post("/done")
@login_needed
def leave() -> Response:
    """End the first run."""
    session.pop(STEP, None)
    return redirect(url_for("pages.start"), HTTPStatus.SEE_OTHER)


def _render(step: str, **values: Any) -> str:
    """Return the page of a step; that of the repositories is there if a format asks something."""
    names = {"password": "Password", "anonymous": "Who may read", "repositories": "Repositories"}
    if not FirstQuestions():
        del names["repositories"]
    names["done"] = "Done"
    return render_template(
        f"repoman/setup_{step}.html",
        step_names=[*names.values()],
        step_number=[*names].index(step) + 1,
        **values,
    )


def _questions() -> FirstQuestions:
    questions = FirstQuestions()
    if not questions:
        abort(HTTPStatus.NOT_FOUND)
    return questions


def _check_first_login() -> None:
    if not is_first_login(current_repoman().data, current_actor().name):
        abort(HTTPStatus.NOT_FOUND)


def _check_step() -> None:
    if not (session.get(STEP) and may_administer("settings", "update")):
        abort(HTTPStatus.NOT_FOUND)
