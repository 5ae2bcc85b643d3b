"""The list of users; creating, locking and deleting one."""

from dataclasses import replace

from flask import Blueprint, render_template, request, url_for
from pydantic import Field, SecretStr
from werkzeug.wrappers import Response

from repoman.plugin import (
    Section,
    SectionForm,
    User,
    UserQuery,
    UserStatus,
    current_actor,
    current_repoman,
    done,
    may_administer,
    permission_needed,
    read_list,
    row_key,
)
from repoman_web.views.security.rows import cut_rows

LOCAL = "local"  # The realm of users with a password here.
REALM_TITLES = {LOCAL: "This server", "ldap": "LDAP"}
KINDS = {"": None, "people": False, "robots": True}
ROLES_SHOWN = 2  # Of a user in the list; the others are counted.
STATUS_LABELS = {
    "active": "Active",
    "locked": "Locked: may not log in",
    "disabled": "Disabled: may not log in",
    "changepassword": "Is asked for another password at the next login",
}

users = Blueprint("users", "repoman_web", url_prefix="/admin/users")


class NewRobot(Section):
    """What it is called; it logs in with tokens."""

    name: str = Field(
        title="User name",
        description="Letters, digits, _ . @ and -. It cannot be changed later.",
        max_length=100,
    )


class NewUser(NewRobot):
    """Who it is, and how they log in."""

    password: SecretStr = Field(description="At least 8 characters.")
    must_change: bool = Field(
        True,
        title="Is asked for another password at the first login",
        description="So that only the user knows it.",
    )


class Profile(Section):
    """For people; clients do not see it."""

    first_name: str = Field("", max_length=200)
    last_name: str = Field("", max_length=200)
    email: str = Field("", title="E-mail", max_length=200)


class RoleChoice(Section):
    """What they may do: the rights of all roles together."""

    roles: tuple[str, ...] = Field((), title="Roles", json_schema_extra={"widget": "roles"})


@users.app_template_filter()
def realm_title(realm: str) -> str:
    """Return what a realm is called to people."""
    return REALM_TITLES.get(realm, realm)


@users.app_template_global()
def role_options() -> list[tuple[str, str]]:
    """Return the ids of all roles, each with what it is for."""
    return [(each.id, each.description) for each in current_repoman().security.roles.all()]


@users.get("")
@permission_needed("users", "read")
def show_all() -> str:
    """Return the list of users."""
    query, wanted = read_list(orders=("name", "login")), request.args
    found = UserQuery(query.filter, by_login=query.order == "login")
    found = replace(
        found, realm=wanted.get("realm") or None, is_robot=KINDS.get(wanted.get("kind", ""))
    )
    service, key = current_repoman().users, query.key(float, str)
    after = None if key is None else (float(key[0]), str(key[1]))
    rows = cut_rows(service.page(found, after, query.rows + 1), query, _key_of)
    tokens = current_repoman().security.user_tokens.count(each.name for each in rows.shown)
    return render_template(
        "repoman/security/users.html",
        rows=rows,
        tokens=tokens,
        query=query,
        kind=wanted.get("kind", ""),
        realm=wanted.get("realm", ""),
        realms=sorted(service.realms()),
        roles_shown=ROLES_SHOWN,
    )


def _key_of(user: User) -> str:
    return row_key(user.last_login_at or 0.0, user.name)


@users.route("/-/new", methods=["GET", "POST"])
@permission_needed("users", "create")
def create() -> Response | tuple[str, int]:
    """Return the form of a new user, or create it."""
    is_robot = "robot" in request.values
    who: dict[str, type[Section]] = {"": NewUser, "profile": Profile}
    if is_robot:
        who = {"": NewRobot}
    form = SectionForm({**who, "access": RoleChoice}, titles={"": "Robot" if is_robot else "User"})
    if request.method == "POST":
        with form.read(request.form).saving():
            return _create(form, is_robot=is_robot)
    return form.render("repoman/security/user_new.html", is_robot=is_robot)


def _create(form: SectionForm, *, is_robot: bool) -> Response:
    values = form.values()
    own = values[""]
    name, must_change = own["name"], own.get("must_change")
    current_repoman().users.create(
        name,
        own.get("password"),
        values["access"]["roles"],
        status=UserStatus.CHANGE_PASSWORD if must_change else UserStatus.ACTIVE,
        about=values.get("profile"),
    )
    if is_robot:
        url = url_for("user.show_tokens", name=name)
        return done(f"The robot {name} was created. It needs a token to log in.", url)
    return done(f"The user {name} was created.", url_for("user.show", name=name))


@users.post("/<path:name>/status")
@permission_needed("users", "update")
def set_status(name: str) -> Response:
    """Lock a user, or let them in again."""
    service, back = current_repoman().users, url_for("user.show", name=name)
    if request.form.get("status") != UserStatus.LOCKED:
        status = _status_after_unlock(service.get(name))
        service.change(name, status=status)
        asked = " and is asked for another password" if status != UserStatus.ACTIVE else ""
        return done(f"{name} may log in again{asked}.", back)
    if name == current_actor().name:
        return done("You cannot lock yourself out.", back, tone="bad")
    service.change(name, status=UserStatus.LOCKED)
    return done(f"{name} is locked, and all sessions and logins have ended.", back)


def _status_after_unlock(user: User) -> UserStatus:
    """Return the status of a user who is let in; a password never used is still a first one."""
    if user.is_active:
        return user.status
    is_unused = user.has_password and user.last_login_at is None
    return UserStatus.CHANGE_PASSWORD if is_unused else UserStatus.ACTIVE


@users.route("/<path:name>/delete", methods=["GET", "POST"])
@permission_needed("users", "delete")
def delete(name: str) -> Response | tuple[str, int] | str:
    """Return the page that says what goes with a user, or delete the user."""
    repoman = current_repoman()
    user = repoman.users.get(name)
    if request.method == "POST":
        repoman.users.delete(name, current_actor())
        return done(f"The user {name} was deleted.", url_for("users.show_all"))
    return render_template(
        "repoman/security/user_delete.html",
        user=user,
        tokens=len(repoman.security.user_tokens.of_user(name)),
        sessions=len(repoman.security.sessions.of_user(name)),
        is_self=(name, user.realm) == (current_actor().name, current_actor().realm),
    )


def is_robot(user: User) -> bool:
    """Return whether a user logs in with tokens only."""
    return user.realm == LOCAL and not user.has_password


users.add_app_template_test(is_robot, "robot")
users.add_app_template_global(lambda: may_administer("*", "*"), "may_do_everything")
