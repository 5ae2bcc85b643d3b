"""Moving a repository to another blob store, and how far that is."""

from typing import Any

from flask import render_template, request, url_for

from repoman.plugin import (
    Action,
    Conflict,
    Invalid,
    ManagedRepositories,
    Unsupported,
    current_repoman,
    done,
    page_call,
    settings_repository,
)
from repoman_web.views.repositories import repositories

STEPS = {"pause": "The move is paused.", "resume": "The move goes on."}


@repositories.route("/<repository>/move", methods=["GET", "POST"])
def move(repository: str) -> Any:
    """Show how far the move of a repository is; begin it, stop it, or have it go on."""
    is_change, call = request.method == "POST", page_call()
    call.repository = found = settings_repository(
        repository, Action.EDIT if is_change else Action.READ
    )
    moves, error = current_repoman().moves, ""
    back = url_for("repositories.move", repository=found.name)
    if is_change:
        step, store = request.form.get("step", ""), request.form.get("store", "")
        try:
            if step in STEPS:
                moves.pause(found.name, is_paused=step == "pause")
                return done(STEPS[step], back)
            moves.begin(found.name, store)
            return done(f"{found.name} moves to {store}. It can be used meanwhile.", back)
        except (Conflict, Invalid, Unsupported) as problem:
            error = str(problem).removeprefix("storage.blob_store: ")
    last = moves.find(found.name)
    assets = moves.count_assets(last) if last else 0
    page = render_template(
        "repoman/repository_move.html",
        repository=found,
        last=last,
        assets=assets,
        percent=min(100, round(100 * last.done / assets)) if last and assets else 0,
        stores=[
            (each, each)
            for each in current_repoman().blob_stores.names()
            if each != found.blob_store
        ],
        may_edit=ManagedRepositories(call).may(Action.EDIT, found),
        error=error,
    )
    return page, 400 if error else 200
