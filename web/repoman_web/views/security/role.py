"""One role: what it allows as matrices, the roles within, who has it."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, request, url_for
from pydantic import Field
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from repoman.plugin import (
    LINE_ACTIONS,
    SUBJECT_ACTIONS,
    SUBJECTS,
    Denied,
    Invalid,
    Role,
    Section,
    SectionForm,
    count_holders,
    current_repoman,
    done,
    list_grants,
    may_administer,
    permission_needed,
    read_list,
    subject_names,
)
from repoman_web.views.security.extents import MATRIX_ROWS, NAME, known_repositories
from repoman_web.views.security.role_matrix import Matrices, line_to_add
from repoman_web.views.security.users import RoleChoice

EMPTY = Role("", "")

role = Blueprint("role", "repoman_web", url_prefix="/admin/roles")


class RoleText(Section):
    """What people call it. Clients and directories know the id."""

    id: str = Field(
        title="Id", max_length=100, description="Letters, digits, _ . and -. It cannot be changed."
    )
    name: str = Field("", max_length=200, description="Empty: the id.")
    description: str = Field("", max_length=4000, description="What the role is for.")


@role.route("/-/new", methods=["GET", "POST"])
@permission_needed("roles", "create")
def create() -> Response | tuple[str, int]:
    """Return the form of a new role, maybe like another one, or create it."""
    like = request.args.get("like", "")
    form, matrices = _form(None), Matrices.stored((), ())
    if request.method == "POST":
        with form.read(request.form).saving():
            matrices = Matrices.sent(request.form, matrices)
            return _save(form, matrices, EMPTY)
    elif like:
        old = _original(like)
        matrices = Matrices.stored(old.privileges, ())
        form.read(MultiDict([("within.roles", each) for each in old.roles]))
    return _render(form, matrices, EMPTY)


@permission_needed("roles", "read")
def _original(id_: str) -> Role:
    """Return the role that is copied: who copies it sees what it allows."""
    return current_repoman().security.roles.get(id_)


@role.route("/<id_>", methods=["GET", "POST"])
@permission_needed("roles", "read")
def show(id_: str) -> Response | tuple[str, int]:
    """Return what a role allows, or change it."""
    old = current_repoman().security.roles.get(id_)
    form = _form(old)
    matrices = Matrices.stored(old.privileges, tuple(list_grants([id_])))
    if request.method == "POST":
        if not may_administer("roles", "update"):
            raise Denied("You are not allowed to update roles.")
        with form.read(request.form).saving():
            matrices = Matrices.sent(request.form, matrices)
            return _save(form, matrices, old)
    return _render(form, matrices, old)


def _form(old: Role | None) -> SectionForm:
    if old is None:
        return SectionForm({"": RoleText, "within": RoleChoice})
    stored: dict[str, dict[str, Any]] = {
        "": {"id": old.id, "name": old.name, "description": old.description},
        "within": {"roles": list(old.roles)},
        "rights": {"privileges": list(old.privileges)},  # for the revision
    }
    fixed = ("id", "name", "description", "within.roles") if _is_fixed(old) else ("id",)
    return SectionForm({"": RoleText, "within": RoleChoice}, stored, fixed=fixed)


def _is_fixed(old: Role) -> bool:
    is_built_in = current_repoman().security.roles.is_built_in(old.id)
    return bool(old.id) and (is_built_in or not may_administer("roles", "update"))


def _save(form: SectionForm, matrices: Matrices, old: Role) -> Response:
    if "add" in request.form:
        matrices.shown.add(line_to_add(request.form))
        raise Invalid("")
    values = form.values()
    names, selected = matrices.chosen(old.privileges)
    if selected and not may_administer("privileges", "create"):
        raise Denied("You are not allowed to create privileges, which content selectors need.")
    text = {"id": old.id, "name": old.name, "description": old.description, **values[""]}
    within = tuple(values["within"].get("roles", old.roles))
    wanted = Role(text["id"], text["name"], text["description"], names, within)
    service = current_repoman().security.roles
    if old.id:
        service.change(wanted, selected)
        return done(f"The role {wanted.id} was saved.", url_for("role.show", id_=wanted.id))
    service.create(wanted, selected)
    users = url_for("users.show_all")
    url = url_for("role.show", id_=wanted.id)
    return done(f"The role {wanted.id} was created.", url, ("Give it to users", users))


def _render(form: SectionForm, matrices: Matrices, old: Role) -> tuple[str, int]:
    if "add" in request.form and not form.problem:
        form.status = HTTPStatus.OK
    return form.render(
        "repoman/security/role.html",
        role=old,
        is_new=not old.id,
        is_fixed=_is_fixed(old),
        is_built_in=current_repoman().security.roles.is_built_in(old.id),
        users=count_holders([old.id]).get(old.id, 0) if old.id else 0,
        **_lines_of(matrices),
        **_subjects_of(matrices),
    )


def _lines_of(matrices: Matrices) -> dict[str, Any]:
    """Return what the matrices of repositories show."""
    query, security = read_list(rows=MATRIX_ROWS), current_repoman().security
    content, older = matrices.lines("content", query)
    repositories = known_repositories()
    return {
        "matrices": matrices,
        "content": content,
        "settings": matrices.lines("settings", query)[0],
        "older": older,
        "query": query,
        "line_actions": LINE_ACTIONS,
        "selectors": security.selectors.all(),
        "types": {each.name: each.config.type for each in repositories},
        "targets": ["*", *security.privileges.formats(), *map(NAME, repositories)],
    }


def _subjects_of(matrices: Matrices) -> dict[str, Any]:
    """Return what the matrix of the server and the list of other privileges show."""
    names = subject_names()
    known = {name for by_action in names.values() for name in by_action.values()}
    others = sorted(matrices.names - known)
    found = current_repoman().security.privileges.find(others)
    return {
        "subjects": SUBJECTS,
        "subject_names": names,
        "subject_actions": SUBJECT_ACTIONS,
        "others": [
            (each, found[each].description if each in found else "There is no such privilege.")
            for each in others
        ],
    }
