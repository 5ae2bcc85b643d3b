"""The tokens of the signed-in user; the account page shows them."""

from http import HTTPStatus

from flask import Blueprint, flash, redirect, url_for
from werkzeug.wrappers import Response

from repoman.plugin import Conflict, Invalid, current_actor, current_security, login_needed
from repoman_web.views.account import render_account
from repoman_web.views.forms import TokenForm

tokens = Blueprint("tokens", "repoman_web", url_prefix="/account/tokens")


@tokens.get("")
@login_needed
def show() -> Response:
    """Redirect to the list: browsers are at this address after they have created a token."""
    return redirect(url_for("account.show", _anchor="tokens"), HTTPStatus.SEE_OTHER)


@tokens.post("")
@login_needed
def create() -> str | tuple[str, int]:
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
def revoke(id_: str) -> Response:
    """Revoke one of the user's tokens."""
    token = current_security().user_tokens.revoke(current_actor().name, id_)
    flash(f"Revoked the token {token.name}.")
    return redirect(url_for("account.show"), HTTPStatus.SEE_OTHER)
