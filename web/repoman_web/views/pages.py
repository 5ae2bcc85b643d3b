"""What all pages share, the start page, and filters that make values readable."""

import re
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, render_template

from repoman import __version__
from repoman.plugin import current_actor, list_addresses, list_pages, list_problems

# The first one found in the User-Agent counts; most browsers claim to be others as well.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)

pages = Blueprint(
    "pages",
    "repoman_web",
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)


@pages.app_context_processor
def _shared() -> dict[str, Any]:
    """Return the values of the layout that all pages share."""
    return {"visitor": current_actor(), "version": __version__, "navigation": list_pages()}


@pages.get("/")
def start() -> str:
    """Return the start page: the visitor's repositories, for administrators what does not work."""
    return render_template(
        "repoman/start.html", repositories=list_addresses(), problems=list_problems()
    )


@pages.app_template_filter()
def browser_of(agent: str) -> str:
    """Return the browser and the system that a User-Agent names, or else its first word."""
    browser = next((name for mark, name in BROWSERS if mark in agent), None)
    if browser is None:
        return re.split(r"[\s/]", agent.strip(), maxsplit=1)[0][:40] or "unknown client"
    system = next((name for mark, name in SYSTEMS if mark in agent), None)
    return f"{browser} on {system}" if system else browser


@pages.app_template_filter()
def moment_of(seconds: float) -> str:
    """Return a time, given in seconds since the epoch, to the minute."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


@pages.app_template_filter()
def day_of(seconds: float) -> str:
    """Return the date of a time, given in seconds since the epoch."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
