"""LDAP servers by name, as clients of the REST API describe them, in the order they are asked.

They come after the directory of the options ``ldap``, which has what this description lacks, such
as several addresses and a map of groups to roles.
"""

import re
import uuid
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, model_validator

from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.errors import Conflict, Invalid, NotFound
from repoman.external_url import is_host
from repoman.option_records import find_option, save_option
from repoman.sections import Section
from repoman.security.options import LdapOptions, check_filter

ROW = "ldap_servers"  # The name of the row among those of the options.
FORGOTTEN = "ldap_forgotten"  # That of how often what is remembered was forgotten.
RESERVED = frozenset({"cache", "templates"})  # Their addresses over REST are those of others.
SERVERS_MAX = 50  # LDAP servers.
NAME_MAX_CHARS = 100  # The longest name of an LDAP server.
TIMEOUT_MAX_S = 60  # The longest time that a login waits for a server; more is kept and cut.
ATTRIBUTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.;-]*")


class LdapProtocol(StrEnum):
    """How to speak to an LDAP server: in clear text, or with TLS."""

    LDAP = "LDAP"
    LDAPS = "LDAPS"


class AuthScheme(StrEnum):
    """How to log in for searches: anonymously, or with a DN and a password."""

    NONE = "NONE"
    SIMPLE = "SIMPLE"


class GroupType(StrEnum):
    """Who names whom: groups their members, or users their groups."""

    STATIC = "STATIC"
    DYNAMIC = "DYNAMIC"


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _check_name(value: str) -> str:
    is_good = 0 < len(value) <= NAME_MAX_CHARS and value.isprintable() and value == value.strip()
    if not is_good or "/" in value:
        raise ValueError(f"must have 1 to {NAME_MAX_CHARS} printable characters and no slash")
    return value


def _check_host(value: str) -> str:
    if not (is_host(value) or is_host(f"[{value}]")) or value.rpartition("]")[2].count(":") == 1:
        raise ValueError("must be a host name or address, without a port")
    return value


def _check_attribute(value: str | None) -> str | None:
    if value and not ATTRIBUTE.fullmatch(value):
        raise ValueError("must be the name of an attribute or a class, such as uid")
    return value


def _check_user_filter(value: str | None) -> str | None:
    if value:
        check_filter(_parenthesized(value))
    return value


def _check_member_format(value: str | None) -> str | None:
    if value and set("(){}") & set(re.sub(r"\$\{(username|dn)\}", "", value)):
        raise ValueError("must be a text with ${username} or ${dn}, such as uid=${username},dc=org")
    return value


Attribute = Annotated[str | None, AfterValidator(_check_attribute)]


class LdapFields(BaseModel):
    """What is said of an LDAP server, but for its password."""

    name: Annotated[str, AfterValidator(_check_name)] = Field(description="Name of the server.")
    protocol: Annotated[LdapProtocol, BeforeValidator(_upper)] = Field(description="LDAP or LDAPS.")
    host: Annotated[str, AfterValidator(_check_host)] = Field(description="Host name or address.")
    port: int = Field(ge=1, le=65535, description="Port, mostly 389 or 636.")
    search_base: str = Field(min_length=1, description="Base DN of all searches.")
    auth_scheme: Annotated[AuthScheme, BeforeValidator(_upper)] = Field(
        description="How to log in for searches: NONE or SIMPLE."
    )
    auth_realm: str | None = Field(None, description="Kept for clients; SASL is not supported.")
    auth_username: str | None = Field(None, description="DN to log in as, with SIMPLE.")
    connection_timeout_seconds: int = Field(
        30, ge=1, le=3600, description="Timeout for each response; a login waits for 60 at most."
    )
    connection_retry_delay_seconds: int = Field(
        300, ge=0, description="Kept for clients: a server that fails is not asked for 10 seconds."
    )
    max_incidents_count: int = Field(3, ge=0, description="Kept for clients.")
    use_trust_store: bool = Field(
        False, description="Whether to trust the certificates of the trust store as well."
    )
    user_base_dn: str | None = Field(None, description="Base DN of users, below searchBase.")
    user_subtree: bool = Field(False, description="Whether users may be anywhere below that.")
    user_object_class: Attribute = Field(None, description="Class of users; none: any.")
    user_ldap_filter: Annotated[str | None, AfterValidator(_check_user_filter)] = Field(
        None, description="Filter that users have to match as well."
    )
    user_id_attribute: Attribute = Field(None, description="Attribute with the user name: uid.")
    user_real_name_attribute: Attribute = Field(None, description="Attribute with the name: cn.")
    user_email_address_attribute: Attribute = Field(
        None, description="Attribute with the mail address: mail."
    )
    user_password_attribute: Attribute = Field(
        None, description="Kept for clients: passwords are always checked by a bind."
    )
    ldap_groups_as_roles: bool = Field(
        False, description="Whether users have the roles whose ids are the names of their groups."
    )
    group_type: Annotated[GroupType | None, BeforeValidator(_upper)] = Field(
        None, description="STATIC: groups name their members; DYNAMIC: users name their groups."
    )
    group_base_dn: str | None = Field(None, description="Base DN of groups, below searchBase.")
    group_subtree: bool = Field(False, description="Whether groups may be anywhere below that.")
    group_object_class: Attribute = Field(None, description="Class of groups; none: any.")
    group_id_attribute: Attribute = Field(None, description="Attribute with a group's name: cn.")
    group_member_attribute: Attribute = Field(
        None, description="Attribute of groups with their members: member."
    )
    group_member_format: Annotated[str | None, AfterValidator(_check_member_format)] = Field(
        None, description="How groups name a member, with ${username} or ${dn}: ${dn}."
    )
    user_member_of_attribute: Attribute = Field(
        None, description="Attribute of users with the DNs of their groups: memberOf."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: Any) -> Any:
        """Take null, and no group type, for what was left out."""
        if not isinstance(values, dict):
            return values
        empty = {key for key in ("groupType", "group_type") if values.get(key) == ""}
        return {k: v for k, v in values.items() if v is not None and k not in empty}


