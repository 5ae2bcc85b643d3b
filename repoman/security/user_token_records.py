"""The rows of user tokens; values in, values out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from peewee import fn

from repoman.db.models import UserRecord, UserTokenRecord
from repoman.security.actors import Action, Limit


@dataclass(frozen=True, slots=True)
class UserToken:
    """A user token; times in seconds since the epoch.

    Attributes:
        id: a part of the secret, and no secret itself.
        digest: the sha256 of the secret, in hex.
        limit: what it may be used for.
        expires_at: None: never.
        last_used_at: about when; None: never so far.
    """

    id: str
    user: str
    name: str
    digest: str = field(repr=False)
    limit: Limit
    created_at: float
    expires_at: float | None
    last_used_at: float | None = None


def find_token(id_: str) -> UserToken | None:
    """Return the token with this id, or None."""
    row = _query().where(UserTokenRecord.id == id_).tuples().first()
    return None if row is None else _token(row)


def list_tokens(user: str | None = None) -> list[UserToken]:
    """Return the tokens of a user, or of all users, by user and name."""
    query = _query().order_by(UserRecord.name, UserTokenRecord.name)
    if user is not None:
        query = query.where(UserRecord.name == user)
    return [_token(row) for row in query.tuples()]


def count_tokens(users: Iterable[str]) -> dict[str, int]:
    """Return how many tokens each of these users has; those without any are missing."""
    query = _query(UserRecord.name, fn.count(UserTokenRecord.id))
    found = query.where(UserRecord.name.in_(list(users))).group_by(UserRecord.name)
    return dict(found.tuples())


@dataclass(frozen=True, slots=True)
class TokenQuery:
    """Selects tokens of all users.

    Attributes:
        text: a part of the name of the token or of its user, in any case; empty: any.
        is_endless: only those that never expire.
        is_unused: only those that were never used.
    """

    text: str = ""
    is_endless: bool = False
    is_unused: bool = False


def page_tokens(query: TokenQuery, after: tuple[str, str] | None, limit: int) -> list[UserToken]:
    """Return tokens behind the names of a user and of a token of theirs, by these."""
    found = _query().order_by(UserRecord.name, UserTokenRecord.name).limit(limit)
    if after is not None:
        user, name = after
        is_later = (UserRecord.name == user) & (UserTokenRecord.name > name)
        found = found.where((UserRecord.name > user) | is_later)
    if query.text:
        part = fn.lower(query.text)
        in_user = fn.instr(fn.lower(UserRecord.name), part) > 0
        found = found.where(in_user | (fn.instr(fn.lower(UserTokenRecord.name), part) > 0))
    if query.is_endless:
        found = found.where(UserTokenRecord.expires_at.is_null())
    if query.is_unused:
        found = found.where(UserTokenRecord.last_used_at.is_null())
    return [_token(row) for row in found.tuples()]


def insert_token(token: UserToken) -> None:
    """Store a new token of a user who has a row."""
    user = UserRecord.get(UserRecord.name == token.user)
    UserTokenRecord.insert(
        id=token.id,
        user=user,
        realm=user.realm,
        name=token.name,
        digest=token.digest,
        repositories=list(token.limit.repositories),
        names=list(token.limit.names),
        actions=sorted(token.limit.actions),
        created_at=token.created_at,
        expires_at=token.expires_at,
    ).execute()


def delete_token(id_: str) -> None:
    """Remove a token."""
    UserTokenRecord.delete().where(UserTokenRecord.id == id_).execute()


def delete_some(limit: int) -> int:
    """Remove at most ``limit`` tokens; return how many."""
    some = UserTokenRecord.select(UserTokenRecord.id).order_by(UserTokenRecord.id).limit(limit)
    return int(UserTokenRecord.delete().where(UserTokenRecord.id.in_(some)).execute())


def delete_expired(before: float, limit: int) -> int:
    """Remove at most ``limit`` tokens that expired before a time; return how many."""
    expired = UserTokenRecord.select(UserTokenRecord.id).where(UserTokenRecord.expires_at < before)
    some = expired.order_by(UserTokenRecord.id).limit(limit)
    return int(UserTokenRecord.delete().where(UserTokenRecord.id.in_(some)).execute())


def note_uses(times: Mapping[str, float]) -> None:
    """Store when tokens were last used, by their ids."""
    for id_, at in times.items():
        UserTokenRecord.update(last_used_at=at).where(UserTokenRecord.id == id_).execute()


_COLUMNS = (
    UserTokenRecord.id,
    UserRecord.name,
    UserTokenRecord.name,
    UserTokenRecord.digest,
    UserTokenRecord.repositories,
    UserTokenRecord.names,
    UserTokenRecord.actions,
    UserTokenRecord.created_at,
    UserTokenRecord.expires_at,
    UserTokenRecord.last_used_at,
)


def _query(*columns: Any) -> Any:
    """Return the query for the tokens whose user is still of the realm that they were made in."""
    return UserTokenRecord.select(*(columns or _COLUMNS)).join(
        UserRecord,
        on=(UserTokenRecord.user == UserRecord.id) & (UserTokenRecord.realm == UserRecord.realm),
    )


def _token(row: tuple[Any, ...]) -> UserToken:
    id_, user, name, digest, repositories, names, actions, *times = row
    limit = Limit(tuple(repositories), tuple(names), frozenset(map(Action, actions)))
    return UserToken(id_, user, name, digest, limit, *times)
