"""Numbers that remotes say in their headers."""

import re

_COUNT = re.compile(r"[0-9]{1,18}")  # Python reads no number of thousands of digits


def parse_count(text: str | None) -> int | None:
    """Return the number that a text is, or None if it is none that can be meant."""
    return int(text) if text is not None and _COUNT.fullmatch(text.strip()) else None