class LdapServer(LdapFields, Section):
    """An LDAP server as it is stored."""

    id: str = Field("", description="Id of the server.")
    auth_password: SecretStr = Field(SecretStr(""), description="Password to log in with.")

    @property
    def address(self) -> tuple[LdapProtocol, str, int]:
        """Where its password is sent, and how."""
        return self.protocol, self.host.lower(), self.port


class _Servers(Section):
    """All LDAP servers in their order."""

    servers: tuple[LdapServer, ...] = ()


class LdapServers:
    """The LDAP servers; thread safe. Names of servers are compared as they are written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._found: ReadCache[tuple[LdapServer, ...]] = ReadCache(database)
        self._directories: ReadCache[tuple[LdapOptions, ...]] = ReadCache(database)
        self._generation: ReadCache[int] = ReadCache(database)

    def all(self) -> tuple[LdapServer, ...]:
        """Return all servers in the order in which they are asked."""
        return self._found.get("servers", self._read)

    def get(self, name: str) -> LdapServer:
        """Return a server.

        Raises:
            NotFound: there is none of this name.
        """
        servers = self.all()
        return servers[self._index(servers, name)]

    def directories(self) -> tuple[LdapOptions, ...]:
        """Return what to ask at logins, in this order."""
        return self._directories.get("directories", lambda: tuple(map(directory_of, self.all())))

    def generation(self) -> int:
        """Return how often all processes were told to forget what they remember of directories."""
        return self._generation.get("generation", lambda: find_option(FORGOTTEN).get("count", 0))

    def forget(self) -> None:
        """Have all processes forget logins and users of directories, so that they ask again."""
        with self._database.transaction():
            save_option(FORGOTTEN, {"count": self.generation() + 1})
            self._database.note_change("ldap.forget", "")

    def create(self, server: LdapServer) -> None:
        """Add a server, which is asked last.

        Raises:
            Invalid: the name is taken, or something is missing or wrong.
        """
        with self._database.transaction():
            servers = self.all()
            if len(servers) >= SERVERS_MAX:
                raise Invalid(f"There are {SERVERS_MAX} LDAP servers, the maximum.")
            added = server.model_copy(update={"id": str(uuid.uuid4())})
            self._save([*servers, _checked(added)])
            self._database.note_change("ldap.create", server.name, host=server.host)

    def replace(self, name: str, server: LdapServer) -> None:
        """Make a server another one, maybe of another name; without a password it keeps its own.

        At another address it does not, nor without TLS: who does not know the password cannot have
        it sent to a server of their choice.

        Raises:
            NotFound: there is none of this name.
            Invalid: the new name is taken, or something is missing or wrong.
        """
        with self._database.transaction():
            servers = list(self.all())
            at = self._index(servers, name)
            old = servers[at]
            servers[at] = new = _checked(_completed(server, old))
            self._save(servers)
            fields = LdapServer.model_fields
            changed = [key for key in fields if getattr(old, key) != getattr(new, key)]
            self._database.note_change("ldap.change", name, keys=" ".join(changed))

    def completed(self, name: str | None, server: LdapServer) -> LdapServer:
        """Return a server as it would be stored, in place of one or as a new one.

        Raises:
            NotFound, Invalid: as of :meth:`replace`.
        """
        return _checked(server if name is None else _completed(server, self.get(name)))

    def delete(self, name: str) -> None:
        """Remove a server: its users can no longer log in.

        Raises:
            NotFound: there is none of this name.
        """
        with self._database.transaction():
            servers = list(self.all())
            del servers[self._index(servers, name)]
            self._save(servers)
            self._database.note_change("ldap.delete", name)

    def reorder(self, names: Sequence[str]) -> None:
        """Ask the servers in this order; those that are not named come after the others.

        Raises:
            Invalid: a name is not that of a server.
        """
        with self._database.transaction():
            servers = {each.name: each for each in self.all()}
            if unknown := [name for name in names if name not in servers]:
                raise Invalid(f"There is no LDAP server {unknown[0]!r}.")
            self._save([servers[name] for name in dict.fromkeys([*names, *servers])])
            self._database.note_change("ldap.order", "", names=" ".join(names))

    def _read(self) -> tuple[LdapServer, ...]:
        stored = self._database.keyring.unseal(find_option(ROW))
        return _Servers.model_validate(stored).servers

    def _save(self, servers: Iterable[LdapServer]) -> None:
        whole = _Servers(servers=tuple(servers))
        names = [each.name for each in whole.servers]
        if taken := [name for name in names if names.count(name) > 1]:
            raise Conflict(f"name: an LDAP server named {taken[0]!r} already exists.", field="name")
        save_option(ROW, whole.sealed(self._database.keyring.seal))

    @staticmethod
    def _index(servers: Sequence[LdapServer], name: str) -> int:
        for number, each in enumerate(servers):
            if each.name == name:
                return number
        raise NotFound(f"There is no LDAP server {name!r}.")


def _completed(server: LdapServer, old: LdapServer) -> LdapServer:
    """Return a server with what it keeps of the one that it replaces."""
    kept: dict[str, Any] = {"id": old.id}
    if not server.auth_password.get_secret_value() and server.address == old.address:
        kept["auth_password"] = old.auth_password
    return server.model_copy(update=kept)


def _checked(server: LdapServer) -> LdapServer:
    """Return a server that has everything that it needs (Invalid)."""
    if server.name in RESERVED:
        raise Invalid(f"name: {server.name!r} is reserved; choose another name.", field="name")
    if server.auth_scheme is AuthScheme.SIMPLE:
        for field in ("auth_username", "auth_password"):
            value = getattr(server, field)
            if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
                raise Invalid(f"{field}: is required unless the scheme is NONE.", field=field)
    if server.ldap_groups_as_roles and server.group_type is None:
        raise Invalid("group_type: is required where groups are roles.", field="group_type")
    return server


def directory_of(server: LdapServer) -> LdapOptions:
    """Return how logins ask a server."""
    name = server.user_id_attribute or "uid"
    host = f"[{server.host}]" if ":" in server.host and "[" not in server.host else server.host
    is_simple = server.auth_scheme is AuthScheme.SIMPLE
    is_static = server.ldap_groups_as_roles and server.group_type is GroupType.STATIC
    is_dynamic = server.ldap_groups_as_roles and server.group_type is GroupType.DYNAMIC
    return LdapOptions(
        enabled=True,
        urls=(f"{server.protocol.lower()}://{host}:{server.port}",),
        use_trust_store=server.use_trust_store,
        timeout=min(server.connection_timeout_seconds, TIMEOUT_MAX_S),
        bind_dn=(server.auth_username or "") if is_simple else "",
        bind_password=server.auth_password if is_simple else SecretStr(""),
        user_base=_below(server.user_base_dn, server.search_base),
        user_subtree=server.user_subtree,
        user_filter=_both(
            _class_filter(server.user_object_class),
            f"({name}={{user}})",
            _parenthesized(server.user_ldap_filter or ""),
        ),
        name_attribute=name,
        first_name_attribute=server.user_real_name_attribute or "cn",
        last_name_attribute="",
        email_attribute=server.user_email_address_attribute or "mail",
        group_base=_below(server.group_base_dn, server.search_base) if is_static else "",
        group_subtree=server.group_subtree,
        group_filter=_both(
            _class_filter(server.group_object_class),
            f"({server.group_member_attribute or 'member'}="
            f"{_member_text(server.group_member_format or '${dn}')})",
        ),
        group_attribute=server.group_id_attribute or "cn",
        member_of_attribute=(server.user_member_of_attribute or "memberOf") if is_dynamic else "",
        groups_as_roles=server.ldap_groups_as_roles,
    )


def _below(dn: str | None, base: str) -> str:
    return f"{dn},{base}" if dn else base


def _both(*filters: str) -> str:
    given = [each for each in filters if each]
    return given[0] if len(given) == 1 else f"(&{''.join(given)})"


def _class_filter(name: str | None) -> str:
    return f"(objectClass={name})" if name else ""


def _parenthesized(text: str) -> str:
    return text if not text or text.startswith("(") else f"({text})"


def _member_text(text: str) -> str:
    """Return how groups name a member, with our words for the user and the DN."""
    return text.replace("${username}", "{user}").replace("${dn}", "{dn}")
