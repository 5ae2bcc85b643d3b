"""The tokens of all users: which never expire, which nobody uses; revoking one."""

import time

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    NotFound,
    TokenQuery,
    current_repoman,
    done,
    permission_needed,
    read_list,
    row_key,
)
from repoman_web.views.security.rows import cut_rows

all_tokens = Blueprint("all_tokens", "repoman_web", url_prefix="/admin/tokens")


@all_tokens.get("")
@permission_needed("users", "read")
def show_all() -> str:
    """Return the list of the tokens of all users."""
    query, kind = read_list(), request.args.get("kind", "")
    wanted = TokenQuery(query.filter, is_endless=kind == "endless", is_unused=kind == "unused")
    key = query.key(str, str)
    after = None if key is None else (str(key[0]), str(key[1]))
    found = current_repoman().security.user_tokens.page(wanted, after, query.rows + 1)
    rows = cut_rows(found, query, lambda each: row_key(each.user, each.name))
    return render_template("repoman/security/tokens.html", rows=rows, query=query, kind=kind)


@all_tokens.route("/<path:user>/-/<id_>/revoke", methods=["GET", "POST"])
@permission_needed("users", "update")
def revoke(user: str, id_: str) -> Response | str:
    """Return the page that says what a revoked token does, or revoke it."""
    service = current_repoman().security.user_tokens
    if request.method == "POST":
        token = service.revoke(user, id_)
        return done(f"Revoked the token {token.name} of {user}.", url_for("all_tokens.show_all"))
    for each in service.of_user(user):
        if each.id == id_:
            return render_template("repoman/security/token_revoke.html", token=each)
    raise NotFound(f"{user} has no such token.")


all_tokens.add_app_template_global(time.time, "now")
