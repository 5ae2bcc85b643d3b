"""One user: roles and what they allow, profile and password, tokens, sessions."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, render_template, request, url_for
from pydantic import Field, SecretStr
from werkzeug.wrappers import Response

from repoman.plugin import (
    Access,
    Action,
    Invalid,
    NotFound,
    Section,
    SectionForm,
    User,
    UserStatus,
    content_repository,
    current_actor,
    current_repoman,
    done,
    find_actor,
    may_administer,
    page_call,
    permission_needed,
    read_list,
)
from repoman_web.views.forms import TokenForm, made_token, try_saving
from repoman_web.views.security.extents import (
    ACTIONS,
    MATRIX_ROWS,
    SERVER_ACTIONS,
    known_repositories,
    overview_of,
    repository_lines,
    server_lines,
)
from repoman_web.views.security.users import (
    LOCAL,
    STATUS_LABELS,
    Profile,
    RoleChoice,
    is_robot,
    realm_title,
)

ABOUT = ("first_name", "last_name", "email")

user = Blueprint("user", "repoman_web", url_prefix="/admin/users")


class LoginState(Section):
    """Whether they may log in."""

    status: UserStatus = Field(title="State", json_schema_extra={"labels": dict(STATUS_LABELS)})


class NewPassword(Section):
    """Logs the user out everywhere."""

    password: SecretStr = Field(title="New password", description="At least 8 characters.")
    again: SecretStr = Field(title="Repeat the new password")


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether somebody may do something on a path, and why."""

    is_yes: bool
    reasons: list[str]
    problem: str = ""


@user.get("/<path:name>")
@permission_needed("users", "read")
def show(name: str) -> str | tuple[str, int]:
    """Return the roles of a user, and what they may do."""
    return _render_rights(_role_form(current_repoman().users.get(name)), name)


@user.post("/<path:name>")
@permission_needed("users", "update")
def set_roles(name: str) -> Response | tuple[str, int]:
    """Give a user other roles."""
    form = _role_form(current_repoman().users.get(name)).read(request.form)
    return try_saving(form, lambda: _set_roles(name, form)) or _render_rights(form, name)


def _set_roles(name: str, form: SectionForm) -> Response:
    current_repoman().users.change(name, roles=form.values()[""]["roles"])
    return done(f"The roles of {name} were saved.", url_for("user.show", name=name))


def _role_form(found: User) -> SectionForm:
    fixed = () if may_administer("users", "update") else ("roles",)
    return SectionForm({"": RoleChoice}, {"": {"roles": list(found.roles)}}, fixed=fixed)


def _render_rights(form: SectionForm, name: str) -> tuple[str, int]:
    actor, _ = find_actor(name)
    overview, query = overview_of(actor), read_list(rows=MATRIX_ROWS)
    lines, older = repository_lines(overview, known_repositories(), query)
    return form.render(
        "repoman/security/user_rights.html",
        **_shared(name),
        lines=lines,
        older=older,
        query=query,
        server=server_lines(overview),
        actions=ACTIONS,
        server_actions=SERVER_ACTIONS,
        asked=request.args,
        answer=_answer(name),
    )


def _answer(name: str) -> Answer | None:
    """Return the answer to the question in the address, if there is one."""
    asked, path = request.args, request.args.get("path", "").strip()
    if not asked.get("repository"):
        return None
    try:
        action, repository = (
            Action(asked.get("action", "")),
            content_repository(asked["repository"]),
        )
    except (ValueError, NotFound):
        return Answer(False, [], f"There is no repository {asked['repository']}.")
    path = path if path.startswith("/") else f"/{path}"
    call = page_call()
    thing = call.name_of(repository.config.format, path)
    access = Access(frozenset({action}), path, thing)
    actor, _ = find_actor(name)
    [found] = current_repoman().security.authorizer.explain(actor, repository.ref, access)
    return Answer(found.is_allowed, list(dict.fromkeys(map(_reason, found.reasons))))


def _reason(found: Any) -> str:
    if found.source == "repository":
        return "the repository is open to anybody"
    whose = "anybody has the role" if found.source == "anonymous" else "by the role"
    way = ", which includes ".join(found.roles)
    selector = f" for what {found.selector} selects" if found.selector else ""
    return f"{whose} {way}, with the privilege {found.privilege}{selector}"


@user.post("/<path:name>/realm")
@permission_needed("users", "read")
def ask_realm(name: str) -> Response:
    """Ask the realm of a user whether it still has them."""
    found = current_repoman().users.get(name)
    is_known = current_repoman().security.realms.knows(found.realm, name)
    title, back = realm_title(found.realm), url_for("user.show", name=name)
    if is_known is None:
        return done(f"{title} is not active or does not answer.", back, tone="warn")
    if is_known:
        return done(f"{title} has {name}.", back)
    return done(f"{title} has no {name} any more, who can no longer log in.", back, tone="warn")


