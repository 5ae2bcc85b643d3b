"""The rows of local users; values in, values out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.db.models import UploadRecord, UserRecord
from repoman.security.actors import LOCAL, Actor


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
    is_active: bool
    first_name: str
    last_name: str
    email: str
    roles: tuple[str, ...]
    external_roles: tuple[str, ...]
    epoch: int
    created_at: float
    last_login_at: float | None

    @property
    def has_password(self) -> bool:
        """Whether a password is kept here; robots and users of other realms have none."""
        return self.realm == LOCAL and bool(self.password_hash)


def list_users() -> list[User]:
    """Return all users by name."""
    query = UserRecord.select(*_COLUMNS).order_by(UserRecord.name)
    return [_user(row) for row in query.tuples()]


def find_user(name: str) -> User | None:
    """Return the user with this name, or None."""
    row = UserRecord.select(*_COLUMNS).where(UserRecord.name == name).tuples().first()
    return None if row is None else _user(row)


def user_finder(database: Database) -> Callable[[str], User | None]:
    """Return a function that does what :func:`find_user` does, and shares one cache with others."""
    cache: ReadCache[User | None] = ReadCache(database, name="users")
    return lambda name: cache.get(name, lambda: find_user(name))


def insert_user(
    name: str, password_hash: str, roles: Iterable[str] = (), realm: str = LOCAL
) -> None:
    """Store a new user."""
    UserRecord.insert(
        name=name, realm=realm, password_hash=password_hash, roles=list(roles)
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
    return replace(user, roles=tuple(user.roles), external_roles=tuple(user.external_roles))


_COLUMNS = tuple(getattr(UserRecord, each.name) for each in fields(User))
