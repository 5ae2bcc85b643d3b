"""Privileges: what roles are made of; those that somebody made are created, changed, deleted."""

from operator import attrgetter
from typing import Any

from flask import Blueprint, render_template, request, url_for
from pydantic import Field
from werkzeug.wrappers import Response

from repoman.plugin import (
    ADMINISTERED,
    PRIVILEGE_TYPES,
    SHIPPED_PRIVILEGES,
    Action,
    Invalid,
    ListQuery,
    NotFound,
    Privilege,
    Section,
    SectionForm,
    current_repoman,
    done,
    may_administer,
    permission_needed,
    read_list,
    roles_with_privilege,
    row_key,
)
from repoman_web.views.security.extents import known_repositories
from repoman_web.views.security.rows import Rows, cut_rows, page_rows

NAME = attrgetter("name")
TITLES = {
    "repository-view": ("Content", "To do something with the content of repositories."),
    "repository-admin": ("Settings", "To do something with the settings of repositories."),
    "repository-content-selector": ("Content selector", "For the paths that a selector picks."),
    "application": ("Server", "To do something with the server itself."),
    "wildcard": ("Permission", "Any permission, written as text."),
    "script": ("Script", "Kept for clients; this server runs no scripts."),
}
REPOSITORIES_MAX = 200  # More are not a list to choose from.

privileges = Blueprint("privileges", "repoman_web", url_prefix="/admin/privileges")


class PrivilegeText(Section):
    """What it is called, and what it is for."""

    name: str = Field(
        max_length=100, description="Letters, digits, _ . and -. It cannot be changed later."
    )
    description: str = Field("", max_length=4000)


@privileges.app_template_filter()
def privilege_type(kind: str) -> str:
    """Return what a type of privileges is called to people."""
    return TITLES.get(kind, (kind, ""))[0]


@privileges.app_template_filter()
def permission_text(privilege: Privilege) -> str:
    """Return the permission that a privilege grants."""
    model = PRIVILEGE_TYPES.get(privilege.type)
    if model is None:
        return "of a later version"
    return model.model_validate(privilege.properties).permission()


@privileges.get("")
@permission_needed("privileges", "read")
def show_all() -> str:
    """Return the list of privileges: made here, of the program, or of repositories."""
    query, origin = read_list(), request.args.get("origin", "")
    kind = request.args.get("type", "")
    return render_template(
        "repoman/security/privileges.html",
        rows=_rows(query, origin, kind if kind in TITLES else None),
        query=query,
        origin=origin,
        kind=kind,
        types=TITLES,
    )


def _rows(query: ListQuery, origin: str, kind: str | None) -> Rows[Privilege]:
    service, key = current_repoman().security.privileges, query.key(str)
    if origin not in ("program", "repositories"):
        found = service.page(query.filter, kind, None if key is None else key[0], query.rows + 1)
        return cut_rows(found, query, lambda each: row_key(each.name))
    every = SHIPPED_PRIVILEGES.values() if origin == "program" else service.of_repositories()
    wanted = [each for each in every if kind in (None, each.type)]
    return page_rows(wanted, query, NAME, lambda each: f"{each.name}\n{each.description}")


@privileges.route("/-/new", methods=["GET", "POST"])
@permission_needed("privileges", "create")
def create() -> Response | tuple[str, int] | str:
    """Return the types of privileges, or the form of a new one, or create it."""
    kind = request.args.get("type", "")
    if kind not in TITLES:
        return render_template("repoman/security/privilege_types.html", types=TITLES)
    form = SectionForm(
        {"": PrivilegeText, "rights": PRIVILEGE_TYPES[kind]},
        choices=_choices(kind),
        titles={"": "Privilege"},
    )
    if request.method == "POST":
        with form.read(request.form).saving():
            return _create(form, kind)
    return form.render("repoman/security/privilege.html", kind=kind, privilege=None, roles=[])


