"""The audit log, for users who may read it."""

from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from repoman.plugin import (
    current_actor,
    current_repoman,
    current_security,
    permission_needed,
    requested_event_lines,
    requested_events,
)

DOMAINS = (
    *("access", "audit", "blob-store", "certificate", "cleanup-policy", "content", "ldap", "login"),
    *("option", "privilege", "repository", "role", "routing-rule", "secret", "selector", "server"),
    *("task", "token", "user"),
)
FILTERS = ("actor", "domain", "type", "target", "repository", "address", "since", "limit")
CURSOR = "continuationToken"  # As the REST API calls it.

audit = Blueprint("audit", "repoman_web")


@audit.get("/admin/audit")
@permission_needed("audit", "read")
def show() -> str:
    """Return a page of the events that match the form, newest first."""
    page = requested_events()
    wanted = _wanted()
    after = page.continuation_token
    return render_template(
        "repoman/audit.html",
        events=page.items,
        older=after and url_for("audit.show", continuationToken=after, **wanted),
        newer=url_for("audit.show", **wanted) if request.args.get(CURSOR) else "",
        wanted=wanted,
        domains=DOMAINS,
        known=_known({each.repository for each in page.items}),
    )


def _wanted() -> dict[str, Any]:
    """Return what the form asks for."""
    return {name: value for name in FILTERS if (value := request.args.get(name))}


def _known(names: set[str]) -> set[str]:
    """Return those names that are of a repository that the visitor may know about."""
    actor, authorizer = current_actor(), current_security().authorizer
    found = (current_repoman().repositories.find(name) for name in names if name)
    return {each.name for each in found if each is not None and authorizer.knows(actor, each.ref)}


@audit.get("/admin/audit/export")
@permission_needed("audit", "read")
def export() -> Response:
    """Return the newest events that match the form as a file of JSON lines."""
    headers = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
    return Response(requested_event_lines(), mimetype="application/x-ndjson", headers=headers)


@audit.get("/audit")
def show_moved() -> BaseResponse:
    """Redirect from the address that the page had."""
    return redirect(url_for("audit.show", **_wanted()), 308)
