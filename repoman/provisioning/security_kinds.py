"""The kinds of objects of security: content selectors, privileges, roles and users."""

from typing import Any

from pydantic import Field, SecretStr

from repoman.errors import Invalid
from repoman.provisioning.documents import plain
from repoman.provisioning.kind import (
    Kind,
    State,
    at,
    changed,
    check_same,
    mapping,
    parse_entry,
)
from repoman.sections import Section
from repoman.security.actors import LOCAL
from repoman.security.expressions import parse_expression
from repoman.security.ldap_servers import LdapServer
from repoman.security.permissions import PRIVILEGE_TYPES, SHIPPED_PRIVILEGES, SHIPPED_ROLES
from repoman.security.privileges import parse_properties
from repoman.security.rights_records import Role, SelectorRow
from repoman.security.user_records import Status
from repoman.security.users import ABOUT
from repoman.trust_store import Certificate


class SelectorEntry(Section):
    """A content selector in the file."""

    expression: str = Field(description="The expression on the format and the path.")
    description: str = ""


class ContentSelectors(Kind):
    """Content selectors."""

    section = "content_selectors"
    noun = "content selector"
    entry = SelectorEntry

    def present(self) -> dict[str, State]:
        """Return all content selectors."""
        return {
            each.name: {"expression": each.expression, "description": each.description}
            for each in self._repoman.security.selectors.all()
        }

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes."""
        entry = parse_entry(SelectorEntry, values, path)
        with at(path):
            parse_expression(entry.expression)
        return entry.model_dump()

    def create(self, name: str, new: State) -> None:
        """Create a content selector."""
        self._repoman.security.selectors.create(SelectorRow(name, **new))

    def change(self, name: str, old: State, new: State) -> None:
        """Change a content selector."""
        self._repoman.security.selectors.change(name, **new)

    def delete(self, name: str) -> None:
        """Delete a content selector, with the privileges that are made of it."""
        self._repoman.security.selectors.delete(name)


class PrivilegeEntry(Section):
    """A privilege in the file."""

    type: str = Field(description="The type of the privilege, such as wildcard.")
    description: str = ""
    properties: dict[str, Any] = Field(default_factory=dict, description="What the type needs.")


class CustomPrivileges(Kind):
    """The privileges that somebody made."""

    section = "privileges"
    noun = "privilege"
    entry = PrivilegeEntry

    def present(self) -> dict[str, State]:
        """Return the privileges that are not built in."""
        return {
            each.name: {
                "type": each.type,
                "description": each.description,
                "properties": each.properties,
            }
            for each in self._repoman.security.privileges.all()
            if each.name not in SHIPPED_PRIVILEGES
        }

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes."""
        entry = parse_entry(PrivilegeEntry, values, path)
        with at(path if entry.type not in PRIVILEGE_TYPES else f"{path}.properties"):
            properties = parse_properties(entry.type, entry.properties).model_dump(mode="json")
        new = {**entry.model_dump(), "properties": properties}
        check_same("type", path, old, new)
        return new

    def create(self, name: str, new: State) -> None:
        """Create a privilege."""
        self._repoman.security.privileges.create(
            name, new["type"], new["properties"], new["description"]
        )

    def change(self, name: str, old: State, new: State) -> None:
        """Change what differs."""
        self._repoman.security.privileges.change(
            name, changed(old["properties"], new["properties"]), new["description"]
        )

    def delete(self, name: str) -> None:
        """Delete a privilege."""
        self._repoman.security.privileges.delete(name)


class RoleEntry(Section):
    """A role in the file."""

    name: str = Field("", description="Display name; empty: the id.")
    description: str = ""
    privileges: tuple[str, ...] = ()
    roles: tuple[str, ...] = Field((), description="Ids of the roles that it includes.")


class CustomRoles(Kind):
    """The roles that somebody made, by id."""

    section = "roles"
    noun = "role"
    entry = RoleEntry

    def shorten(self, name: str, state: State) -> State:
        """Return a state without defaults."""
        return super().shorten(
            name, {**state, "name": state["name"] if state["name"] != name else ""}
        )

    def present(self) -> dict[str, State]:
        """Return the roles that are not built in."""
        shipped = {each.id for each in SHIPPED_ROLES}
        return {
            each.id: _role_state(each.name, each.description, each.privileges, each.roles)
            for each in self._repoman.security.roles.all()
            if each.id not in shipped
        }

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes."""
        entry = parse_entry(RoleEntry, values, path)
        return _role_state(entry.name or name, entry.description, entry.privileges, entry.roles)

    def create(self, name: str, new: State) -> None:
        """Create a role."""
        self._repoman.security.roles.create(_role(name, new))

    def change(self, name: str, old: State, new: State) -> None:
        """Change a role."""
        self._repoman.security.roles.change(_role(name, new))

    def delete(self, name: str) -> None:
        """Delete a role, and take it from all users and roles."""
        self._repoman.security.roles.delete(name)


class UserEntry(Section):
    """A user in the file."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    status: Status = Field(Status.ACTIVE, description="active, locked, disabled or changepassword.")
    roles: tuple[str, ...] = Field((), description="Ids of the roles of the user.")
    password: SecretStr | None = Field(
        None,
        description=(
            "Password of a user that has to be created. Without it the user is a robot until "
            "somebody sets a password."
        ),
    )


