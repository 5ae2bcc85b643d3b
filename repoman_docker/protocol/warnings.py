"""The header ``Warning``: what there is to say of an answer that is right as far as it goes.

Source: RFC 7234, 5.5.
"""

from collections.abc import Iterable

LONGEST = 1000  # characters of one text
MOST = 5  # texts in one header, which clients and proxies limit too


def render_warnings(texts: Iterable[str]) -> str:
    """Return the header's value for some sentences, each once."""
    return ", ".join(f'299 - "{_plain(text)}"' for text in list(dict.fromkeys(texts))[:MOST])


def _plain(text: str) -> str:
    plain = "".join(each for each in text if " " <= each <= "~" and each not in '"\\')
    return plain[:LONGEST]
