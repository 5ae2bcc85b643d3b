"""The rows of browser sessions; values in, values out."""

from dataclasses import dataclass
from typing import Any

from repoman.db.models import SessionRecord, UserRecord
from repoman.security.actors import Actor
from repoman.security.user_records import WORKING

OLDEST_MAX = 100  # Sessions of a user that are removed at once where they are too many.


@dataclass(frozen=True, slots=True)
class Session:
    """A browser session of a user; times in seconds since the epoch.

    Attributes:
        id: the sha256 of what the cookie holds, in hex; nobody can get the cookie from it.
        user: name of the user.
        realm: the one that knew the user, and still has to.
        roles: those that the realm gave at the last login.
        epoch: the user's, when the session began.
        address: of the client that logged in.
        agent: what the client called itself.
        seen_at: about when it was last used.
        expires_at: when it ends by itself.
    """

    id: str
    user: str
    realm: str
    roles: tuple[str, ...]
    epoch: int
    address: str
    agent: str
    created_at: float
    seen_at: float
    expires_at: float

    @property
    def actor(self) -> Actor:
        """Return whose session it is."""
        return Actor(self.user, realm=self.realm, roles=self.roles)


def find_session(id_: str) -> Session | None:
    """Return the session with this id, as long as its user may use it; else None."""
    row = _query().where(SessionRecord.digest == id_).tuples().first()
    return None if row is None else _session(row)


def list_sessions(user: str, now: float) -> list[Session]:
    """Return the sessions of a user that are valid at ``now``, the most recently used first."""
    query = _query().where((UserRecord.name == user) & (SessionRecord.expires_at > now))
    return [_session(row) for row in query.order_by(SessionRecord.seen_at.desc()).tuples()]


def insert_session(session: Session) -> None:
    """Store a new session."""
    user = UserRecord.get(UserRecord.name == session.user)
    SessionRecord.insert(
        digest=session.id,
        user=user,
        realm=session.realm,
        epoch=session.epoch,
        address=session.address,
        agent=session.agent,
        created_at=session.created_at,
        seen_at=session.seen_at,
        expires_at=session.expires_at,
    ).execute()


def update_session(id_: str, seen_at: float, expires_at: float) -> None:
    """Note that a session was used, and when it ends now."""
    SessionRecord.update(seen_at=seen_at, expires_at=expires_at).where(
        SessionRecord.digest == id_
    ).execute()


def delete_session(id_: str) -> bool:
    """Remove a session; return whether there was one."""
    return bool(SessionRecord.delete().where(SessionRecord.digest == id_).execute())


def delete_expired(now: float, limit: int) -> int:
    """Remove at most ``limit`` sessions that ended before ``now``; return how many."""
    ended = SessionRecord.select(SessionRecord.digest).where(SessionRecord.expires_at <= now)
    some = ended.order_by(SessionRecord.expires_at).limit(limit)
    return int(SessionRecord.delete().where(SessionRecord.digest.in_(some)).execute())


def delete_oldest(user: str, keep: int) -> None:
    """Remove the sessions of a user but the ``keep`` most recently used ones."""
    mine = SessionRecord.select(SessionRecord.digest).join(UserRecord)
    newest = mine.where(UserRecord.name == user).order_by(SessionRecord.seen_at.desc())
    oldest = newest.offset(keep).limit(OLDEST_MAX)
    SessionRecord.delete().where(SessionRecord.digest.in_(oldest)).execute()


def _query() -> Any:
    """Return the query for sessions that neither a new password nor a closed account has ended.

    They go on for the user whom the realm has let in, not for another one of that name.
    """
    is_same = (UserRecord.realm == SessionRecord.realm) & (UserRecord.epoch == SessionRecord.epoch)
    may_log_in = UserRecord.status.in_(WORKING)
    return SessionRecord.select(*_COLUMNS).join(UserRecord).where(may_log_in & is_same)


def _session(row: tuple[Any, ...]) -> Session:
    id_, user, realm, roles, *rest = row
    return Session(id_, user, realm, tuple(roles), *rest)


_COLUMNS = (
    SessionRecord.digest,
    UserRecord.name,
    SessionRecord.realm,
    UserRecord.external_roles,
    SessionRecord.epoch,
    SessionRecord.address,
    SessionRecord.agent,
    SessionRecord.created_at,
    SessionRecord.seen_at,
    SessionRecord.expires_at,
)
