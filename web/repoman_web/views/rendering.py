"""How templates write values: sizes, times, digests, icons, charts; and what the layout needs."""

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, g, request, url_for
from markupsafe import Markup, escape

from repoman.plugin import may_administer

THEME_COOKIE = "repoman-theme"
THEMES = {"": "As the system", "light": "Light", "dark": "Dark"}
DOTS = ("more", "grip")  # Icons that are dots, which need thicker lines.
SIZE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
# Below how many seconds a span is told in which unit, of so many seconds.
SPANS = (
    *((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (100 * 86_400, 86_400, "d")),
    *((730 * 86_400, 2_629_800, "months"), (math.inf, 31_557_600, "years")),
)
DIGEST = re.compile(r"\b(sha\d+:)[0-9a-f]{64,}")
DIGEST_CHARS = 12  # Of a digest, where a button copies all of it.
NBSP, THIN_SPACE = "\u00a0", "\u202f"


def size(value: float) -> str:
    """Return a size, given in bytes, with a binary unit: ``142.3 MiB``."""
    amount, unit = float(value), 0
    while abs(amount) >= 1024 and unit < len(SIZE_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    text = f"{amount:.0f}" if unit == 0 else f"{amount:.1f}"
    return f"{text}{NBSP}{SIZE_UNITS[unit]}"


def number(value: int) -> str:
    """Return a number with thin spaces between the thousands."""
    return f"{value:,}".replace(",", THIN_SPACE)


def span(seconds: float) -> str:
    """Return a span of time, given in seconds, in its largest whole unit: ``4 min``."""
    step, word = _unit_of(seconds)
    return f"{int(abs(seconds) // step)}{NBSP}{word}"


def _unit_of(seconds: float) -> tuple[int, str]:
    return next((step, word) for limit, step, word in SPANS if abs(seconds) < limit)


def relative(at: float) -> str:
    """Return how long ago a time was, or how far off it is; in seconds since the epoch.

    What has passed counts in whole units; what is to come is rounded, as something that ends in 90
    days has less than these left in the next second.
    """
    passed = time.time() - at
    if passed >= 0:
        return f"{span(passed)} ago"
    step, word = _unit_of(passed)
    return f"in {-passed / step:.0f}{NBSP}{word}"


def moment_of(seconds: float) -> str:
    """Return a time, given in seconds since the epoch, to the minute."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def stamp_of(seconds: float) -> str:
    """Return a time, given in seconds since the epoch, for machines."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def short(digest: str) -> str:
    """Return the first characters of a digest, without its algorithm."""
    return digest.rpartition(":")[2][:DIGEST_CHARS]


def short_digests(text: str) -> str:
    """Return a text with only the first characters of each digest in it."""
    return DIGEST.sub(lambda found: f"{found[1]}{short(found[0])}", text)


def bare_address(url: str) -> str:
    """Return the address of a connector as host and port, others as they are."""
    parts = urlsplit(url)
    return url if parts.path.strip("/") else parts.netloc


def short_address(url: str) -> str:
    """Return the same for a column of a table: of other addresses, only the path."""
    path = urlsplit(url).path.rstrip("/")
    return f"…{path}" if path else bare_address(url)


def code(text: str) -> Markup:
    """Return lines of commands or settings with comments marked."""
    comment = Markup('<span class="comment">{}</span>')
    lines = str(text).split("\n")
    shown = [comment.format(each) if each.lstrip().startswith("#") else each for each in lines]
    return Markup("\n").join(shown)


def split_name(name: str) -> tuple[str, str]:
    """Return the namespace of a name with its last slash, and the rest."""
    head, slash, tail = name.rpartition("/")
    return head + slash, tail


def points(values: Sequence[float], top: float = 0.0) -> list[tuple[float, float]]:
    """Return where values lie in a box of 100 by 100, the first one at the left."""
    highest = top or max(values, default=0) * 1.08 or 1
    step = 100 / max(1, len(values) - 1)
    return [(round(i * step, 2), round(100 - v / highest * 100, 2)) for i, v in enumerate(values)]


def line(values: Sequence[float], top: float = 0.0) -> str:
    """Return the path of a line through values, for SVG."""
    return "M" + "L".join(f"{x} {y}" for x, y in points(values, top)) if values else ""


def area(values: Sequence[float], top: float = 0.0) -> str:
    """Return the path of the area below values, for SVG."""
    return f"{line(values, top)}L100 100L0 100Z" if values else ""


def icon(name: str, classes: str = "") -> Markup:
    """Return one of the icons of ``icons.svg``; it stands beside text, or in a named button."""
    if "icons" not in g:
        g.icons = url_for("pages.static", filename="icons.svg")
    extra = " is-dots" if name in DOTS else ""
    found = f"{extra} {classes}" if classes else extra
    return Markup('<svg class="icon{}" aria-hidden="true"><use href="{}#{}"/></svg>').format(
        found, g.icons, name
    )


def unique_id(prefix: str = "id") -> str:
    """Return an id that no other element of the page has."""
    g.ids = g.get("ids", 0) + 1
    return f"{prefix}-{g.ids}"


def page_url(endpoint: str, **values: Any) -> str:
    """Return the address of a page; nothing if no plugin has brought it."""
    return url_for(endpoint, **values) if endpoint in current_app.view_functions else ""


def current_theme() -> str:
    """Return the appearance that the visitor chose; nothing: that of the system."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


def attributes(values: Mapping[str, Any]) -> Markup:
    """Return attributes of an element: true ones bare, those that are false or None left out."""
    shown = []
    for name, value in values.items():
        if value is True:
            shown.append(Markup(" {}").format(name.replace("_", "-")))
        elif value is not None and value is not False:
            shown.append(Markup(' {}="{}"').format(name.replace("_", "-"), value))
    return Markup("").join(shown)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with what both have; the second one counts more."""
    return {**first, **second}


def highlight(text: str, word: str) -> Markup:
    """Return a text with the first occurrence of a word marked, whatever its case."""
    at = text.lower().find(word.lower()) if word else -1
    if at < 0:
        return escape(text)
    end = at + len(word)
    return Markup("{}<mark>{}</mark>{}").format(text[:at], text[at:end], text[end:])


FILTERS: tuple[Callable[..., Any], ...] = (
    *(
        size,
        number,
        span,
        relative,
        moment_of,
        stamp_of,
        short,
        short_digests,
        code,
        split_name,
        line,
        area,
    ),
    *(attributes, highlight, merged, bare_address, short_address),
)
GLOBALS: tuple[Callable[..., Any], ...] = (icon, unique_id, may_administer, page_url)
