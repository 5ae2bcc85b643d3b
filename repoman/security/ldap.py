"""The realm of users in directories: search, bind, and roles by groups.

A user belongs to the first directory that knows the name.
"""

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pluggy

from repoman.caching import LruCache
from repoman.errors import Unavailable
from repoman.hookspecs import PROJECT
from repoman.options import Options
from repoman.security.actors import Actor, Credentials, RealmType
from repoman.security.options import LDAP_OPTIONS, LdapOptions
from repoman.security.throttling import LoginQueue
from repoman.security.user_records import find_user

LDAP = "ldap"  # the realm's name, and that of the plugin
NAME_MAX_CHARS = 256  # The longest user name that is looked up.
PASSWORD_MAX_CHARS = 1000  # The longest password that is sent to the directory.
CONNECTIONS_MAX = 4  # Logins that talk to the directory at the same time; others wait.
USER_CHECK_INTERVAL_S = 60.0  # How long it is believed that a user is still there.
RETRY_PAUSE_S = 10.0  # How long a directory that did not answer is not asked again.

if TYPE_CHECKING:
    from repoman.security.directory import Directory, Person

hookimpl = pluggy.HookimplMarker(PROJECT)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the directory said of a name; ``is_known``: whether it has said anything."""

    actor: Actor | None
    is_known: bool = True


class LdapRealm:
    """Lets users of directories in; thread safe.

    Args:
        queue: bounds how many wait for the directories.
        options: has the section ``ldap``, which is the first directory.
        memory: seconds that a login is remembered; 0 asks the directories each time.
        ticks: seconds that never run backwards.
        servers: returns the directories that come after the first one.
        generation: returns a number that moves when everything has to be forgotten.
        trusted: returns the certificates of the trust store as PEM.
    """

    def __init__(
        self,
        queue: LoginQueue,
        options: Options,
        memory: float,
        ticks: Callable[[], float] = time.monotonic,
        *,
        servers: Callable[[], tuple[LdapOptions, ...]] = tuple,
        generation: Callable[[], int] = int,
        trusted: Callable[[], str] = str,
    ) -> None:
        self.__name__ = LDAP  # what plugins are registered as
        self._queue = queue
        self._options = options
        self._memory = memory
        self._ticks = ticks
        self._servers = servers
        self._generation = generation
        self._trusted = trusted
        self._key = secrets.token_bytes(32)
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._known: LruCache[Actor] = LruCache(ticks=ticks)  # by name and password
        self._users: LruCache[_Seen] = LruCache(ticks=ticks)  # by name
        self._for: tuple[int, tuple[LdapOptions, ...]] = (0, ())
        self._rests: dict[int, float] = {}  # until when, by the number of the directory

    @hookimpl
    def repoman_register_realms(self) -> list[RealmType]:
        """Return what this realm is called."""
        return [RealmType(LDAP, "LdapRealm", "LDAP Realm", lambda: bool(self._directories()))]

    @hookimpl
    def repoman_authenticate(self, credentials: Credentials) -> Actor | None:
        """Return the user of the directory with this name and password, or None.

        Raises:
            Unavailable: the directory does not answer, so nobody knows.
        """
        directories = self._directories()
        name, password = credentials.name, credentials.password
        if not directories or not _can_be(name, password):
            return None
        self._follow(directories)
        digest = self._digest(name, password)
        found = self._known.find(digest)
        if found is not None and (seen := self._users.find_old(found.name)) and seen.is_known:
            found = seen.actor  # which may be news
        if found is None or not _is_ours(found.name):  # which may be another realm's by now
            if not _is_ours(name):
                # The others are not to be told apart by the time that a refusal takes.
                for number, options in enumerate(directories):
                    self._refuse(number, options)
                return None
            found = self._log_in(directories, name, password)
            if found is None or not _is_ours(found.name):
                return None
            self._known.save(digest, found, self._memory)
            self._users.save(found.name, _Seen(found), USER_CHECK_INTERVAL_S)
        return found

    @hookimpl
    def repoman_find_user(self, name: str) -> Actor | None:
        """Return the user with this name here, as the directory said within the last minute.

        One request asks again; the others get the previous answer in the meantime.

        Raises:
            Unavailable: it has not said anything yet.
        """
        directories = self._directories()
        if not directories:
            return None
        self._follow(directories)
        seen = self._users.find(name)
        if seen is None:
            seen = self._users.find_old(name) or _Seen(None, is_known=False)
            self._users.save(name, seen, RETRY_PAUSE_S)
            with suppress(Unavailable):
                seen = _Seen(self._look_up(directories, name))
                self._users.save(name, seen, USER_CHECK_INTERVAL_S)
        if not seen.is_known:
            raise Unavailable("The LDAP server has not responded yet.")
        return seen.actor

    # Inside -------------------------------------------------------------------------------------

    def _directories(self) -> tuple[LdapOptions, ...]:
        """Return the directories in the order in which they are asked."""
        first, others = self._options.get(LDAP_OPTIONS, LdapOptions), self._servers()
        return (first, *others) if first.enabled else others

    def _log_in(self, directories: Sequence[LdapOptions], name: str, password: str) -> Actor | None:
        """Return the user with this name and password, as the first directory says that knows it.

        A refusal takes all directories the same time, whichever knows the name.

        Raises:
            Unavailable: no other directory knows the name, and one does not answer.
        """
        is_known, silent = False, None
        for number, options in enumerate(directories):
            if is_known:
                self._refuse(number, options)
                continue
            try:
                with self._asking(number, options) as directory:
                    person = directory.log_in(name, password)
            except Unavailable as error:
                silent = error
                continue
            if person is not None:
                return _actor(person.name, person, options)
            is_known = directory.knows
        try:
            if silent is not None and not is_known:
                raise silent
        finally:
            silent = None  # or it would be kept for long, with the password
        return None

    def _refuse(self, number: int, options: LdapOptions) -> None:
        """Take as long as a directory takes for a wrong password."""
        with suppress(Unavailable), self._asking(number, options) as directory:
            directory.log_in_in_vain()

    def _look_up(self, directories: Sequence[LdapOptions], name: str) -> Actor | None:
        """Return the user with this name in the first directory that knows it (Unavailable)."""
        for number, options in enumerate(directories):
            with self._asking(number, options) as directory:
                person = directory.look_up(name)
            if person is not None:
                return _actor(name, person, options)
        return None

    @contextmanager
    def _asking(self, number: int, options: LdapOptions) -> "Iterator[Directory]":
        """Yield a directory to ask one question; it is the one of this number (Unavailable)."""
        # Here, because the library takes a while to load and most servers have no directory.
        from repoman.security.directory import Directory

        if self._ticks() < self._rests.get(number, 0.0):
            raise Unavailable("The LDAP server did not respond recently. Try again later.")
        trusted = self._trusted() if options.use_trust_store else ""
        with self._queue.place(), self._slot(options.timeout):
            try:
                yield Directory(options, _log.debug, trusted)
            except Unavailable as error:
                _log.warning("LDAP: %s %s", error, error.__cause__ or "")
                self._rests[number] = self._ticks() + RETRY_PAUSE_S
                raise

    @contextmanager
    def _slot(self, timeout: float) -> Iterator[None]:
        """Hold one of the few connections for the block (Unavailable)."""
        if not self._slots.acquire(timeout=timeout):
            raise Unavailable("The LDAP server responds too slowly. Try again later.")
        try:
            yield
        finally:
            self._slots.release()

    def _follow(self, directories: tuple[LdapOptions, ...]) -> None:
        """Forget everything when the directories are others than before, or it has to be."""
        now = (self._generation(), directories)
        if now != self._for:
            self._known.clear()
            self._users.clear()
            self._rests = {}
        self._for = now

    def _digest(self, name: str, password: str) -> bytes:
        state = hashlib.blake2b(key=self._key, digest_size=32)
        for text in (name, password):
            data = text.encode()
            state.update(len(data).to_bytes(8, "big") + data)
        return state.digest()


def _is_ours(name: str) -> bool:
    """Return whether a name may be one of this realm: no other has it, and it is not disabled.

    So a wrong password of a local user is wrong even while no directory answers, is not shown to
    one, and nobody becomes ``admin`` by that name in a directory.
    """
    user = find_user(name)
    return user is None or (user.realm == LDAP and user.is_active)


def _actor(name: str, person: "Person", options: LdapOptions) -> Actor:
    return Actor(name, realm=LDAP, roles=roles_of(person, options))


def _can_be(name: str, password: str) -> bool:
    """Return whether these can be somebody's; LDAP has no word for anything else."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    # With an empty password a bind succeeds, as nobody (RFC 4513, 5.1.2); so might one with a NUL
    # where a server is written in C.
    is_good = 0 < len(password) <= PASSWORD_MAX_CHARS and "\0" not in password
    return is_good and name.isprintable() and 0 < len(name) <= NAME_MAX_CHARS


def roles_of(person: "Person", options: LdapOptions) -> tuple[str, ...]:
    """Return the roles that somebody's groups give; names of groups in any case of letters."""
    groups = {each.casefold() for each in person.groups}
    mapped = [
        role
        for group, roles in options.roles.items()
        if group.casefold() in groups
        for role in roles
    ]
    named = person.group_names if options.groups_as_roles else []
    return tuple(dict.fromkeys([*options.default_roles, *mapped, *named]))
