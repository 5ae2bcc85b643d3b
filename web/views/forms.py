"""The forms of the pages. Their marks against forgery are checked before a view is called."""

import re

from flask_wtf import FlaskForm
from wtforms import HiddenField, IntegerField, PasswordField, SelectField, StringField
from wtforms.validators import EqualTo, InputRequired, Optional

from repoman.plugin import READING, WRITING, Action, Limit

DAYS = 90  # that a token is good for, unless its user says otherwise
ACTIONS = {  # what a token may be used for; the last one: whatever its user may do
    "Reading": READING,
    "Reading and writing": READING | WRITING,
    "All content": frozenset[Action](),
}


class LoginForm(FlaskForm):
    """Name and password, and where the visitor wanted to go."""

    name = StringField("User name", [InputRequired("Enter your user name.")])
    password = PasswordField("Password", [InputRequired("Enter your password.")])
    next = HiddenField()


class PasswordForm(FlaskForm):
    """Another password for oneself."""

    present = PasswordField("Present password", [InputRequired("Enter your present password.")])
    password = PasswordField("New password", [InputRequired("Enter a new password.")])
    again = PasswordField(
        "New password, again", [EqualTo("password", "The two new passwords differ.")]
    )


class TokenForm(FlaskForm):
    """A token for oneself."""

    name = StringField("Name", [InputRequired("Enter a name.")])
    days = IntegerField("Days", [Optional()], default=DAYS)
    actions = SelectField("May be used for", choices=list(ACTIONS))
    repositories = StringField("Repositories")
    names = StringField("Names")

    def limit(self) -> Limit:
        """Return what the token is to be limited to."""
        return Limit(
            _patterns(self.repositories), _patterns(self.names), ACTIONS[self.actions.data]
        )


def _patterns(field: StringField) -> tuple[str, ...]:
    return tuple(filter(None, re.split(r"[\s,]+", field.data or "")))
