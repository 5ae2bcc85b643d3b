"""A form that was sent after its session had ended: kept by the browser, through the login."""

import json
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote_plus

from flask import request

from repoman_web.views.addresses import local_address

PACKED_MAX_CHARS = 12_000  # As a form has them; nobody may send much before a login.
SECRET = re.compile(r"password|secret|token|again|present", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class UnsentForm:
    """The address of a form and what was typed, without secrets.

    Attributes:
        fields: (name, value) in their order; a name may be there several times.
        secrets: the names of the fields that were left out.
    """

    path: str
    fields: tuple[tuple[str, str], ...]
    secrets: tuple[str, ...] = ()

    @classmethod
    def of_request(cls) -> Self:
        """Return the form of the current request; nothing of it where there is too much."""
        sent = [each for each in request.form.items(multi=True) if each[0] != "csrf_token"]
        return cls(
            request.script_root + request.path,
            tuple(each for each in sent if not SECRET.search(each[0])),
            tuple(name for name, value in sent if value and SECRET.search(name)),
        )

    def packed(self) -> str:
        """Return the form as text for a hidden field; nothing if it would be too long."""
        if not self.fields:
            return ""
        text = json.dumps([self.path, self.fields, self.secrets])
        return text if len(quote_plus(text)) <= PACKED_MAX_CHARS else ""

    @classmethod
    def unpacked(cls, text: str) -> Self | None:
        """Return the form that a text holds; None if it holds none of these pages."""
        try:
            path, fields, secrets = json.loads(text)
            found = cls(
                str(path),
                tuple((str(name), str(value)) for name, value in fields),
                tuple(map(str, secrets)),
            )
        except (ValueError, TypeError, RecursionError):
            return None
        return found if local_address(found.path) == found.path else None
