"""What clients ask for besides packuments and tarballs."""

from typing import Any

from flask import Blueprint, jsonify

from repoman.plugin import NotFound
from repoman_npm.routes import accounts, audits, publishing, searching


def add_routes(blueprint: Blueprint) -> None:
    """Add all routes; those that come first win."""
    blueprint.get("/-/ping")(ping)
    accounts.add_routes(blueprint)
    searching.add_routes(blueprint)
    audits.add_routes(blueprint)
    for method in ("GET", "PUT", "POST", "DELETE"):
        publishing.add_tag_route(blueprint, method)
        rule, name = "/-/<rest:path>", f"unknown {method}"
        blueprint.add_url_rule(rule, name, unknown, methods=[method])
    publishing.add_routes(blueprint)


def ping() -> Any:
    """Answer."""
    return jsonify({})


def unknown(path: str) -> Any:
    """Refuse: npm goes on with another way to log in, for example."""
    raise NotFound(f"This registry does not offer /-/{path}.")
