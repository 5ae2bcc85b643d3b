"""The audit log over REST, for anybody who has the permission ``nx-audit-read``."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from repoman.errors import Invalid
from repoman.http.audit import AUDIT
from repoman.http.current import current_environ
from repoman.http.guard import permission_needed
from repoman.security.audit import Audit

PAGE = 100  # events, unless asked otherwise
PAGE_MAX = 1000
FILTERS = ("domain", "type", "actor", "address", "repository", "target")

audit_rest = Blueprint("repoman_audit", __name__)


@audit_rest.get("/service/rest/v1/audit")
@permission_needed("audit", "read")
def list_events() -> dict[str, Any]:
    """Answer with a page of events, the newest first, and the token that leads to the next."""
    items, after = requested_events()
    return {"items": items, "continuationToken": after}


def requested_events() -> tuple[list[dict[str, Any]], str | None]:
    """Return the page of the audit log that the parameters of the request ask for.

    The events are the columns of their rows, the newest first. With them comes what the parameter
    ``continuationToken`` is for the next page; None: there is none. A parameter that is empty is as
    if it were not there.

    Raises:
        Invalid: a parameter is not valid.
    """
    audit: Audit = current_environ()[AUDIT]
    limit = _number("limit") or PAGE
    if limit > PAGE_MAX:
        raise Invalid(f"limit: must be at most {PAGE_MAX}.", field="limit")
    filters = {name: request.args[name] for name in FILTERS if request.args.get(name)}
    rows = audit.search(
        filters, since=_since(), limit=limit + 1, after=_number("continuationToken")
    )
    items = rows[:limit]
    has_more = len(rows) > limit
    return items, str(items[-1]["id"]) if has_more else None


def _number(name: str) -> int | None:
    text = request.args.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 18 and int(text)):
        raise Invalid(
            f"{name}: {text[:50]!r} is not a valid number: it must be a whole number above zero.",
            field=name,
        )
    return int(text)


def _since() -> float:
    """Return the parameter ``since`` (ISO 8601, UTC where it does not say), in seconds."""
    text = request.args.get("since")
    if not text:
        return 0.0
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise Invalid(
            f"since: {text[:50]!r} is not a valid time: write it as in ISO 8601, such as "
            "2026-01-31T12:00:00Z.",
            field="since",
        ) from error
