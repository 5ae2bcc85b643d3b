"""Lists in pages: the parameters n and last, and the Link header to the next page.

Source: OCI distribution-spec, Listing Tags.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from repoman_docker.protocol.errors import ErrorCode, RegistryError, quoted

_NEXT = re.compile(
    r"""<([^<>]*)>[^<]*?;\s*rel\s*=\s*(?:"(?=[^"<]*+")[^"<]*?\bnext\b|'?next\b)""", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Page:
    """The requested part of a list.

    Attributes:
        limit: maximum number of entries, 0 or more; with 0 there is no Link.
        last: only entries after it, in byte order; need not be an entry. Empty: from the start.
    """

    limit: int
    last: str = ""


def parse_page(args: Mapping[str, str], default: int, maximum: int) -> Page:
    """Return the page that the query requests.

    Args:
        args: the decoded parameters of the query; an empty ``n`` counts as none.
        default: the limit without ``n``, in entries.
        maximum: the highest limit, in entries; a greater ``n`` is reduced to it.

    Raises:
        RegistryError: PAGINATION_NUMBER_INVALID, ``n`` is not an integer of 0 or more.
    """
    number = args.get("n", "")
    last = args.get("last", "")
    if not number:
        return Page(default, last)
    if not (number.isascii() and number.isdecimal()):
        raise RegistryError(
            ErrorCode.PAGINATION_NUMBER_INVALID,
            f"The parameter n is {quoted(number)}. It must be a number of entries, 0 or more.",
            {"n": number[:80]},
        )
    digits = number.lstrip("0") or "0"
    is_huge = len(digits) > 18
    return Page(maximum if is_huge else min(int(digits), maximum), last)


def next_link(path: str, args: Mapping[str, str], limit: int | None, last: str) -> str:
    """Return the value of the Link header that leads to the page after ``last``.

    Args:
        path: of this list, decoded, as the client sees it (with all prefixes).
        args: the decoded parameters of this request; those other than n and last are kept.
        limit: entries of the next page; None where pages are not counted in entries.
        last: the last entry of this page.
    """
    others = {key: value for key, value in args.items() if key not in ("n", "last")}
    number = {} if limit is None else {"n": str(limit)}
    query = urlencode(
        {**number, "last": last, **others}, quote_via=quote, safe="", errors="replace"
    )
    return f'<{quote(path, safe="/:", errors="replace")}?{query}>; rel="next"'


def parse_next_link(header: str | None) -> str | None:
    """Return the address of the next page in a Link header, absolute or relative, or None."""
    found = _NEXT.search(header or "")
    return None if found is None else found[1]
