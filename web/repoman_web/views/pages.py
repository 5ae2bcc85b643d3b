"""What all pages share, and the start page."""

from typing import Any

from flask import Blueprint, render_template

from repoman import __version__
from repoman.plugin import current_actor, list_addresses, list_pages, list_problems
from repoman_web.views.texts import browser_of, day_of, moment_of

pages = Blueprint(
    "pages",
    "repoman_web",
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)
pages.add_app_template_filter(browser_of)
pages.add_app_template_filter(day_of)
pages.add_app_template_filter(moment_of)


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
