"""The Range header of downloads (RFC 9110, section 14), without I/O."""

import re

# What has matched is never tried in another way: of spaces there may be tens of thousands.
_RANGE = re.compile(r"bytes=\s*+(\d{0,18}+)\s*+-\s*+(\d{0,18}+)\s*+", re.IGNORECASE | re.ASCII)


class RangeNotSatisfiable(Exception):
    """The range lies outside of the content, or ends before it begins."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the part asked for as (start, stop), in bytes and exclusive; None means all.

    Several ranges, other units and what is not a range mean all, as the RFC allows.

    Raises:
        RangeNotSatisfiable: one range, and no byte of the content is in it.
    """
    match = _RANGE.fullmatch(header) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        stop = min(size, int(match[2]) + 1) if match[2] else size
    if start >= stop:
        raise RangeNotSatisfiable
    return start, stop
