"""Cleanup policies: the list, their form, and deletion."""

from typing import Any

from flask import Blueprint, render_template, request, url_for

from repoman.plugin import (
    CleanupPolicy,
    SectionForm,
    current_repoman,
    done,
    may_administer,
    permission_needed,
)
from repoman_web.views.cleanup_forms import (
    DOMAIN,
    describe,
    format_name,
    list_users,
    policy_form,
    policy_of,
    render_policy,
)

cleanup = Blueprint("cleanup", "repoman_web", url_prefix="/admin/cleanup")


@cleanup.get("")
@permission_needed(DOMAIN, "read")
def show() -> str:
    """Return the list of all policies."""
    policies = current_repoman().cleanup_policies
    return render_template(
        "repoman/cleanup.html",
        policies=[(each, describe(each), format_name(each.format)) for each in policies.all()],
        uses=policies.count_uses(),
        may_create=may_administer(DOMAIN, "create"),
        may_update=may_administer(DOMAIN, "update"),
        may_delete=may_administer(DOMAIN, "delete"),
    )


@cleanup.route("/-/new", methods=["GET", "POST"])
@permission_needed(DOMAIN, "create")
def create() -> Any:
    """Create a policy."""
    form = policy_form(None)
    if request.method == "POST":
        with form.read(request.form).saving():
            made = current_repoman().cleanup_policies.create(policy_of(form, None))
            return done(f"The cleanup policy {made.name} was created.", url_for("cleanup.show"))
    return render_policy(form, None)


@cleanup.route("/<policy>", methods=["GET", "POST"])
@permission_needed(DOMAIN, "read")
def edit(policy: str) -> Any:
    """Show or change a policy."""
    found = current_repoman().cleanup_policies.get(policy)
    form = policy_form(found, may_update=may_administer(DOMAIN, "update"))
    return _change(form, found) if request.method == "POST" else render_policy(form, found)


@permission_needed(DOMAIN, "update")
def _change(form: SectionForm, policy: CleanupPolicy) -> Any:
    with form.read(request.form).saving():
        current_repoman().cleanup_policies.change(policy.name, policy_of(form, policy))
        return done(f"The cleanup policy {policy.name} was saved.", url_for("cleanup.show"))
    return render_policy(form, policy)


@cleanup.route("/<policy>/delete", methods=["GET", "POST"])
@permission_needed(DOMAIN, "delete")
def confirm_delete(policy: str) -> Any:
    """Delete a policy; repositories that use it do not any more."""
    found = current_repoman().cleanup_policies.get(policy)
    if request.method == "POST":
        current_repoman().cleanup_policies.delete(found.name)
        return done(f"The cleanup policy {found.name} was deleted.", url_for("cleanup.show"))
    return render_template(
        "repoman/cleanup_delete.html",
        policy=found,
        text=describe(found),
        users=list_users(found),
        count=current_repoman().cleanup_policies.count_uses()[found.name.lower()],
    )
