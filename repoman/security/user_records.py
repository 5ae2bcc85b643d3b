"""The rows of local users; values in, values out."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from peewee import fn

from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.db.models import UploadRecord, UserRecord, database_proxy
from repoman.security.actors import LOCAL, Actor


class Status(StrEnum):
    """Whether a user may log in, in the words of Sonatype Nexus Repository 3.

    Who is locked or disabled may not; both are the same to the server. Who has to change the
    password may, and is led to the page for it.
    """

    ACTIVE = "active"
    LOCKED = "locked"
    DISABLED = "disabled"
    CHANGE_PASSWORD = "changepassword"  # noqa: S105 - a status


WORKING = (Status.ACTIVE, Status.CHANGE_PASSWORD)  # The statuses of users who may log in.
# How many users have which role, of a list of them as JSON.
_HOLDERS = """SELECT role, COUNT(*) FROM (
    SELECT u.id, held.value AS role FROM "user" u, json_each(u.roles) held
    UNION SELECT u.id, held.value FROM "user" u, json_each(u.external_roles) held
) WHERE role IN (SELECT value FROM json_each(?)) GROUP BY role"""
# Whether somebody who may log in with a password has one of some roles, of a list as JSON.
_HAS_HOLDER = """SELECT EXISTS (SELECT 1 FROM "user" u, json_each(u.roles) held
    WHERE u.realm = ? AND u.password_hash != '' AND u.status IN (?, ?)
    AND held.value IN (SELECT value FROM json_each(?)))"""
HIGHEST = "\U0010ffff"  # Follows each other character.


@dataclass(frozen=True, slots=True)
class User:
    """A user; times in seconds since the epoch, ``last_login_at`` None before the first login.

    Attributes:
        realm: who checks the password; only those of the local realm have a hash of it here.
        roles: given by an administrator.
        external_roles: given by the realm at the last login.
        epoch: moves when what was issued to the user (tokens, sessions) ends.
    """

    name: str
    realm: str
    password_hash: str = field(repr=False)
    status: Status
    first_name: str
    last_name: str
    email: str
    roles: tuple[str, ...]
    external_roles: tuple[str, ...]
    epoch: int
    created_at: float
    last_login_at: float | None

    @property
    def is_active(self) -> bool:
        """Whether the user may log in."""
        return self.status in WORKING

    @property
    def must_change_password(self) -> bool:
        """Whether the next password has to be the user's own."""
        return self.has_password and self.status == Status.CHANGE_PASSWORD

    @property
    def has_password(self) -> bool:
        """Whether a password is kept here; robots and users of other realms have none."""
        return self.realm == LOCAL and bool(self.password_hash)


@dataclass(frozen=True, slots=True)
class UserQuery:
    """Selects users, and says how they are ordered.

    Attributes:
        text: a part of the name or the mail address, in any case; empty: any.
        realm: None: any.
        is_robot: whether users without a password here are wanted, or the others; None: both.
        by_login: whether those who logged in last come first, instead of by name.
    """

    text: str = ""
    realm: str | None = None
    is_robot: bool | None = None
    by_login: bool = False


def list_users() -> list[User]:
    """Return all users by name."""
    query = UserRecord.select(*_COLUMNS).order_by(UserRecord.name)
    return [_user(row) for row in query.tuples()]


def has_users() -> bool:
    """Return whether there is any user."""
    return bool(UserRecord.select().exists())


def search_users(prefix: str, realm: str | None, limit: int | None) -> list[User]:
    """Return the users whose names begin so, in any case, by name; None: of any realm, all."""
    name = fn.lower(UserRecord.name)
    query = UserRecord.select(*_COLUMNS).order_by(name, UserRecord.name).limit(limit)
    if prefix:
        query = query.where((name >= fn.lower(prefix)) & (name < fn.lower(prefix + HIGHEST)))
    if realm is not None:
        query = query.where(UserRecord.realm == realm)
    return [_user(row) for row in query.tuples()]