# Profile and password ----------------------------------------------------------------------------


@user.route("/<path:name>/profile", methods=["GET", "POST"])
@permission_needed("users", "update")
def change(name: str) -> Response | tuple[str, int]:
    """Return the form of what is known of a user, or change it."""
    found = current_repoman().users.get(name)
    form = _profile_form(found)
    if request.method == "POST":
        with form.read(request.form).saving():
            _change(found, form)
            return done(f"{name} was changed.", url_for("user.change", name=name))
    return _render_profile(found, form, _password_form())


def _profile_form(found: User) -> SectionForm:
    stored = {
        "profile": {each: getattr(found, each) for each in ABOUT},
        "standing": {"status": str(found.status)},
    }
    is_foreign = found.realm != LOCAL
    fixed = [f"profile.{each}" for each in ABOUT] if is_foreign else []
    words = [each for each in UserStatus if found.has_password or each != "changepassword"]
    choices = {"standing.status": [(str(each), STATUS_LABELS[each]) for each in words]}
    return SectionForm(
        {"profile": Profile, "standing": LoginState},
        stored,
        fixed=fixed,
        choices=choices,
        titles={"standing": "Access"},
    )


def _change(found: User, form: SectionForm) -> None:
    values = form.values()
    status = UserStatus(values["standing"]["status"])
    is_self = found.name == current_actor().name
    if is_self and status in (UserStatus.LOCKED, UserStatus.DISABLED):
        raise Invalid("standing.status: you cannot lock yourself out.", field="standing.status")
    about = values["profile"] if found.realm == LOCAL else None
    current_repoman().users.change(found.name, status=status, about=about)


@user.post("/<path:name>/password")
@permission_needed("*", "*")
def set_password(name: str) -> Response | tuple[str, int]:
    """Give a user another password."""
    found = current_repoman().users.get(name)
    form = _password_form().read(request.form)
    response = try_saving(form, lambda: _set_password(name, form.values()[""]))
    return response or _render_profile(found, _profile_form(found), form)


def _set_password(name: str, values: Mapping[str, str]) -> Response:
    if name == current_actor().name:
        raise Invalid("Change your own password on the page of your account.")
    if values.get("password") != values.get("again"):
        raise Invalid("again: the two passwords differ.", field="again")
    current_repoman().users.set_password(name, values.get("password", ""))
    return done(f"The password of {name} was changed.", url_for("user.change", name=name))


def _password_form() -> SectionForm:
    return SectionForm({"": NewPassword}, titles={"": "Password"})


def _render_profile(found: User, form: SectionForm, password: SectionForm) -> tuple[str, int]:
    page = render_template(
        "repoman/security/user_profile.html",
        **_shared(found.name),
        form=form,
        password=password,
        is_self=found.name == current_actor().name,
    )
    return page, max(form.status, password.status)


# Tokens and sessions -----------------------------------------------------------------------------


@user.get("/<path:name>/tokens")
@permission_needed("users", "read")
def show_tokens(name: str) -> str:
    """Return the tokens of a user."""
    return _render_tokens(name, TokenForm(formdata=None))


@user.post("/<path:name>/tokens")
@permission_needed("*", "*")
def create_token(name: str) -> str | tuple[str, int]:
    """Create a token for a user, such as a robot; only this answer has its secret."""
    current_repoman().users.get(name)
    form = TokenForm()
    secret = made_token(form, name) if form.validate() else None
    if secret is None:
        return _render_tokens(name, form), HTTPStatus.BAD_REQUEST
    return _render_tokens(name, TokenForm(formdata=None), made=form.name.data or "", secret=secret)


def _render_tokens(name: str, form: TokenForm, **values: str) -> str:
    return render_template(
        "repoman/security/user_tokens.html", **_shared(name), form=form, **values
    )


@user.get("/<path:name>/sessions")
@permission_needed("users", "read")
def show_sessions(name: str) -> str:
    """Return the browsers in which a user is logged in."""
    return render_template("repoman/security/user_sessions.html", **_shared(name))


@user.post("/<path:name>/sessions/end")
@permission_needed("users", "update")
def end_session(name: str) -> Response:
    """End a session of a user."""
    current_repoman().security.sessions.end_of_user(name, request.form.get("id", ""))
    return done("The session was ended.", url_for("user.show_sessions", name=name))


def _shared(name: str) -> dict[str, Any]:
    """Return what the head and the tabs of a user show."""
    repoman = current_repoman()
    found = repoman.users.get(name)
    return {
        "user": found,
        "is_robot": is_robot(found),
        "tokens": repoman.security.user_tokens.of_user(name),
        "sessions": repoman.security.sessions.of_user(name),
    }
