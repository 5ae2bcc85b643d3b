"""The pages of the main port."""

from flask import Blueprint, render_template

from repoman import __version__

pages = Blueprint(
    "pages",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static",
)


@pages.get("/")
def welcome() -> str:
    """Return the page that says what this server is and how to begin."""
    return render_template("repoman/welcome.html", version=__version__)
