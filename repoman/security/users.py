"""The local users, and the realm that checks their passwords."""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import pluggy

from repoman.config import PASSWORD_MIN_CHARS
from repoman.db.database import Database
from repoman.errors import Conflict, Denied, Invalid, NotFound, RepomanError
from repoman.hookspecs import PROJECT
from repoman.security import user_records as records
from repoman.security.actors import LOCAL, RESERVED, Actor, Credentials, RealmType
from repoman.security.names import check_text
from repoman.security.passwords import PasswordVerifier
from repoman.security.rights import check_roles, keeping_administrator
from repoman.security.user_records import Status, User, UserQuery

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.@-]{0,99}")
PASSWORD_MAX_CHARS = 1000  # Longer passwords only serve to keep the hash busy.
CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # What no field for a password takes.
ABOUT = ("first_name", "last_name", "email")
UPLOADS_BATCH = 500  # Uploads that are taken from a user in one transaction.
ABOUT_MAX_CHARS = 200  # The longest first name, last name or mail address.

hookimpl = pluggy.HookimplMarker(PROJECT)


class Users:
    """Users with a password in this server's database; the realm called local.

    Attributes:
        min_chars: characters that a password has at least.
    """

    def __init__(
        self,
        database: Database,
        passwords: PasswordVerifier,
        min_chars: int = PASSWORD_MIN_CHARS,
    ) -> None:
        self.__name__ = LOCAL  # what plugins are registered as
        self._database = database
        self._passwords = passwords
        self.min_chars = min_chars
        self._find_user = records.user_finder(database)
        self._observers: list[Callable[[str], None]] = []

    def on_password_change(self, observer: Callable[[str], None]) -> None:
        """Have ``observer`` called with the name of a user whose password is no longer good."""
        self._observers.append(observer)

    @hookimpl
    def repoman_register_realms(self) -> list[RealmType]:
        """Return what this realm is called."""
        return [RealmType(LOCAL, "NexusAuthenticatingRealm", "Local Authenticating Realm")]

    @hookimpl
    def repoman_authenticate(self, credentials: Credentials) -> Actor | None:
        """Return the local user with this name and password."""
        if len(credentials.password) > PASSWORD_MAX_CHARS:
            return None
        name = credentials.name
        known = self._find_user(name)
        if self._is_password_of(known, credentials.password):
            return Actor(name)
        # Another process may have made the user, or changed the password, a moment ago.
        user = records.find_user(name)
        if _login_of(user) == _login_of(known):
            return None
        if user is None or not self._is_password_of(user, credentials.password):
            return None
        self._database.read_topics()  # The rights, and what is issued, are those of this user,
        now = self._find_user(name)  # unless the password has changed again meanwhile.
        return Actor(name) if now is not None and now.epoch == user.epoch else None

    def _is_password_of(self, user: User | None, password: str) -> bool:
        if user is None or not user.is_active or not user.has_password:
            return self._passwords.verify(password, None)
        is_right = self._passwords.verify(password, user.password_hash)
        if is_right and self._passwords.is_outdated(user.password_hash):
            self._hash_anew(user, password)
        return is_right

    def _hash_anew(self, user: User, password: str) -> None:
        """Store the same password at the present cost, unless it is another one by now.

        The login does not wait for it: the next login tries again.
        """
        password_hash = self._passwords.hash(password)
        with suppress(RepomanError), self._database.brief_waits(), self._database.transaction():
            records.replace_hash(user.name, user.password_hash, password_hash)

    def exist(self) -> bool:
        """Return whether there is any user."""
        return records.has_users()

    def all(self) -> list[User]:
        """Return all users by name."""
        return records.list_users()

    def search(
        self, prefix: str = "", realm: str | None = None, limit: int | None = None
    ) -> list[User]:
        """Return the users whose names begin so, in any case, by name; None: of any realm, all."""
        return records.search_users(prefix, realm, limit)

    def page(self, query: UserQuery, after: tuple[float, str] | None, limit: int) -> list[User]:
        """Return users behind a key: the time of the last login (0: none), and the name."""
        return records.page_users(query, after, limit)

    def realms(self) -> set[str]:
        """Return the realms that the users belong to; the local one is always among them."""
        return {LOCAL, *records.list_realms()}

    def get(self, name: str) -> User:
        """Return the user with this name.

        Raises:
            NotFound: there is none.
        """
        user = records.find_user(name)
        if user is None:
            raise NotFound(f"There is no user {name!r}.")
        return user

    def get_account(self, actor: Actor) -> User:
        """Return the user that an actor is: of that name, and of that realm.

        Raises:
            Denied: the actor has no account here, or the name is that of another realm's user.
        """
        user = records.find_user(actor.name)
        if user is None or user.realm != actor.realm:
            raise Denied(f"{actor.name} of the realm {actor.realm} has no account here.")
        return user

    def create(
        self,
        name: str,
        password: str | None,
        roles: Iterable[str] = (),
        *,
        status: Status = Status.ACTIVE,
        about: Mapping[str, str] | None = None,
    ) -> None:
        """Make a user with these roles; without a password it is a robot, which needs tokens.

        ``about`` may hold first_name, last_name and email.

        Raises:
            Invalid: the name, the password or a text does not do, or there is no such role.
            Conflict: the name is taken.
        """
        if not NAME.fullmatch(name) or name in RESERVED:
            raise Invalid(
                f"name: {name!r} is not a valid user name: use at most 100 letters, digits, '_', "
                "'.', '@' and '-', beginning with a letter or digit, and not "
                f"{' or '.join(RESERVED)}.",
                field="name",
            )
        values = {"status": status, **_check_about(about or {})}
        password_hash = "" if password is None else self._hash(password)
        given = tuple(dict.fromkeys(roles))
        with self._database.transaction():
            check_roles(given)
            if records.find_user(name) is not None:
                raise Conflict(f"name: a user named {name!r} already exists.", field="name")
            records.insert_user(name, password_hash, given, **values)
            self._database.note_change("user.create", name, roles=" ".join(given), **values)

    def change(
        self,
        name: str,
        *,
        roles: Iterable[str] | None = None,
        status: Status | None = None,
        about: Mapping[str, str] | None = None,
    ) -> None:
        """Change what a user is; what is None stays.

        A user who may not log in any more is logged out. ``about`` may hold first_name, last_name
        and email.

        Raises:
            NotFound: there is no such user.
            Invalid: there is no such role, or a text is too long.
            Conflict: nobody would be left to administer the server.
        """
        values: dict[str, Any] = _check_about(about or {})
        if roles is not None:
            values["roles"] = tuple(dict.fromkeys(roles))
        if status is not None:
            values["status"] = status
        with self._database.transaction(), keeping_administrator():
            old = self.get(name)
            check_roles(values.get("roles", ()))
            changed = {key: each for key, each in values.items() if getattr(old, key) != each}
            if not changed:
                return
            records.update_user(name, **changed)
            if old.is_active and not self.get(name).is_active:
                records.end_logins(name)
            told = {key: _told(value) for key, value in changed.items()}
            self._database.note_change("user.change", name, **told)

    def set_password(self, name: str, password: str, *, is_own: bool = False) -> None:
        """Give a user another password; the old one ends at once.

        ``is_own`` says that the user has chosen it, as a user has to who must change it.

        Raises:
            NotFound: there is no such user.
            Invalid: the password does not do, or belongs to another realm.
        """
        password_hash = self._hash(password)
        with self._database.transaction():
            user = self.get(name)
            if user.realm != LOCAL:
                raise Invalid(
                    f"The password of {name} is managed by the realm {user.realm}. Change it there."
                )
            values = {"status": Status.ACTIVE} if is_own and user.must_change_password else {}
            records.update_user(name, password_hash=password_hash, **values)
            records.end_logins(name)
            self._database.note_change("user.password", name, **values)
        self._tell(name)

    def delete(self, name: str, actor: Actor | None = None) -> None:
        """Remove a user; ``actor`` is who asks for it, if that is a user.

        Raises:
            NotFound: there is no such user.
            Invalid: it is the actor.
            Conflict: nobody would be left to administer the server.
        """
        if actor is not None and (actor.name, actor.realm) == (name, self.get(name).realm):
            # Tests of clients look for the beginning of this text.
            raise Invalid(f"Can not delete currently signed in user {name}. Use another account.")
        is_deleted = False
        while not is_deleted:
            with self._database.transaction(), keeping_administrator():
                is_deleted = self._delete_some(name)
        self._tell(name)

    def _delete_some(self, name: str) -> bool:
        """Delete a user, unless so many uploads are left that only these were taken from it."""
        # They must not become those of the next user of that name.
        if records.disown_uploads(name, UPLOADS_BATCH) == UPLOADS_BATCH:
            return False
        if not records.delete_user(name):
            raise NotFound(f"There is no user {name!r}.")
        self._database.note_change("user.delete", name)
        return True

    def _tell(self, name: str) -> None:
        for observer in self._observers:
            observer(name)

    def _hash(self, password: str) -> str:
        if not self.min_chars <= len(password) <= PASSWORD_MAX_CHARS:
            raise Invalid(
                f"password: must have {self.min_chars} to {PASSWORD_MAX_CHARS} characters.",
                field="password",
            )
        if CONTROL.search(password):
            raise Invalid(
                "password: must be one line without control characters, so that it can be typed.",
                field="password",
            )
        return self._passwords.hash(password)


def _login_of(user: User | None) -> str:
    """Return the hash with which a user can log in; empty: with none."""
    return user.password_hash if user is not None and user.is_active and user.has_password else ""


def _check_about(about: Mapping[str, str]) -> dict[str, str]:
    for key, value in about.items():
        if key not in ABOUT:
            raise Invalid(f"{key}: unknown key; choose one of: {', '.join(ABOUT)}.", field=key)
        check_text(key, value, ABOUT_MAX_CHARS)
    return dict(about)


def _told(value: object) -> str:
    """Return a value as the audit log has it."""
    return " ".join(value) if isinstance(value, tuple) else str(value)