def page_users(query: UserQuery, after: tuple[float, str] | None, limit: int) -> list[User]:
    """Return users behind a key: the time of the last login (0: none), and the name."""
    name, login = fn.lower(UserRecord.name), fn.coalesce(UserRecord.last_login_at, 0.0)
    found = UserRecord.select(*_COLUMNS).where(*_conditions_of(query)).limit(limit)
    if query.by_login:
        found = found.order_by(login.desc(), UserRecord.name)
        if after is not None:
            is_next = (login == after[0]) & (UserRecord.name > after[1])
            found = found.where((login < after[0]) | is_next)
    else:
        found = found.order_by(name, UserRecord.name)
        if after is not None:
            low = fn.lower(after[1])
            found = found.where((name > low) | ((name == low) & (UserRecord.name > after[1])))
    return [_user(row) for row in found.tuples()]


def _conditions_of(query: UserQuery) -> Iterator[Any]:
    yield UserRecord.id > 0
    if query.text:
        part = fn.lower(query.text)
        in_name = fn.instr(fn.lower(UserRecord.name), part) > 0
        yield in_name | (fn.instr(fn.lower(UserRecord.email), part) > 0)
    if query.realm is not None:
        yield UserRecord.realm == query.realm
    if query.is_robot is not None:
        is_robot = (UserRecord.realm == LOCAL) & (UserRecord.password_hash == "")
        yield is_robot if query.is_robot else ~is_robot


def count_holders(roles: Iterable[str]) -> dict[str, int]:
    """Return how many users have each of these roles, given here or by their realm."""
    return dict(database_proxy.execute_sql(_HOLDERS, (json.dumps(list(roles)),)))


def has_holder_with_password(roles: Iterable[str]) -> bool:
    """Return whether an active user with a password here was given one of these roles."""
    values = (LOCAL, *WORKING, json.dumps(list(roles)))
    [(found,)] = database_proxy.execute_sql(_HAS_HOLDER, values)
    return bool(found)


def list_realms() -> set[str]:
    """Return the realms that the users belong to."""
    return {realm for (realm,) in UserRecord.select(UserRecord.realm).distinct().tuples()}


def find_user(name: str) -> User | None:
    """Return the user with this name, or None."""
    row = UserRecord.select(*_COLUMNS).where(UserRecord.name == name).tuples().first()
    return None if row is None else _user(row)


def user_finder(database: Database) -> Callable[[str], User | None]:
    """Return a function that does what :func:`find_user` does, and shares one cache with others."""
    cache: ReadCache[User | None] = ReadCache(database, name="users")
    return lambda name: cache.get(name, lambda: find_user(name))


def insert_user(
    name: str,
    password_hash: str,
    roles: Iterable[str] = (),
    realm: str = LOCAL,
    **values: str,
) -> None:
    """Store a new user; ``values`` by their names in :class:`User`."""
    UserRecord.insert(
        name=name, realm=realm, password_hash=password_hash, roles=list(roles), **values
    ).execute()


def update_user(name: str, **values: Any) -> bool:
    """Store values of a user, by their names in :class:`User`; return whether the user exists."""
    return bool(UserRecord.update(**values).where(UserRecord.name == name).execute())


def replace_hash(name: str, old: str, new: str) -> None:
    """Store another hash of a user's password, if it is still the old one."""
    UserRecord.update(password_hash=new).where(
        (UserRecord.name == name) & (UserRecord.password_hash == old)
    ).execute()


def note_logins(times: Mapping[str, float]) -> None:
    """Store when users last logged in, by their names."""
    for name, at in times.items():
        update_user(name, last_login_at=at)


def end_logins(name: str) -> None:
    """Move a user's epoch: what was issued so far (tokens, sessions) is worth nothing."""
    UserRecord.update(epoch=UserRecord.epoch + 1).where(UserRecord.name == name).execute()


def disown_uploads(name: str, limit: int) -> int:
    """Let uploads that a user has begun belong to nobody, and return how many those were."""
    user = find_user(name)
    if user is None:
        return 0
    owner = Actor(name, realm=user.realm).owner
    some = UploadRecord.select(UploadRecord.id).where(UploadRecord.actor == owner).limit(limit)
    return int(UploadRecord.update(actor="").where(UploadRecord.id.in_(some)).execute())


def delete_user(name: str) -> bool:
    """Remove a user, whose uploads belong to nobody by now; return whether there was one."""
    return bool(UserRecord.delete().where(UserRecord.name == name).execute())


def _user(row: tuple[Any, ...]) -> User:
    user = User(*row)
    return replace(
        user,
        status=Status(user.status),
        roles=tuple(user.roles),
        external_roles=tuple(user.external_roles),
    )


_COLUMNS = tuple(getattr(UserRecord, each.name) for each in fields(User))
