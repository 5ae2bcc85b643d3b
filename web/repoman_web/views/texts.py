"""Template filters that make values readable."""

import re
from datetime import UTC, datetime

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


def browser_of(agent: str) -> str:
    """Return the browser and the system that a User-Agent names, or else its first word."""
    browser = next((name for mark, name in BROWSERS if mark in agent), None)
    if browser is None:
        return re.split(r"[\s/]", agent.strip(), maxsplit=1)[0][:40] or "unknown client"
    system = next((name for mark, name in SYSTEMS if mark in agent), None)
    return f"{browser} on {system}" if system else browser


def moment_of(seconds: float) -> str:
    """Return a time, given in seconds since the epoch, to the minute."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def day_of(seconds: float) -> str:
    """Return the date of a time, given in seconds since the epoch."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
