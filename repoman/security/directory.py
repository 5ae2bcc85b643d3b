"""A directory over LDAP: finds users, checks their passwords, lists their groups.

The only module that knows ``ldap3``. Referrals are not followed: passwords go to the servers that
the administrator named, and nowhere else.
"""

import secrets
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException, LDAPInvalidDnError
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import parse_dn

from repoman.errors import Unavailable
from repoman.security.options import PORTS, LdapOptions
from repoman.trust_store import trust_also

# Results of a bind that say something of the user, not of the directory (RFC 4511, 4.1.9).
REFUSALS = {
    ldap3.core.results.RESULT_INVALID_CREDENTIALS,
    ldap3.core.results.RESULT_INAPPROPRIATE_AUTHENTICATION,
    ldap3.core.results.RESULT_CONSTRAINT_VIOLATION,  # too many failures
    ldap3.core.results.RESULT_UNWILLING_TO_PERFORM,  # locked, or the password has expired
    ldap3.core.results.RESULT_NO_SUCH_OBJECT,
}
FOUND = {ldap3.core.results.RESULT_SUCCESS, ldap3.core.results.RESULT_SIZE_LIMIT_EXCEEDED}

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the directory."""

    dn: str
    name: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """Return first and last name."""
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def group_names(self) -> list[str]:
        """Return the groups without their DNs."""
        return [each for each in self.groups if "=" not in each]


@dataclass(frozen=True, slots=True)
class _Entry:
    dn: str
    attributes: Mapping[str, list[bytes]]

    def texts(self, name: str) -> list[str]:
        """Return the values of an attribute, whatever the case of its name."""
        wanted = name.lower()
        return [
            value.decode("utf-8", "replace")
            for key, values in self.attributes.items()
            if key.lower() == wanted
            for value in values
        ]

    def text(self, name: str) -> str:
        """Return the first value of an attribute; empty if there is none."""
        return next(iter(self.texts(name)), "")


class Directory:
    """Asks the servers of a directory, each login by connections of its own.

    Args:
        options: where it is and how it is built.
        say: is called with each step; never with a password.
        trusted: certificates to trust besides, as PEM.

    Attributes:
        knows: whether it has the user of the last login, whatever the password.
    """

    def __init__(self, options: LdapOptions, say: Say = lambda _: None, trusted: str = "") -> None:
        self._options = options
        self._say = say
        self._trusted = trusted
        self.knows = False

    def log_in(self, name: str, password: str) -> Person | None:
        """Return the user with this name and password, with all groups; None if there is none.

        Raises:
            Unavailable: the directory does not answer, or not as it must.
        """
        if not name or not password:
            # With an empty password every bind succeeds, as nobody (RFC 4513, 5.1.2).
            self._say("An empty name or password is refused without asking the directory.")
            return None
        with self._searcher() as (url, connection):
            entry = self._find(connection, self._query(name))
            self.knows = entry is not None
            if entry is None:
                self._bind_in_vain(url)
                return None
            if not self._has_password(url, entry, password):
                return None
            return self._describe(connection, entry)

    def log_in_in_vain(self) -> None:
        """Take as long as for a user with a wrong password; else as log_in."""
        self.log_in(secrets.token_hex(8), secrets.token_hex(8))

    def find(self, name: str) -> Person | None:
        """Return the user with this name, without a look at any password; else as log_in."""
        with self._searcher() as (_, connection):
            entry = self._find(connection, self._query(name))
            return None if entry is None else self._describe(connection, entry)

    def look_up(self, name: str) -> Person | None:
        """Return the user with this name, if the filter accepts it; otherwise like log_in.

        The filter may want another name, such as the mail address: any will do then.
        """
        filters = self._query(name) + self._options.user_filter.replace("{user}", "*")
        query = f"(&({self._options.name_attribute}={escape_filter_chars(name)})(|{filters}))"
        with self._searcher() as (_, connection):
            entry = self._find(connection, query)
            return None if entry is None else self._describe(connection, entry)

    def list_people(self, limit: int) -> list[Person]:
        """Return at most so many of the users by name, with their groups; else as log_in."""
        query = self._options.user_filter.replace("{user}", "*")
        with self._searcher() as (_, connection):
            found = self._entries(connection, query, limit)[:limit]
            self._say(f"{len(found)} entries match {query} below {self._options.user_base}.")
            people = [self._describe(connection, each) for each in found]
        return sorted((each for each in people if each is not None), key=attrgetter("name"))

    def check(self) -> None:
        """Return if a server answers, and accepts the login for searches (Unavailable)."""
        with self._searcher():
            pass

    # Connections --------------------------------------------------------------------------------

    @contextmanager
    def _searcher(self) -> Iterator[tuple[str, Any]]:
        """Yield a connection that may search, to the first server that answers."""
        options = self._options
        last: Exception | None = None
        for url in options.urls:
            try:
                connection = self._connect(url, options.bind_dn, options.bind_password)
            except (LDAPException, OSError) as error:
                self._say(f"{url} cannot be used: {_reason(error)}.")
                last = error
                continue
            try:
                with _translated(url, self._say):
                    yield url, connection
            finally:
                _close(connection)
            return
        raise Unavailable("The LDAP server does not respond. Try again later.") from last

    def _connect(self, url: str, dn: str, password: Any) -> Any:
        connection = self._open(url, dn, password.get_secret_value())
        if not self._bind(connection):
            reason = connection.result["description"]
            _close(connection)
            raise LDAPException(f"the bind as {dn or 'anonymous'} was refused: {reason}")
        self._say(f"Connected to {url}, bound as {dn or 'anonymous'}.")
        return connection

    def _open(self, url: str, dn: str, password: str) -> Any:
        """Return a connection that is open, encrypted if it is to be, and not bound yet."""
        parts = urlsplit(url)
        options = self._options
        server = ldap3.Server(
            parts.hostname,
            parts.port or PORTS[parts.scheme],
            use_ssl=parts.scheme == "ldaps",
            tls=_Tls(options.ca_file, self._trusted),
            get_info=ldap3.NONE,
            connect_timeout=options.timeout,
        )
        connection = ldap3.Connection(
            server,
            user=dn or None,
            password=password.encode() or None,  # as bytes: what it means is the server's business
            authentication=ldap3.SIMPLE if dn else ldap3.ANONYMOUS,
            auto_referrals=False,
            check_names=False,
            read_only=True,
            receive_timeout=options.timeout,
        )
        try:
            connection.open()
            if options.start_tls:
                connection.start_tls()
                self._say(f"The connection to {url} uses TLS now.")
        except BaseException:
            _close(connection)
            raise
        return connection

    @staticmethod
    def _bind(connection: Any) -> bool:
        return bool(connection.bind())

    # Questions ----------------------------------------------------------------------------------

    def _query(self, name: str) -> str:
        return self._options.user_filter.replace("{user}", escape_filter_chars(name))

    def _find(self, connection: Any, query: str) -> _Entry | None:
        found = self._entries(connection, query, limit=2)
        if len(found) != 1:
            base = self._options.user_base
            self._say(f"{len(found) or 'No'} entries match {query} below {base}.")
            return None
        self._say(f"The user is {found[0].dn}.")
        return found[0]

    def _entries(self, connection: Any, query: str, limit: int) -> list[_Entry]:
        """Return at most about so many entries of users, which match a filter."""
        options = self._options
        wanted = [
            options.name_attribute,
            options.first_name_attribute,
            options.last_name_attribute,
            options.email_attribute,
            options.member_of_attribute,
        ]
        return self._search(
            connection, options.user_base, query, wanted, limit, is_deep=options.user_subtree
        )

    def _bind_in_vain(self, url: str) -> None:
        """Send as many requests as for a known name, so that the time reveals nothing."""
        dn = ",".join(filter(None, (f"cn={secrets.token_hex(8)}", self._options.user_base)))
        self._bind_as(url, dn, secrets.token_hex(8))

    def _bind_as(self, url: str, dn: str, password: str) -> tuple[bool, Any]:
        """Return whether the server lets this entry in, and what it said."""
        connection = self._open(url, dn, password)
        try:
            return self._bind(connection), connection.result
        finally:
            _close(connection)

    def _has_password(self, url: str, entry: _Entry, password: str) -> bool:
        is_right, result = self._bind_as(url, entry.dn, password)
        if not is_right and result["result"] not in REFUSALS:
            raise LDAPException(f"the bind as a user failed: {result['description']}")
        self._say("The password is correct." if is_right else f"Refused: {result['description']}.")
        return is_right

    def _describe(self, connection: Any, entry: _Entry) -> Person | None:
        options = self._options
        name = entry.text(options.name_attribute)
        if not name or not name.isprintable():
            self._say(f"The entry has no {options.name_attribute} that is a valid user name.")
            return None
        return Person(
            entry.dn,
            name,
            entry.text(options.first_name_attribute),
            entry.text(options.last_name_attribute),
            entry.text(options.email_attribute),
            tuple(sorted(self._groups(connection, entry, name))),
        )

    def _groups(self, connection: Any, entry: _Entry, name: str) -> set[str]:
        """Return the names and the DNs of the groups that a user is in."""
        options = self._options
        found: set[str] = set()
        if options.member_of_attribute:
            for dn in entry.texts(options.member_of_attribute):
                if _is_below(dn, options.group_base):
                    found |= {dn, _first_value(dn)}
        if options.group_base:
            query = options.group_filter.replace("{user}", escape_filter_chars(name))
            query = query.replace("{dn}", escape_filter_chars(entry.dn))
            for group in self._search(
                connection,
                options.group_base,
                query,
                [options.group_attribute],
                is_deep=options.group_subtree,
            ):
                found |= {group.dn, *group.texts(options.group_attribute)}
        return found - {""}

    def _search(
        self,
        connection: Any,
        base: str,
        query: str,
        attributes: list[str],
        limit: int = 0,
        *,
        is_deep: bool,
    ) -> list[_Entry]:
        connection.search(
            base,
            query,
            search_scope=ldap3.SUBTREE if is_deep else ldap3.LEVEL,
            attributes=[each for each in attributes if each],
            size_limit=limit,
            time_limit=self._options.timeout,
        )
        result = connection.result
        if result["result"] not in FOUND:
            raise LDAPException(f"the search below {base} failed: {result['description']}")
        return [
            _Entry(each["dn"], each["raw_attributes"])
            for each in connection.response or ()
            if each["type"] == "searchResEntry"
        ]


class _Tls(ldap3.Tls):
    """TLS as Python does it, with the name in the certificate checked by OpenSSL."""

    def __init__(self, ca_file: str, trusted: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._ca_file = ca_file
        self._trusted = trusted

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Put TLS over the socket of a connection."""
        context = ssl.create_default_context(cafile=self._ca_file or None)
        trust_also(context, self._trusted)
        connection.socket = context.wrap_socket(
            connection.socket,
            do_handshake_on_connect=do_handshake,
            server_hostname=connection.server.host,
        )


@contextmanager
def _translated(url: str, say: Say) -> Iterator[None]:
    """Turn failures during a conversation into the error for the client."""
    try:
        yield
    except (LDAPException, OSError) as error:
        say(f"{url}: {_reason(error)}.")
        raise Unavailable("The LDAP server does not respond. Try again later.") from error


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _is_below(dn: str, base: str) -> bool:
    """Return whether an entry is below another one; every one is below none."""
    try:
        parts, above = _parts(dn), _parts(base) if base else []
    except LDAPInvalidDnError:
        return False
    return parts[len(parts) - len(above) :] == above


def _parts(dn: str) -> list[tuple[str, str]]:
    return [(name.casefold(), value.casefold()) for name, value, _ in parse_dn(dn, strip=True)]


def _first_value(dn: str) -> str:
    """Return ``developers`` of ``cn=developers,ou=groups,dc=example``."""
    try:
        return str(parse_dn(dn)[0][1])
    except (LDAPInvalidDnError, IndexError):
        return ""


def _close(connection: Any) -> None:
    """Let go of a connection, whatever state it is in."""
    opened = connection.socket
    with suppress(LDAPException, OSError):
        connection.unbind()
    if opened is not None:
        opened.close()  # the library forgets those that failed between connect and bind
