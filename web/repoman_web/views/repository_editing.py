"""Creating a repository, changing its settings, and deleting it."""

from itertools import groupby
from typing import Any

from flask import Response, jsonify, render_template, request, url_for

from repoman.plugin import (
    Action,
    Denied,
    FormatUi,
    ManagedRepositories,
    NotFound,
    Recipe,
    RepositoryType,
    current_repoman,
    done,
    find_format,
    page_call,
    settings_repository,
)
from repoman_web.views.repositories import (
    describe_state,
    format_title,
    may_create,
    repositories,
)
from repoman_web.views.repository_forms import PORT_MAX, RepositoryForm, read_port

FORM = "repoman/repository_form.html"
TYPE_TEXTS = {
    RepositoryType.HOSTED: "Your own content: people and build servers push here.",
    RepositoryType.PROXY: "Another server, fetched once and cached here.",
    RepositoryType.GROUP: "Several repositories at one address.",
}


@repositories.get("/-/new")
def choose() -> str:
    """Return the page with the recipes that the visitor may use."""
    by_format = groupby(_managed_for_new().recipes(), lambda each: each.format)
    shown = [
        (format_title(name), _ui(name).about, sorted(group, key=_place_of_type))
        for name, group in by_format
    ]
    return render_template("repoman/repository_new.html", formats=shown, texts=TYPE_TEXTS)


@repositories.get("/-/new/port")
def report_port() -> Response:
    """Return how the port is that was typed, for the form."""
    call, name = page_call(), request.args.get("name", "")
    if name:
        call.repository = settings_repository(name, Action.EDIT)
    managed = ManagedRepositories(call) if name else _managed_for_new()
    text = request.args.get("value", "").strip()
    if not text:
        return jsonify(text="No connector.", tone="ok")
    port = read_port(text)
    if port is None:
        return jsonify(text=f"Must be from 1 to {PORT_MAX}.", tone="error")
    report = managed.report_port(port, request.args.get("scheme", "http"))
    return jsonify(text=report.advice, tone="ok" if report.is_good else "error")


@repositories.route("/-/new/<recipe>", methods=["GET", "POST"])
def create(recipe: str) -> Any:
    """Create a repository."""
    managed = _managed_for_new()
    chosen = next((each for each in managed.recipes() if each.name == recipe), None)
    if chosen is None:
        raise NotFound("There is no such kind of repository, or you may not create one.")
    form, tried = RepositoryForm(chosen, managed), None
    if "try" in request.form:
        tried = form.try_out()
    elif request.method == "POST":
        with form.read(request.form).saving():
            values = form.values()
            general = values.pop("")
            is_online = bool(general["online"])
            made = managed.create(general["name"], chosen, values, is_online=is_online)
            use = "Use it", url_for("use.show", repository=made.name)
            return done(f"{made.address} was created.", url_for("repositories.show"), use)
        form.explain_ports()
    title = f"{format_title(chosen.format)} {chosen.type} repository"
    example = _ui(chosen.format).path_example
    shown = {"title": title, "path_example": example, "may_edit": True}
    return form.render(FORM, recipe=chosen, tried=tried, **shown)


@repositories.route("/<repository>", methods=["GET", "POST"])
def edit(repository: str) -> Any:
    """Show or change the settings of a repository."""
    is_change, call = request.method == "POST", page_call()
    action = Action.EDIT if is_change else Action.READ
    call.repository = found = settings_repository(repository, action)
    managed, tried = ManagedRepositories(call), None
    shown = {
        "repository": found,
        "format": format_title(found.config.format),
        "path_example": _ui(found.config.format).path_example,
        "state": describe_state(found),
        "may_edit": managed.may(Action.EDIT, found),
        "may_delete": managed.may(Action.DELETE, found),
    }
    if not found.config.sections:
        return render_template("repoman/repository_broken.html", **shown)
    recipe = current_repoman().repositories.get_recipe(found.config.recipe)
    form = RepositoryForm(recipe, managed, found, may_edit=bool(shown["may_edit"]))
    if "try" in request.form:
        tried = form.try_out()
    elif is_change:
        with form.read(request.form).saving():
            values = form.values()
            managed.change(values, is_online=values.pop("")["online"])
            url = url_for("repositories.edit", repository=found.name)
            return done(f"The settings of {found.name} were saved.", url)
        form.explain_ports()
    else:
        form.tell_ports()
    return form.render(FORM, recipe=recipe, tried=tried, **shown)


def _managed_for_new() -> ManagedRepositories:
    """Return the repositories for somebody who may create some (Unauthenticated, Denied)."""
    call = page_call()
    call.require_login()
    if not may_create():
        raise Denied(f"{call.actor.name} is not allowed to create repositories.")
    return ManagedRepositories(call)


def _ui(format_name: str) -> FormatUi:
    found = find_format(format_name)
    return FormatUi() if found is None else found.ui


def _place_of_type(recipe: Recipe) -> int:
    return list(RepositoryType).index(recipe.type)


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
