"""Lists on pages: what of them is shown, as their address says it, and the addresses of the rest.

``filter``, ``order`` and ``after`` are parameters of the address, so every state of a page can be
sent to a colleague. ``after`` is the key of the last row of the page before, never a number of
rows: a page costs the same wherever it is.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import request, url_for

from repoman.errors import PageKeyInvalid

KEY_MAX_CHARS = 2000  # Of the key of a row in an address.
PAGE_ROWS = 100  # Rows of one page.
LARGEST = 2**63 - 1  # The largest number in a key.
UNKNOWN_KEY = "This page of the list does not exist. Begin at its start."


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What of a list a page shows.

    Attributes:
        filter: what the visitor looks for.
        order: one of the orders of the list.
        after: the key of the row before the first one to show, as text; empty at the start.
        rows: how many rows to show; ask for one more, and there is a next page if it comes.
    """

    filter: str
    order: str
    after: str
    rows: int = PAGE_ROWS

    def key(self, *types: type[str] | type[int] | type[float]) -> tuple[Any, ...] | None:
        """Return ``after`` as the values given to :func:`row_key`; None at the start of the list.

        Raises:
            PageKeyInvalid: it is no such key, or has values of other types.
        """
        if not self.after:
            return None
        values = _values_of(self.after)
        pairs = zip(values, types, strict=False)
        if len(values) != len(types) or not all(_is(value, kind) for value, kind in pairs):
            raise PageKeyInvalid(UNKNOWN_KEY)
        return tuple(values)

    def url(self, **changes: str) -> str:
        """Return the address of this page with other parameters, at the start of the list."""
        wanted = {**request.args.to_dict(), "after": "", **changes}
        parameters = urlencode({name: value for name, value in wanted.items() if value})
        # Not as arguments of url_for: some names mean something to it.
        path = url_for(request.endpoint or "", **(request.view_args or {}))
        return f"{path}?{parameters}" if parameters else path

    def column(
        self, text: str, order: str, cls: str = "", *, falls: bool = False
    ) -> Mapping[str, str]:
        """Return a column of the macro ``table`` by which the list can be ordered.

        ``falls`` says that the order begins with the largest value.
        """
        sort = ("descending" if falls else "ascending") if self.order == order else ""
        return {"text": text, "cls": cls, "url": self.url(order=order), "sort": sort}

    def older(self, key: str) -> str:
        """Return the address of the page after the row with this key; nothing for no key."""
        return self.url(after=key) if key else ""

    @property
    def newer(self) -> str:
        """Return the address of the start of the list; nothing on the first page."""
        return self.url() if self.after else ""


def read_list(orders: Sequence[str] = ("name",), rows: int = PAGE_ROWS) -> ListQuery:
    """Return what the address of the request asks for; the first order is the usual one."""
    order = request.args.get("order", "")
    return ListQuery(
        filter=request.args.get("filter", "").strip(),
        order=order if order in orders else orders[0],
        after=request.args.get("after", "")[:KEY_MAX_CHARS],
        rows=rows,
    )


def row_key(*values: str | float | None) -> str:
    """Return the key of a row, to be given as ``after``."""
    return urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _values_of(key: str) -> list[Any]:
    try:
        found = json.loads(urlsafe_b64decode(key + "=" * (-len(key) % 4)))
    except (ValueError, RecursionError) as error:
        raise PageKeyInvalid(UNKNOWN_KEY) from error
    if not isinstance(found, list):
        raise PageKeyInvalid(UNKNOWN_KEY)
    return found


def _is(value: object, kind: type[str] | type[int] | type[float]) -> bool:
    if isinstance(value, bool):
        return False
    if kind is str:
        return isinstance(value, str) and value.isprintable()
    return isinstance(value, kind if kind is int else int | float) and abs(value) <= LARGEST
