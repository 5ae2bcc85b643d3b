"""The forms of the pages. Their CSRF tokens are checked before a view is called."""

import re

from flask_wtf import FlaskForm
from wtforms import HiddenField, IntegerField, PasswordField, SelectField, StringField
from wtforms.validators import EqualTo, InputRequired, Optional

from repoman.plugin import READING, WRITING, Action, Limit

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


def _patterns(field: StringField) -> tuple[str, ...]:
    return tuple(filter(None, re.split(r"[\s,]+", field.data or "")))
