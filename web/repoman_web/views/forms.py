"""The forms of the pages. Their CSRF tokens are checked before a view is called."""

import re
from collections.abc import Callable

from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import HiddenField, IntegerField, PasswordField, SelectField, StringField
from wtforms.validators import EqualTo, InputRequired, Optional

from repoman.plugin import (
    READING,
    WRITING,
    Action,
    Conflict,
    Invalid,
    Limit,
    SectionForm,
    current_security,
)

TOKEN_LIFETIME_DAYS = 90  # The lifetime that the form proposes.
ACTIONS = {  # what a token may be used for; the last one: everything that its user may do
    "Reading": READING,
    "Reading and writing": READING | WRITING,
    "All content": frozenset[Action](),
}


class LoginForm(FlaskForm):
    """User name and password, and the page to open after the login, or the form to send then."""

    name = StringField("User name", [InputRequired("Enter your user name.")])
    password = PasswordField("Password", [InputRequired("Enter your password.")])
    next = HiddenField()
    unsent = HiddenField()


class NewPasswordForm(FlaskForm):
    """A password, twice."""

    password = PasswordField("New password", [InputRequired("Enter a new password.")])
    again = PasswordField(
        "Repeat the new password", [EqualTo("password", "The two new passwords do not match.")]
    )


class PasswordForm(NewPasswordForm):
    """A new password for the signed-in user."""

    present = PasswordField("Current password", [InputRequired("Enter your current password.")])


class AnonymousForm(FlaskForm):
    """Whether anybody may read; its choice is made of cards."""


class TokenForm(FlaskForm):
    """A new token for the signed-in user."""

    name = StringField("Name", [InputRequired("Enter a name.")])
    days = IntegerField("Lifetime", [Optional()], default=TOKEN_LIFETIME_DAYS)
    actions = SelectField("Access", choices=list(ACTIONS))
    repositories = StringField("Repositories")
    names = StringField("Names")

    def limit(self) -> Limit:
        """Return the limits of the token."""
        return Limit(
            _patterns(self.repositories), _patterns(self.names), ACTIONS[self.actions.data]
        )


def made_token(form: TokenForm, user: str) -> str | None:
    """Create a token of a user, and return its secret; None: the form says what is wrong."""
    name, limit, days = form.name.data, form.limit(), form.days.data
    try:
        return current_security().user_tokens.create(user, name, limit, days)
    except (Conflict, Invalid) as error:
        at = (error.field if isinstance(error, Invalid) else None) or "name"
        form[at].errors = [str(error).removeprefix(f"{at}: ")]
        return None


def try_saving(form: SectionForm, save: Callable[[], Response]) -> Response | None:
    """Return the answer after a change; None if it was refused, and the form says why."""
    answers: list[Response] = []
    with form.saving():
        answers.append(save())
    return answers[0] if answers else None


def _patterns(field: StringField) -> tuple[str, ...]:
    return tuple(filter(None, re.split(r"[\s,]+", field.data or "")))
