"""LDAP servers: in the order in which logins ask them, with a form and trials of what it says."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, render_template, request, url_for
from pydantic import SecretStr
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from repoman.plugin import (
    LDAP_OPTIONS,
    LDAP_TEMPLATES,
    Denied,
    Invalid,
    LdapOptions,
    LdapServer,
    LdapTrial,
    SectionForm,
    current_repoman,
    directory_of,
    done,
    may_administer,
    permission_needed,
)

# What is only kept for clients, or not said by a person.
KEPT = (
    *("id", "auth_realm", "connection_retry_delay_seconds", "max_incidents_count"),
    "user_password_attribute",
)
# The fields of the form by its sections: the title, the text, and each with its label and hint.
LAYOUT: tuple[tuple[str, str, dict[str, tuple[str, str]]], ...] = (
    (
        "Connection",
        "Where it is, and how to search there.",
        {
            "name": ("Name", "What it is called here."),
            "protocol": ("Protocol", "Without TLS, passwords cross the network in clear text."),
            "host": ("Host", "Host name or address."),
            "port": ("Port", "Mostly 636, without TLS 389."),
            "use_trust_store": ("Trust certificates of the trust store as well", ""),
            "search_base": ("Search base", "Base DN of all searches, such as dc=example,dc=com."),
            "auth_scheme": ("Log in for searches", ""),
            "auth_username": ("DN", "Such as cn=reader,dc=example,dc=com."),
            "auth_password": ("Password", ""),
            "connection_timeout_seconds": (
                "Timeout in seconds",
                "For each response; a login waits for 60 at most.",
            ),
        },
    ),
    (
        "Users",
        "Which entries are users, and what is known of them.",
        {
            "user_base_dn": ("Users below", "Relative to the search base, such as ou=people."),
            "user_subtree": ("Anywhere below that", ""),
            "user_object_class": ("Object class", "Such as inetOrgPerson. Empty: any."),
            "user_ldap_filter": ("Filter", "Which users have to match as well."),
            "user_id_attribute": ("Attribute of the user name", "Empty: uid."),
            "user_real_name_attribute": ("Attribute of the full name", "Empty: cn."),
            "user_email_address_attribute": ("Attribute of the mail address", "Empty: mail."),
        },
    ),
    (
        "Groups as roles",
        "A user gets the roles whose ids are names of their groups.",
        {
            "ldap_groups_as_roles": ("Groups are roles", ""),
            "group_type": ("Who names whom", ""),
            "user_member_of_attribute": (
                "Attribute of users with their groups",
                "If users name their groups. Empty: memberOf.",
            ),
            "group_base_dn": ("Groups below", "Relative to the search base, such as ou=groups."),
            "group_subtree": ("Groups anywhere below that", ""),
            "group_object_class": ("Object class of groups", "Empty: any."),
            "group_id_attribute": ("Attribute of the group name", "Empty: cn."),
            "group_member_attribute": ("Attribute with the members", "Empty: member."),
            "group_member_format": (
                "How groups name a member",
                "With ${username} or ${dn}. Empty: ${dn}.",
            ),
        },
    ),
)
CHOICES = {
    "protocol": [("LDAPS", "ldaps: with TLS"), ("LDAP", "ldap: in clear text")],
    "auth_scheme": [("SIMPLE", "with a DN and a password"), ("NONE", "anonymously")],
    "group_type": [("STATIC", "groups name their members"), ("DYNAMIC", "users name their groups")],
}

ldap = Blueprint("ldap", "repoman_web", url_prefix="/admin/ldap")


@ldap.get("")
@permission_needed("ldap", "read")
def show_all() -> str:
    """Return the list of LDAP servers in their order."""
    first = current_repoman().options.get(LDAP_OPTIONS, LdapOptions)
    realms = current_repoman().security.realms
    return render_template(
        "repoman/security/ldap.html",
        first=first if first.urls else None,
        servers=current_repoman().ldap_servers.all(),
        is_active="LdapRealm" in realms.active(),
    )


@ldap.post("/-/order")
@permission_needed("ldap", "update")
def move() -> Response:
    """Ask a server earlier or later."""
    service = current_repoman().ldap_servers
    names = [each.name for each in service.all()]
    name = service.get(request.form.get("name", "")).name
    at, names = names.index(name), [each for each in names if each != name]
    to = max(0, at - 1) if request.form.get("to") == "up" else at + 1
    service.reorder([*names[:to], name, *names[to:]])
    return done(f"{name} is asked as number {min(to, len(names)) + 1}.", url_for("ldap.show_all"))


@ldap.post("/-/forget")
@permission_needed("ldap", "update")
def forget() -> Response:
    """Forget what is remembered of users, so that the directories are asked again."""
    current_repoman().ldap_servers.forget()
    return done("The directories will be asked again.", url_for("ldap.show_all"))


@ldap.route("/-/new", methods=["GET", "POST"])
@permission_needed("ldap", "create")
def create() -> Response | tuple[str, int]:
    """Return the form of a new LDAP server, try it, or add it."""
    form, trial = _form(None), None
    if request.method == "POST":
        if "test" in request.form and not may_administer("ldap", "update"):
            raise Denied("You are not allowed to try LDAP servers.")
        with form.read(request.form).saving():
            server = LdapServer(**form.values()[""])
            if "test" not in request.form:
                current_repoman().ldap_servers.create(server)
                return _saved(server.name, "was added. Its users can log in at once.")
            trial = _try(directory_of(current_repoman().ldap_servers.completed(None, server)))
    elif template := request.args.get("template"):
        _fill_in(form, template)
    return _render(form, "", trial)


@ldap.route("/<name>", methods=["GET", "POST"])
@permission_needed("ldap", "read")
def show(name: str) -> Response | tuple[str, int]:
    """Return an LDAP server, try it, or change it."""
    old, trial = current_repoman().ldap_servers.get(name), None
    form = _form(old)
    if request.method == "POST":
        if not may_administer("ldap", "update"):
            raise Denied("You are not allowed to update LDAP servers.")
        with form.read(request.form).saving():
            server = _server_of(form.values()[""], old)
            if "test" not in request.form:
                current_repoman().ldap_servers.replace(name, server)
                return _saved(server.name, "was saved.")
            trial = _try(directory_of(current_repoman().ldap_servers.completed(name, server)))
    return _render(form, name, trial)


@ldap.route("/-/options", methods=["GET", "POST"])
@permission_needed("ldap", "read")
def show_options() -> Response | tuple[str, int]:
    """Return the directory of the options, which is asked first; try it, or change it."""
    options, trial = current_repoman().options, None
    stored = options.get(LDAP_OPTIONS, LdapOptions).model_dump(mode="json")
    fixed = [] if may_administer("ldap", "update") else list(LdapOptions.model_fields)
    form = SectionForm(
        {"": LdapOptions}, {"": stored}, fixed=fixed, titles={"": "The first directory"}
    )
    if request.method == "POST":
        if fixed:
            raise Denied("You are not allowed to update LDAP servers.")
        with form.read(request.form).saving():
            values = form.values()[""]
            if "test" not in request.form:
                options.patch(LDAP_OPTIONS, values)
                return done("The first directory was saved.", url_for("ldap.show_options"))
            wanted = LdapOptions.model_validate(options.preview(LDAP_OPTIONS, values))
            if not (wanted.urls and wanted.user_base):
                raise Invalid("Enter addresses and where the users are.")
            trial = _try(wanted)
    asked = request.form.get("test.user", "")
    return form.render(
        "repoman/security/ldap_options.html", trial=trial, asked=asked, is_fixed=bool(fixed)
    )


@ldap.post("/<name>/login")
@permission_needed("ldap", "update")
def try_login(name: str) -> tuple[str, int]:
    """Return how a stored LDAP server answers a name and a password."""
    server = current_repoman().ldap_servers.get(name)
    form, trial = _form(server), None
    with form.saving():
        trial = _try(directory_of(server))
    return _render(form, name, trial)


@ldap.route("/<name>/delete", methods=["GET", "POST"])
@permission_needed("ldap", "delete")
def delete(name: str) -> Response | str:
    """Return the page that says who is locked out, or remove the server."""
    server = current_repoman().ldap_servers.get(name)
    if request.method == "POST":
        current_repoman().ldap_servers.delete(name)
        return done(f"The LDAP server {name} was removed.", url_for("ldap.show_all"))
    return render_template("repoman/security/ldap_delete.html", server=server)


def _form(old: LdapServer | None) -> SectionForm:
    if old is None:
        return SectionForm({"": LdapServer}, without=KEPT, choices=CHOICES)
    fixed = [] if may_administer("ldap", "update") else list(LdapServer.model_fields)
    stored = {"": old.model_dump(mode="json")}
    return SectionForm({"": LdapServer}, stored, without=KEPT, fixed=fixed, choices=CHOICES)


def _fill_in(form: SectionForm, template: str) -> None:
    """Have the form of a new server show what a template says, and the usual for the rest."""
    found = {each.name: each.model_dump() for each in LDAP_TEMPLATES}.get(template, {})
    sent: MultiDict[str, str] = MultiDict()
    for name in (each for _, _, names in LAYOUT for each in names):
        said = None if name == "name" else found.get(name)
        if isinstance(said, str):
            sent[name] = said.upper() if name in CHOICES else said
        elif said is None or said:
            sent.setlist(name, ["on"] if said else list(form.field(name).texts))
    form.read(sent)


def _server_of(values: Mapping[str, Any], old: LdapServer) -> LdapServer:
    """Return a server with the values of the form; its password only if it was typed."""
    kept = {each: getattr(old, each) for each in KEPT}
    return LdapServer(**{"auth_password": SecretStr(""), **kept, **values})


def _try(options: LdapOptions) -> LdapTrial:
    """Return how the directory answers what the form asks of it."""
    kind, name = request.form.get("test", ""), request.form.get("test.user", "").strip()
    password = request.form.get("test.password", "") if kind == "login" else ""
    trials = current_repoman().ldap_trials
    if kind == "connection":
        return trials.ask(options)
    if kind == "people":
        return trials.list_people(options)
    if not name:
        raise Invalid("Enter the name of a user to look for.")
    if kind == "login" and not password:
        raise Invalid("Enter the password of the user to log in with.")
    return trials.ask(options, name, password)


def _saved(name: str, what: str) -> Response:
    return done(f"The LDAP server {name} {what}", url_for("ldap.show", name=name))


def _render(form: SectionForm, name: str, trial: LdapTrial | None) -> tuple[str, int]:
    shown = {
        key: replace(form.field(key), label=label, hint=hint)
        for _, _, fields in LAYOUT
        for key, (label, hint) in fields.items()
    }
    return form.render(
        "repoman/security/ldap_server.html",
        name=name,
        trial=trial,
        layout=LAYOUT,
        templates=() if name else [each.name for each in LDAP_TEMPLATES],
        shown=shown,
        kind=request.form.get("test", ""),
        asked=request.form.get("test.user", ""),
    )
