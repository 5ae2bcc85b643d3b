"""The header ``Warning``: remarks on a response that is usable but not perfect.

Source: RFC 7234, 5.5.
"""

from collections.abc import Iterable

LONGEST = 1000  # maximum characters of one text
MOST = 5  # maximum texts in one header, which clients and proxies limit too


def render_warnings(texts: Iterable[str]) -> str:
    """Return the value of the header for some sentences, without duplicates."""
    return ", ".join(f'299 - "{_plain(text)}"' for text in list(dict.fromkeys(texts))[:MOST])


def _plain(text: str) -> str:
    plain = "".join(each for each in text if " " <= each <= "~" and each not in '"\\')
    return plain[:LONGEST]