class LocalUsers(Kind):
    """The users in the database of the server; never their passwords."""

    section = "users"
    noun = "user"
    entry = UserEntry
    deletes_alone = True

    def present(self) -> dict[str, State]:
        """Return the local users."""
        return {
            each.name: {
                **{key: getattr(each, key) for key in ABOUT},
                "status": str(each.status),
                "roles": sorted(each.roles),
            }
            for each in self._repoman.users.all()
            if each.realm == LOCAL
        }

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes; the password only of a new user."""
        given = dict(mapping(values, path))
        if old is not None:
            given.pop("password", None)
        elif "password" in given:
            given["password"] = self._secrets.resolve(given["password"], f"{path}.password")
        entry = parse_entry(UserEntry, given, path)
        new = entry.model_dump(mode="json", exclude={"password"})
        new["roles"] = sorted(set(entry.roles))
        return new if entry.password is None else {**new, "password": entry.password}

    def create(self, name: str, new: State) -> None:
        """Create a user."""
        password = new.get("password")
        secret = password and password.get_secret_value()
        about = {key: new[key] for key in ABOUT}
        self._repoman.users.create(
            name, secret or None, new["roles"], status=Status(new["status"]), about=about
        )

    def change(self, name: str, old: State, new: State) -> None:
        """Change what differs."""
        values = changed(old, new)
        self._repoman.users.change(
            name,
            roles=values.get("roles"),
            status=Status(values["status"]) if "status" in values else None,
            about={key: values[key] for key in ABOUT if key in values},
        )

    def delete(self, name: str) -> None:
        """Delete a user."""
        self._repoman.users.delete(name)


class LdapServerObjects(Kind):
    """LDAP servers by name; a new one is asked last."""

    section = "ldap_servers"
    noun = "LDAP server"
    entry = LdapServer

    def present(self) -> dict[str, State]:
        """Return all LDAP servers, in the order in which they are asked."""
        return {each.name: _server_state(each) for each in self._repoman.ldap_servers.all()}

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes; an empty password is the old one, too."""
        given = {**mapping(values, path), "name": name}
        new = self._settings(LdapServer, given, path, old)
        if old is not None and not new["auth_password"].get_secret_value():
            new["auth_password"] = old["auth_password"]
        return {key: value for key, value in new.items() if key not in ("id", "name")}

    def create(self, name: str, new: State) -> None:
        """Create an LDAP server."""
        self._repoman.ldap_servers.create(LdapServer(name=name, **new))

    def change(self, name: str, old: State, new: State) -> None:
        """Change an LDAP server."""
        self._repoman.ldap_servers.replace(name, LdapServer(name=name, **new))

    def delete(self, name: str) -> None:
        """Delete an LDAP server."""
        self._repoman.ldap_servers.delete(name)


class CertificateEntry(Section):
    """A trusted certificate in the file."""

    pem: str = Field(description="The certificate in PEM.")


class TrustedCertificates(Kind):
    """The certificates of the trust store, by their SHA-1 fingerprints."""

    section = "certificates"
    noun = "certificate"
    entry = CertificateEntry

    def present(self) -> dict[str, State]:
        """Return all certificates of the trust store."""
        return {each.id: {"pem": each.pem} for each in self._repoman.trust_store.all()}

    def parse(self, name: str, values: Any, path: str, old: State | None) -> State:
        """Return the state that an entry describes."""
        entry = parse_entry(CertificateEntry, values, path)
        with at(f"{path}.pem"):
            found = Certificate.parse(entry.pem)
        if found.id != name:
            raise Invalid(f"{path}: the fingerprint of this certificate is {found.id}.", path)
        return {"pem": found.pem}

    def create(self, name: str, new: State) -> None:
        """Trust a certificate."""
        self._repoman.trust_store.add(new["pem"])

    def change(self, name: str, old: State, new: State) -> None:
        """Do nothing: a certificate with the same fingerprint is the same."""

    def delete(self, name: str) -> None:
        """Trust a certificate no longer."""
        self._repoman.trust_store.remove(name)


def _server_state(server: LdapServer) -> State:
    return {key: value for key, value in plain(server).items() if key not in ("id", "name")}


def _role_state(name: str, description: str, privileges: Any, roles: Any) -> State:
    return {
        "name": name,
        "description": description,
        "privileges": sorted(set(privileges)),
        "roles": sorted(set(roles)),
    }


def _role(role_id: str, state: State) -> Role:
    return Role(
        role_id,
        state["name"],
        state["description"],
        tuple(state["privileges"]),
        tuple(state["roles"]),
    )
