"""The list of roles, and deleting one."""

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    count_holders,
    current_repoman,
    done,
    permission_needed,
    read_list,
    roles_including,
    row_key,
)
from repoman_web.views.security.rows import cut_rows

roles = Blueprint("roles", "repoman_web", url_prefix="/admin/roles")


@roles.get("")
@permission_needed("roles", "read")
def show_all() -> str:
    """Return the list of roles."""
    query, service = read_list(), current_repoman().security.roles
    key = query.key(str)
    found = service.page(query.filter, None if key is None else key[0], query.rows + 1)
    rows = cut_rows(found, query, lambda each: row_key(each.id))
    return render_template(
        "repoman/security/roles.html",
        rows=rows,
        holders=count_holders(each.id for each in rows.shown),
        built_in={each.id for each in rows.shown if service.is_built_in(each.id)},
        query=query,
    )


@roles.route("/<id_>/delete", methods=["GET", "POST"])
@permission_needed("roles", "delete")
def delete(id_: str) -> Response | str:
    """Return the page that says who loses a role, or delete it."""
    service = current_repoman().security.roles
    role = service.get(id_)
    if request.method == "POST":
        service.delete(id_)
        return done(f"The role {id_} was deleted.", url_for("roles.show_all"))
    return render_template(
        "repoman/security/role_delete.html",
        role=role,
        users=count_holders([id_]).get(id_, 0),
        includers=roles_including(id_),
        is_built_in=service.is_built_in(id_),
    )
