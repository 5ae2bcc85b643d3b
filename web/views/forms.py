"""The forms of the pages. Their marks against forgery are checked before a view is called."""

from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

PASSWORD_MIN = 8  # characters of one that is chosen here
PASSWORD_MAX = 1000


class LoginForm(FlaskForm):
    """Name and password, and where the visitor wanted to go."""

    name = StringField("User name", [InputRequired("Enter your user name.")])
    password = PasswordField("Password", [InputRequired("Enter your password.")])
    next = HiddenField()


class PasswordForm(FlaskForm):
    """Another password for oneself."""

    present = PasswordField("Present password", [InputRequired("Enter your present password.")])
    password = PasswordField(
        "New password",
        [
            InputRequired("Enter a new password."),
            Length(PASSWORD_MIN, PASSWORD_MAX, f"At least {PASSWORD_MIN} characters, please."),
        ],
    )
    again = PasswordField(
        "New password, again", [EqualTo("password", "The two new passwords differ.")]
    )
