"""What roles, privileges and selectors may be called, and the texts that describe them."""

import re

from repoman.errors import Invalid
from repoman.security.permissions import RESERVED

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99}")
BLANKS = re.compile(r"[\t\n\r]")
DESCRIPTION_MAX_CHARS = 4000  # The longest description.


def check_name(what: str, name: str) -> None:
    """Return if a role, a privilege or a selector may be called so (Invalid)."""
    if name.lower().startswith(RESERVED):
        raise Invalid(
            f"name: {name!r} begins with {RESERVED!r}, which is reserved for built-in names; "
            "choose another name.",
            field="name",
        )
    if not NAME.fullmatch(name):
        raise Invalid(
            f"name: {name!r} is not a valid name of a {what}: use at most 100 letters, digits, "
            "'_', '.' and '-', beginning with a letter or digit.",
            field="name",
        )


def check_text(field: str, text: str, max_chars: int) -> None:
    """Return if a line of text for people may be stored (Invalid); terminals will show it."""
    if len(text) > max_chars or not text.isprintable():
        raise Invalid(f"{field}: must have at most {max_chars} printable characters.", field=field)


def check_description(text: str) -> None:
    """Return if a description, maybe of several lines, may be stored (Invalid)."""
    check_text("description", BLANKS.sub(" ", text), DESCRIPTION_MAX_CHARS)
