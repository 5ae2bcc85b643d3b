"""What cleanup policies would remove from a repository, as a page and as a file."""

import csv
from io import StringIO

from flask import Response, render_template, request

from repoman.plugin import (
    READING,
    CleanupDecision,
    CleanupPolicy,
    CleanupQuery,
    CleanupSection,
    Repository,
    RepositoryType,
    current_actor,
    current_repoman,
    permission_needed,
    read_list,
    row_key,
)
from repoman_web.views.cleanup import DOMAIN, cleanup, describe

COLUMNS = ("decision", "namespace", "name", "version", "bytes", "stored", "pulled", "reason")


@cleanup.get("/-/preview")
@permission_needed(DOMAIN, "read")
def preview() -> str:
    """Return a page of decisions, with their reasons."""
    chosen, policies = _chosen()
    query, wanted = read_list(), _decision()
    key = query.key(int)
    page = None
    if chosen is not None:
        asked = CleanupQuery(wanted, query.filter, key[0] if key else 0, query.rows)
        tried = current_repoman().cleanup_preview
        page = tried.preview(chosen, policies, current_actor(), asked)
    used = [] if chosen is None else current_repoman().cleaner.policies_of(chosen)
    return render_template(
        "repoman/cleanup_preview.html",
        repository=chosen,
        page=page,
        query=query,
        wanted=wanted,
        older="" if page is None or page.next is None else query.older(row_key(page.next)),
        tried=[(each.name, describe(each)) for each in (used if policies is None else policies)],
        is_used=policies is None,
        repositories=_repositories(),
        choices=_choices(),
        policy=request.args.get("policy", ""),
    )


@cleanup.get("/-/preview.csv")
@permission_needed(DOMAIN, "read")
def export_preview() -> Response:
    """Return all decisions as a file of comma-separated values."""
    chosen, policies = _chosen()
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    if chosen is not None:
        found = current_repoman().cleanup_preview
        for each in found.explain_all(chosen, policies, current_actor()):
            shown = each.shown
            times = (f"{each.updated_at:.0f}", f"{each.downloaded_at:.0f}")
            row = (each.decision, shown.namespace, shown.name, shown.version, each.size)
            writer.writerow((*row, *times, each.reason))
    headers = {"Content-Disposition": 'attachment; filename="cleanup.csv"'}
    return Response(text.getvalue(), mimetype="text/csv", headers=headers)


def _chosen() -> tuple[Repository | None, list[CleanupPolicy] | None]:
    """Return the repository and the policies to try; without policies, those that it uses.

    Errors as of the repository's content: NotFound, Denied.
    """
    name, policy = request.args.get("repository", ""), request.args.get("policy", "")
    repoman = current_repoman()
    policies = [repoman.cleanup_policies.get(policy)] if policy else None
    if not name:
        return None, policies
    return repoman.contents.repository(name, current_actor(), READING), policies


def _decision() -> CleanupDecision | None:
    shown = request.args.get("show", CleanupDecision.GOES)
    return CleanupDecision(shown) if shown in set(CleanupDecision) else None


def _repositories() -> list[tuple[str, str]]:
    """Return the repositories that policies can be tried on; those that use some say so."""
    found = []
    for each in current_repoman().contents.searchable(current_actor()):
        if each.config.type is not RepositoryType.GROUP:
            section = each.config.sections.get("cleanup")
            names = section.policy_names if isinstance(section, CleanupSection) else None
            found.append((each.name, f"{each.name} ({', '.join(names)})" if names else each.name))
    return [("", "Choose a repository"), *found]


def _choices() -> list[tuple[str, str]]:
    policies = current_repoman().cleanup_policies.all()
    return [("", "The policies that it uses"), *((each.name, each.name) for each in policies)]
