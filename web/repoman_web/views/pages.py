"""What all pages share, and the start page."""

from typing import Any

from flask import Blueprint, render_template

from repoman import __version__
from repoman.plugin import current_actor, current_security, list_addresses, list_problems
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
    visitor = current_actor()
    may_audit = current_security().authorizer.may_administer(visitor, "audit", "read")
    return {"visitor": visitor, "version": __version__, "may_audit": may_audit}


@pages.get("/")
def start() -> str:
    """Return the start page: the visitor's repositories, for administrators what does not work."""
    return render_template(
        "repoman/start.html", repositories=list_addresses(), problems=list_problems()
    )