def _create(form: SectionForm, kind: str) -> Response:
    values = form.values()
    text = values[""]
    try:
        current_repoman().security.privileges.create(
            text["name"], kind, values["rights"], text["description"]
        )
    except Invalid as error:
        raise _of_rights(error) from error
    url = url_for("privileges.show", name=text["name"])
    roles = ("Put it into a role", url_for("roles.show_all"))
    return done(f"The privilege {text['name']} was created.", url, roles)


@privileges.route("/<name>", methods=["GET", "POST"])
@permission_needed("privileges", "read")
def show(name: str) -> Response | tuple[str, int]:
    """Return a privilege, or change it."""
    service = current_repoman().security.privileges
    old = service.get(name)
    if old.type not in PRIVILEGE_TYPES:
        raise NotFound(f"The privilege {name!r} is of a later version.")
    form = _form(old)
    if request.method == "POST":
        with form.read(request.form).saving():
            return _change(form, old)
    return form.render(
        "repoman/security/privilege.html",
        kind=old.type,
        privilege=old,
        is_built_in=service.is_built_in(name),
        roles=roles_with_privilege(name),
    )


def _form(old: Privilege) -> SectionForm:
    model, is_built_in = PRIVILEGE_TYPES[old.type], current_repoman().security.privileges
    stored = {
        "": {"name": old.name, "description": old.description},
        "rights": dict(old.properties),
    }
    fixed = ["name"]
    if is_built_in.is_built_in(old.name) or not may_administer("privileges", "update"):
        fixed = ["name", "description", *(f"rights.{each}" for each in model.model_fields)]
    return SectionForm(
        {"": PrivilegeText, "rights": model},
        stored,
        choices=_choices(old.type),
        fixed=fixed,
        titles={"": "Privilege"},
    )


@permission_needed("privileges", "update")
def _change(form: SectionForm, old: Privilege) -> Response:
    values = form.values()
    text = values[""].get("description", old.description)
    try:
        current_repoman().security.privileges.change(old.name, values["rights"], text)
    except Invalid as error:
        raise _of_rights(error) from error
    return done(f"The privilege {old.name} was saved.", url_for("privileges.show", name=old.name))


@privileges.route("/<name>/delete", methods=["GET", "POST"])
@permission_needed("privileges", "delete")
def delete(name: str) -> Response | str:
    """Return the page that says which roles lose a privilege, or delete it."""
    service = current_repoman().security.privileges
    privilege = service.get(name)
    if request.method == "POST":
        service.delete(name)
        return done(f"The privilege {name} was deleted.", url_for("privileges.show_all"))
    return render_template(
        "repoman/security/privilege_delete.html",
        privilege=privilege,
        roles=roles_with_privilege(name),
        is_built_in=service.is_built_in(name),
    )


def _of_rights(error: Invalid) -> Invalid:
    """Return an error about a property as one about its field in the form."""
    if error.field is None or error.field in PrivilegeText.model_fields:
        return error
    field = f"rights.{error.field}"
    return Invalid(f"{field}: {str(error).removeprefix(f'{error.field}: ')}", field=field)


def _choices(kind: str) -> dict[str, list[tuple[str, str]]]:
    """Return what the fields of a type can be at present."""
    if kind == "application":
        verbs = ("*", "create", "read", "update", "delete", "start", "stop")
        domains = sorted({*ADMINISTERED, "search", "component", "usertoken-settings"})
        return {
            "rights.actions": [(each, "all" if each == "*" else each) for each in verbs],
            "rights.domain": [("*", "any"), *((each, each) for each in domains)],
        }
    if kind == "wildcard":
        return {}
    actions: list[Any] = ["*", *Action, *(["run"] if kind == "script" else [])]
    found = {"rights.actions": [(str(each), "all" if each == "*" else each) for each in actions]}
    if kind == "script":
        return found
    security = current_repoman().security
    found["rights.format"] = [
        ("*", "any"),
        *((each, each) for each in security.privileges.formats()),
    ]
    names = [each.name for each in known_repositories()]
    if len(names) <= REPOSITORIES_MAX:
        found["rights.repository"] = [("*", "all of the format"), *((each, each) for each in names)]
    if kind == "repository-content-selector":
        found["rights.selector"] = [(each.name, each.name) for each in security.selectors.all()]
    return found
