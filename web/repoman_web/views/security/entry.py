"""Who is let in: access without a login, and the realms."""

from dataclasses import replace

from flask import Blueprint, request, url_for
from pydantic import Field
from werkzeug.wrappers import Response

from repoman.plugin import (
    ANONYMOUS,
    ANONYMOUS_OPTIONS,
    AnonymousOptions,
    Section,
    SectionForm,
    current_repoman,
    done,
    may_administer,
    permission_needed,
    read_list,
)
from repoman_web.views.security.extents import (
    ACTIONS,
    MATRIX_ROWS,
    known_repositories,
    overview_of,
    repository_lines,
)
from repoman_web.views.security.users import RoleChoice

KEPT = ("user_id", "realm_name", "roles")  # Options for clients, and what has boxes of its own.

anonymous = Blueprint("anonymous", "repoman_web", url_prefix="/admin/anonymous")
realms = Blueprint("realms", "repoman_web", url_prefix="/admin/realms")


class RealmOrder(Section):
    """Each login is tried with them from the top down, until one knows the user."""

    active: tuple[str, ...] = Field(
        (), title="Active realms", json_schema_extra={"widget": "picker"}
    )


@anonymous.route("", methods=["GET", "POST"])
@permission_needed("settings", "read")
def show() -> Response | tuple[str, int]:
    """Return what anybody may do without a login, or change it."""
    form = _anonymous_form()
    if request.method == "POST":
        with form.read(request.form).saving():
            return _change_anonymous(form)
    overview, query = overview_of(ANONYMOUS), read_list(rows=MATRIX_ROWS)
    lines, older = repository_lines(overview, known_repositories(), query)
    return form.render(
        "repoman/security/anonymous.html",
        enabled=replace(form.field("enabled"), label="Allow access without a login", hint=""),
        lines=lines,
        older=older,
        query=query,
        actions=ACTIONS,
    )


def _anonymous_form() -> SectionForm:
    options = current_repoman().options.get(ANONYMOUS_OPTIONS, AnonymousOptions)
    fixed = []
    if not may_administer("settings", "update"):
        fixed.append("enabled")
    # Roles of anybody are changed like those of a user, and the form shows them only to readers.
    if fixed or not all(may_administer("users", each) for each in ("read", "update")):
        fixed.append("access.roles")
    return SectionForm(
        {"": AnonymousOptions, "access": RoleChoice},
        {"": {"enabled": options.enabled}, "access": {"roles": list(options.roles)}},
        without=KEPT,
        fixed=fixed,
        titles={"": "Access without a login"},
    )


@permission_needed("settings", "update")
def _change_anonymous(form: SectionForm) -> Response:
    values = form.values()
    is_open = values[""]["enabled"]
    current_repoman().options.update(ANONYMOUS_OPTIONS, {"enabled": is_open, **values["access"]})
    text = "Anybody may read without a login." if is_open else "Everybody has to log in."
    return done(text, url_for("anonymous.show"))


@realms.route("", methods=["GET", "POST"])
@permission_needed("settings", "read")
def show_order() -> Response | tuple[str, int]:
    """Return the realms in their order, or change it."""
    service = current_repoman().security.realms
    titles = [(each.id, each.title) for each in service.available()]
    form = SectionForm(
        {"": RealmOrder}, {"": {"active": service.active()}}, choices={"active": titles}
    )
    if request.method == "POST":
        with form.read(request.form).saving():
            return _activate(form)
    return form.render("repoman/security/realms.html", titles=dict(titles))


@permission_needed("settings", "update")
def _activate(form: SectionForm) -> Response:
    current_repoman().security.realms.activate(form.values()[""]["active"])
    return done("The realms were saved. The next login is tried so.", url_for("realms.show_order"))
