"""The deletion of a repository: first what goes, then the name to type."""

from typing import Any

from flask import render_template, request, url_for

from repoman.plugin import Action, ManagedRepositories, done, page_call, settings_repository
from repoman_web.views.repositories import describe_state, format_title, repositories


@repositories.route("/<repository>/delete", methods=["GET", "POST"])
def confirm_delete(repository: str) -> Any:
    """Show what goes with a repository; delete it, if its name was typed."""
    call = page_call()
    call.repository = found = settings_repository(repository, Action.DELETE)
    managed, error = ManagedRepositories(call), ""
    if request.method == "POST":
        if request.form.get("typed", "").strip() == found.name:
            managed.delete()
            text = f"{found.name} was deleted. A task removes its content."
            return done(text, url_for("repositories.show"))
        error = f"Type {found.name} to delete it."
    shown = render_template(
        "repoman/repository_delete.html",
        repository=found,
        format=format_title(found.config.format),
        state=describe_state(found),
        plan=managed.plan_deletion(),
        knows=managed.knows,
        may_edit=managed.may(Action.EDIT, found),
        error=error,
    )
    return shown, 400 if error else 200
