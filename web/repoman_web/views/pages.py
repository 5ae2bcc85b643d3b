"""What all pages share, the start page, and the choice of the appearance."""

import re
from http import HTTPStatus
from typing import Any

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from repoman import __version__
from repoman.plugin import current_actor, list_pages
from repoman_web.views.addresses import local_address
from repoman_web.views.home import home
from repoman_web.views.rendering import FILTERS, GLOBALS, THEME_COOKIE, THEMES, current_theme
from repoman_web.views.repository_frame import FRAME

THEME_LIFETIME_S = 365 * 86_400  # How long a browser keeps the choice of the appearance.
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


for each in FILTERS:
    pages.add_app_template_filter(each)
for each in (*GLOBALS, *FRAME):
    pages.add_app_template_global(each)


@pages.app_context_processor
def _shared() -> dict[str, Any]:
    """Return the values of the layout that all pages share."""
    return {
        "visitor": current_actor(),
        "version": __version__,
        "navigation": list_pages(),
        "theme": current_theme(),
        "themes": THEMES,
    }


@pages.get("/")
def start() -> str:
    """Return the home page."""
    return home()


@pages.get("/appearance")
def choose_appearance() -> Response:
    """Have pages light, dark, or as the system, and go back; browsers with scripts never ask."""
    theme = request.args.get("theme", "")
    response = redirect(local_address(request.args.get("next", "")), HTTPStatus.SEE_OTHER)
    if theme in THEMES:
        response.set_cookie(
            THEME_COOKIE,
            theme,
            max_age=THEME_LIFETIME_S,
            path=request.script_root or "/",
            samesite="Lax",
        )
    return response


@pages.app_template_filter()
def browser_of(agent: str) -> str:
    """Return the browser and the system that a User-Agent names, or else its first word."""
    browser = next((name for mark, name in BROWSERS if mark in agent), None)
    if browser is None:
        return re.split(r"[\s/]", agent.strip(), maxsplit=1)[0][:40] or "unknown client"
    system = next((name for mark, name in SYSTEMS if mark in agent), None)
    return f"{browser} on {system}" if system else browser
