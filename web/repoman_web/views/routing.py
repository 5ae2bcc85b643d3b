"""Routing rules: the list, their form, paths to try, and deletion."""

from typing import Any

from flask import Blueprint, render_template, request, url_for
from pydantic import Field

from repoman.plugin import (
    Action,
    Denied,
    ManagedRepositories,
    Permission,
    RegularExpressions,
    RoutingMode,
    RoutingRule,
    RoutingSection,
    Section,
    SectionForm,
    SomeSettings,
    current_repoman,
    done,
    may_administer,
    page_call,
    permission_needed,
)

ROOT = Permission("*", "*")  # May change rules: they may be those of any repository.
READERS = (SomeSettings(Action.READ), SomeSettings(Action.ADD))
PATHS_MAX = 100  # Paths that are tried at once.

routing = Blueprint("routing", "repoman_web", url_prefix="/admin/routing")


class NameSection(Section):
    """A rule on paths, which proxies and groups can share."""

    name: str = Field(max_length=200, description="Letters, digits, '-', '_' and '.'.")
    description: str = Field(
        "", max_length=1000, description="What it is for.", json_schema_extra={"hint": ""}
    )


class MatcherSection(Section):
    """Which paths proxies may request, and groups serve."""

    mode: RoutingMode = Field(
        RoutingMode.BLOCK,
        title="Paths that match one of the matchers",
        json_schema_extra={
            "labels": {"block": "are blocked", "allow": "are let through, no others"}
        },
    )
    matchers: RegularExpressions = Field(
        description="Regular expressions that match a whole name, such as team/.*, or a "
        "whole path, such as /com/example/.*.",
        json_schema_extra={"rows": 5},
    )


SECTIONS: dict[str, type[Section]] = {"": NameSection, "paths": MatcherSection}


@routing.get("")
def show() -> str:
    """Return the list of all rules."""
    _check_reader()
    rules = current_repoman().routing_rules
    return render_template(
        "repoman/routing.html",
        rules=rules.all(),
        uses=rules.count_uses(),
        may_change=may_administer("*", "*"),
    )


@routing.route("/-/new", methods=["GET", "POST"])
@permission_needed("*", "*")
def create() -> Any:
    """Create a rule."""
    return _answer(None)


@routing.route("/<rule>", methods=["GET", "POST"])
def edit(rule: str) -> Any:
    """Show or change a rule; who may read it may try paths."""
    _check_reader()
    if request.method == "POST" and "try" not in request.form:
        ROOT.check(page_call(), {})
    return _answer(current_repoman().routing_rules.get(rule))


@routing.route("/<rule>/delete", methods=["GET", "POST"])
@permission_needed("*", "*")
def confirm_delete(rule: str) -> Any:
    """Delete a rule that no repository uses."""
    found = current_repoman().routing_rules.get(rule)
    if request.method == "POST":
        current_repoman().routing_rules.delete(found.name)
        return done(f"The routing rule {found.name} was deleted.", url_for("routing.show"))
    return render_template("repoman/routing_delete.html", rule=found, users=_users(found))


def _check_reader() -> None:
    """Return if the visitor may choose rules for a repository (Unauthenticated, Denied)."""
    call = page_call()
    call.require_login()
    if not any(each.allows(call.actor, call.repoman.security.authorizer) for each in READERS):
        raise Denied(f"{call.actor.name} is not allowed to read routing rules.")


def _answer(rule: RoutingRule | None) -> Any:
    """Return the form of a rule, or what comes of it."""
    stored, may_change = None if rule is None else _stored(rule), may_administer("*", "*")
    fixed = () if may_change else ("name", "description", "paths.mode", "paths.matchers")
    form, tried = SectionForm(SECTIONS, stored, fixed=fixed), None
    if "try" in request.form:
        tried = _try(form.read(request.form), rule)
    elif request.method == "POST":
        with form.read(request.form).saving():
            return _save(form, rule)
    users = () if rule is None else _users(rule)
    return form.render(
        "repoman/routing_form.html", rule=rule, users=users, tried=tried, may_change=may_change
    )


def _save(form: SectionForm, rule: RoutingRule | None) -> Any:
    values = form.values()
    general, paths = values[""], values["paths"]
    made = RoutingRule(
        general["name"],
        RoutingMode(paths["mode"]),
        tuple(paths["matchers"]),
        general["description"],
    )
    if rule is None:
        current_repoman().routing_rules.create(made)
    else:
        current_repoman().routing_rules.change(rule.name, made)
    done_to = "created" if rule is None else "saved"
    return done(f"The routing rule {made.name} was {done_to}.", url_for("routing.show"))


def _stored(rule: RoutingRule) -> dict[str, dict[str, Any]]:
    return {
        "": {"name": rule.name, "description": rule.description},
        "paths": {"mode": rule.mode.value, "matchers": list(rule.matchers)},
    }


def _try(form: SectionForm, rule: RoutingRule | None) -> list[tuple[str, bool]]:
    """Return whether each path that was typed is let through, by what is in the form."""
    trial = SectionForm({"paths": MatcherSection}).read(request.form)
    if rule is not None and not may_administer("*", "*"):
        typed = rule
    else:
        with trial.saving():
            values = trial.values()["paths"]
            typed = RoutingRule("", RoutingMode(values["mode"]), tuple(values["matchers"]))
        if trial.errors:
            form.errors.update(trial.errors)
            return []
    lines = request.form.get("tried", "").splitlines()
    paths = [each.strip() for each in lines if each.strip()][:PATHS_MAX]
    return [(each, typed.allows([each])) for each in paths]


def _users(rule: RoutingRule) -> list[str]:
    """Return the names of the repositories that use a rule, as far as the visitor may know them."""
    managed = ManagedRepositories(page_call())
    return [
        each.name
        for each in current_repoman().repositories.all()
        for section in each.config.sections.values()
        if isinstance(section, RoutingSection)
        and section.rule.lower() == rule.name.lower()
        and managed.knows(each.name)
    ]
