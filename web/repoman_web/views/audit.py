"""The audit log, for users who may read it."""

from typing import Any

from flask import Blueprint, render_template, request, url_for

from repoman.plugin import permission_needed, requested_events

DOMAINS = (
    *("access", "audit", "blob-store", "certificate", "cleanup-policy", "content", "ldap", "login"),
    *("option", "privilege", "repository", "role", "routing-rule", "secret", "selector", "server"),
    *("task", "token", "user"),
)

audit = Blueprint("audit", "repoman_web", url_prefix="/audit")


@audit.get("")
@permission_needed("audit", "read")
def show() -> str:
    """Return a page of the events that match the form, newest first."""
    page = requested_events()
    wanted: dict[str, Any] = {name: value for name, value in request.args.items() if value}
    after = page.continuation_token
    older = after and url_for("audit.show", **{**wanted, "continuationToken": after})
    return render_template(
        "repoman/audit.html", events=page.items, older=older, wanted=wanted, domains=DOMAINS
    )
