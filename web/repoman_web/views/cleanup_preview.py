"""What cleanup policies would remove from a repository, as a page and as a file."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from itertools import islice
from typing import Any

from flask import Response, render_template, request

from repoman.plugin import (
    READING,
    CleanupDecision,
    CleanupPolicy,
    CleanupQuery,
    Invalid,
    Repository,
    SectionForm,
    current_actor,
    current_repoman,
    permission_needed,
    read_list,
    row_key,
)
from repoman_web.views.cleanup import cleanup
from repoman_web.views.cleanup_forms import (
    DOMAIN,
    describe,
    list_repositories,
    policy_form,
    policy_of,
    render_policy,
)

REPOSITORY, SHOW, START = "preview.repository", "preview.show", "preview.start"
TRIAL_ITEMS = 100  # Components on a page of a trial.
LINES = 500  # Of the file, that are sent together.
COLUMNS = ("decision", "namespace", "name", "version", "bytes", "stored", "pulled", "reason")


@cleanup.get("/-/preview")
@permission_needed(DOMAIN, "read")
def preview() -> str:
    """Return a page of decisions, with their reasons."""
    chosen, policies = _chosen()
    query, wanted = read_list(), _decision(request.args.get("show"))
    key = query.key(int)
    page = None
    unfit = _find_unfit(policies or (), chosen)
    if chosen is not None and unfit is None:
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
        repositories=list_repositories(),
        choices=_choices(chosen),
        unfit=unfit,
        policy=request.args.get("policy", ""),
    )


@cleanup.post("/-/try")
@permission_needed(DOMAIN, "read")
def try_criteria() -> tuple[str, int]:
    """Return the form of a policy with what its criteria would remove; nothing is stored."""
    form, policy = _sent_form()
    shown: dict[str, Any] = {"asked": request.form}
    with form.saving():
        repository, criteria = _read_trial(form, policy)
        start = request.form.get(START, 0, int)
        decision = _decision(request.form.get(SHOW))
        query = CleanupQuery(decision, start=max(0, start), size=TRIAL_ITEMS)
        tried = current_repoman().cleanup_preview
        page = tried.preview(repository, [criteria], current_actor(), query)
        shown |= {"page": page, "tried": describe(criteria), "start": query.start}
    return render_policy(form, policy, **shown)


@cleanup.post("/-/try.csv")
@permission_needed(DOMAIN, "read")
def export_trial() -> Any:
    """Return all decisions by the criteria of a form as a file of comma-separated values."""
    form, policy = _sent_form()
    with form.saving():
        repository, criteria = _read_trial(form, policy)
        current_repoman().cleanup_preview.check(repository, [criteria])
        return _export(repository, [criteria])
    return render_policy(form, policy, asked=request.form)


def _sent_form() -> tuple[SectionForm, CleanupPolicy | None]:
    """Return what was sent of the form of a policy, which is stored already or not (NotFound)."""
    name = request.args.get("policy", "")
    policy = current_repoman().cleanup_policies.get(name) if name else None
    return policy_form(policy).read(request.form), policy


def _read_trial(
    form: SectionForm, policy: CleanupPolicy | None
) -> tuple[Repository, CleanupPolicy]:
    """Return what to try, and where; the policy needs no name for it.

    Raises:
        Invalid: something is wrong, and the form says what.
        NotFound, Denied: as of the content of the repository.
    """
    name = request.form.get(REPOSITORY, "")
    if not name:
        raise Invalid("Choose a repository to see what the policy would remove from it.")
    repository = current_repoman().contents.repository(name, current_actor(), READING)
    sent = request.form.copy()
    sent["name"] = sent.get("name") or "unnamed"
    checked = policy_form(policy).read(sent)
    with checked.saving():
        return repository, replace(policy_of(checked, policy), name="")
    form.errors = checked.errors
    raise Invalid(checked.problem)


@cleanup.get("/-/preview.csv")
@permission_needed(DOMAIN, "read")
def export_preview() -> Response:
    """Return all decisions as a file of comma-separated values."""
    repository, policies = _chosen()
    if repository is None:
        raise Invalid("Choose a repository.")
    current_repoman().cleanup_preview.check(repository, policies or ())
    return _export(repository, policies)


def _export(repository: Repository, policies: list[CleanupPolicy] | None) -> Response:
    """Return the file; its lines are sent while the decisions are made."""
    found = current_repoman().cleanup_preview
    rows = (
        (
            *(each.decision, each.shown.namespace, each.shown.name, each.shown.version, each.size),
            *(_time_of(each.updated_at), _time_of(each.downloaded_at), each.reason),
        )
        for each in found.explain_all(repository, policies, current_actor())
    )
    headers = {"Content-Disposition": 'attachment; filename="cleanup.csv"'}
    return Response(_read_lines(rows), mimetype="text/csv", headers=headers)


def _time_of(at: float) -> str:
    """Return a time as spreadsheets read it, in UTC; nothing for never."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}" if at else ""


def _read_lines(rows: Iterator[Iterable[object]]) -> Iterator[str]:
    """Yield the lines of the file, some hundreds at a time."""
    yield _joined([COLUMNS])
    while some := list(islice(rows, LINES)):
        yield _joined(some)


def _joined(rows: Iterable[Iterable[object]]) -> str:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


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


def _decision(shown: str | None) -> CleanupDecision | None:
    """Return which decisions are shown; None: all."""
    shown = shown or CleanupDecision.GOES
    return CleanupDecision(shown) if shown in set(CleanupDecision) else None


def _find_unfit(
    policies: Iterable[CleanupPolicy], repository: Repository | None
) -> CleanupPolicy | None:
    """Return a policy that a repository cannot use, for its format; None: all fit."""
    if repository is None:
        return None
    return next((each for each in policies if not each.fits(repository.config.format)), None)


def _choices(repository: Repository | None) -> list[tuple[str, str]]:
    """Return the policies that can be tried, on any repository if none is chosen yet."""
    policies = current_repoman().cleanup_policies.all()
    if repository is not None:
        policies = [each for each in policies if each.fits(repository.config.format)]
    return [("", "The policies that it uses"), *((each.name, each.name) for each in policies)]
