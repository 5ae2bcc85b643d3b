"""The web pages, brought by the same hooks as anybody's plugin."""

from flask import Blueprint

from repoman.plugin import hookimpl
from repoman_web.views import pages


@hookimpl
def repoman_register_web() -> list[Blueprint]:
    """Return the pages of the main port."""
    return [pages]
