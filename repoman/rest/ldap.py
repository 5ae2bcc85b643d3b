"""LDAP servers over REST."""

from base64 import b64decode
from typing import Self

from pydantic import Field, SecretStr

from repoman.errors import Invalid, NotFound
from repoman.rest.endpoints import Area, Call, Permission
from repoman.rest.resources import Query, Resource
from repoman.rest.wording import PARAMETER, wire_names
from repoman.security.ldap_servers import LdapFields, LdapServer, directory_of
from repoman.security.ldap_templates import LDAP_TEMPLATES, LdapTemplate
from repoman.security.ldap_trial import LdapTrial
from repoman.security.options import LdapOptions

ldap = Area("LDAP", "LDAP servers whose users can log in, in the order in which they are asked.")


class LdapServerBody(LdapFields, Resource):
    """An LDAP server."""

    auth_password: SecretStr | None = Field(
        None,
        description="Password to log in with; without one, a change that leaves protocol, host and "
        "port as they are keeps it. Never shown.",
    )

    def server(self) -> LdapServer:
        """Return it as the service knows it."""
        password = self.auth_password or SecretStr("")
        values = self.model_dump(by_alias=False, exclude={"auth_password"})
        return LdapServer(**values, auth_password=password)


class LdapServerView(LdapFields, Resource):
    """An LDAP server."""

    id: str = Field(description="Id of the server.")
    order: int = Field(description="Its place in the order, from 1 on.")

    @classmethod
    def of(cls, server: LdapServer, order: int) -> Self:
        """Return how a server is shown."""
        return cls(order=order, **server.model_dump(exclude={"auth_password"}))


@ldap.get("/v1/security/ldap", Permission("ldap", "read"))
def list_ldap_servers(call: Call) -> list[LdapServerView]:
    """List the LDAP servers in the order in which they are asked."""
    return _views(call)


class LdapTemplateView(LdapTemplate, Resource):
    """What to fill in for users and groups of one kind of directory."""


@ldap.get("/v1/security/ldap/templates", Permission("ldap", "read"))
def list_ldap_templates(call: Call) -> list[LdapTemplateView]:
    """List how users and groups are described in the usual kinds of directories."""
    return [LdapTemplateView(**each.model_dump()) for each in LDAP_TEMPLATES]


@ldap.delete("/v1/security/ldap/cache", Permission("ldap", "update"))
def forget_ldap_users(call: Call) -> None:
    """Forget what is remembered of logins and users of directories, so that they are asked again.

    Passwords are remembered for `security.password_memory` seconds, users for a minute.
    """
    call.repoman.ldap_servers.forget()


@ldap.get("/v1/security/ldap/{name}", Permission("ldap", "read"))
def show_ldap_server(call: Call, name: str) -> LdapServerView:
    """Show an LDAP server."""
    for each in _views(call):
        if each.name == name:
            return each
    raise NotFound(f"There is no LDAP server {name!r}.")


@ldap.post("/v1/security/ldap", Permission("ldap", "create"), status=201)
def create_ldap_server(call: Call, body: LdapServerBody) -> None:
    """Add an LDAP server, which is asked last. Its users can log in at once."""
    with wire_names(taken=f"{PARAMETER}name"):
        call.repoman.ldap_servers.create(body.server())


@ldap.put("/v1/security/ldap/{name}", Permission("ldap", "update"), matches=show_ldap_server)
def change_ldap_server(call: Call, name: str, body: LdapServerBody) -> None:
    """Change an LDAP server: all of it, but for a password that is left out."""
    with wire_names(taken=f"{PARAMETER}name"):
        call.repoman.ldap_servers.replace(name, body.server())


@ldap.delete("/v1/security/ldap/{name}", Permission("ldap", "delete"), matches=show_ldap_server)
def delete_ldap_server(call: Call, name: str) -> None:
    """Remove an LDAP server: its users can no longer log in."""
    call.repoman.ldap_servers.delete(name)


@ldap.post("/v1/security/ldap/change-order", Permission("ldap", "update"))
def order_ldap_servers(call: Call, body: list[str]) -> None:
    """Set the order in which the LDAP servers are asked; those left out come last."""
    call.repoman.ldap_servers.reorder(body)


class TriedServerQuery(Query):
    """Names the server whose place the tried one would take."""

    existing_server_name: str | None = Field(
        None, description="A server at the same address, whose password is used if there is none."
    )


class TriedLogin(Resource):
    """A login, and the LDAP server that is asked about it."""

    ldap_server: LdapServerBody
    base64_username: str = Field(description="The name of the user, in base64.")
    base64_password: SecretStr = Field(description="The password of the user, in base64.")


class FoundUser(Resource):
    """A user of a directory."""

    username: str
    real_name: str | None
    email: str | None
    membership: list[str] = Field(description="Names of the groups that are roles.")


VERIFY = Permission("ldap", "update")


@ldap.post("/v1/security/ldap/verify-connection", VERIFY, status=200)
def verify_ldap_connection(call: Call, query: TriedServerQuery, body: LdapServerBody) -> None:
    """Connect to an LDAP server, which need not be stored, and log in for searches."""
    _check(call.repoman.ldap_trials.ask(_directory(call, query, body)))


@ldap.post("/v1/security/ldap/verify-login", VERIFY, status=200)
def verify_ldap_login(call: Call, query: TriedServerQuery, body: TriedLogin) -> None:
    """Ask an LDAP server, which need not be stored, whether a user may log in."""
    name = _decoded("base64Username", body.base64_username)
    password = _decoded("base64Password", body.base64_password.get_secret_value())
    directory = _directory(call, query, body.ldap_server)
    _check(call.repoman.ldap_trials.ask(directory, name, password))


@ldap.post("/v1/security/ldap/verify-user-mapping", VERIFY)
def verify_ldap_users(call: Call, query: TriedServerQuery, body: LdapServerBody) -> list[FoundUser]:
    """List the first 20 users of an LDAP server, which need not be stored, with their groups."""
    trial = call.repoman.ldap_trials.list_people(_directory(call, query, body))
    if trial.people is None:
        raise _failure(trial)
    return [
        FoundUser(
            username=each.name,
            real_name=each.full_name or None,
            email=each.email or None,
            membership=each.group_names,
        )
        for each in trial.people
    ]


def _directory(call: Call, query: TriedServerQuery, body: LdapServerBody) -> LdapOptions:
    """Return how to ask the server of a request (Invalid, NotFound)."""
    with wire_names():
        return directory_of(
            call.repoman.ldap_servers.completed(query.existing_server_name, body.server())
        )


def _check(trial: LdapTrial) -> None:
    """Return if a server answers and, with a name and a password, lets the user in (Invalid)."""
    if not trial.is_good:
        raise _failure(trial)


def _failure(trial: LdapTrial) -> Invalid:
    return Invalid(" ".join(trial.steps))


def _decoded(field: str, text: str) -> str:
    """Return a text that is not empty (Invalid)."""
    try:
        decoded = b64decode(text, validate=True).decode()
    except ValueError as error:
        raise Invalid(f"{field}: must be text in base64.", field=field) from error
    if not decoded:
        raise Invalid(f"{field}: is required.", field=field)
    return decoded


def _views(call: Call) -> list[LdapServerView]:
    servers = call.repoman.ldap_servers.all()
    return [LdapServerView.of(each, number) for number, each in enumerate(servers, 1)]
