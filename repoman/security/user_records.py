"""The rows of local users; values in, values out."""

from dataclasses import dataclass, field

from repoman.db.models import UserRecord


@dataclass(frozen=True, slots=True)
class User:
    """A user of the local realm; ``created_at`` in seconds since the epoch."""

    name: str
    password_hash: str = field(repr=False)
    is_active: bool
    created_at: float


def list_users() -> list[User]:
    """Return all users by name."""
    query = UserRecord.select(*_COLUMNS).order_by(UserRecord.name)
    return [User(*row) for row in query.tuples()]


def find_user(name: str) -> User | None:
    """Return the user with this name, or None."""
    row = UserRecord.select(*_COLUMNS).where(UserRecord.name == name).tuples().first()
    return None if row is None else User(*row)


def insert_user(name: str, password_hash: str) -> None:
    """Store a new user."""
    UserRecord.insert(name=name, password_hash=password_hash).execute()


def update_password(name: str, password_hash: str) -> bool:
    """Store a new password hash; return whether the user exists."""
    query = UserRecord.update(password_hash=password_hash).where(UserRecord.name == name)
    return bool(query.execute())


def delete_user(name: str) -> bool:
    """Remove a user; return whether there was one."""
    return bool(UserRecord.delete().where(UserRecord.name == name).execute())


_COLUMNS = (
    UserRecord.name,
    UserRecord.password_hash,
    UserRecord.is_active,
    UserRecord.created_at,
)
