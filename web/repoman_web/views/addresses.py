"""Addresses that a browser brings along, and may be sent to."""

from flask import url_for

NEXT_MAX_CHARS = 2000  # The longest address to open after a login.


def local_address(wanted: str) -> str:
    r"""Return the address if it is a path of these pages, else that of the start page.

    Browsers take ``//host`` and ``/\host`` for other servers, and strip control characters
    before they parse an address.
    """
    root = url_for("pages.start")
    is_path = wanted.startswith(root) and not wanted.startswith("//") and "\\" not in wanted
    if is_path and wanted.isprintable() and " " not in wanted and len(wanted) <= NEXT_MAX_CHARS:
        return wanted
    return root
