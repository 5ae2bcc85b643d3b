"""Browser sessions: a random id in a cookie, its digest in the database, an end by the clock.

They are for the pages of the main port alone; repositories never look at cookies. What ends a
user's logins (a new password, a closed account) ends the sessions at the next request.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping

from repoman.clocks import SLACK_S, ConfirmedClock
from repoman.config import SessionSettings
from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.db.deferred_timestamps import DeferredTimestamps
from repoman.db.topics import SESSIONS
from repoman.errors import Denied, NotFound
from repoman.option_records import find_or_make_key
from repoman.security import session_records as records
from repoman.security.actors import Actor
from repoman.security.session_records import Session
from repoman.security.user_records import find_user, update_user

USE_NOTE_INTERVAL_S = 120.0  # How often at most the use of a session is written down.
AGENT_MAX_CHARS = 300  # What is kept of the name that a browser gives itself.
KEY = "form-signing-key"


class SessionService:
    """Begins, finds and ends sessions; thread safe once opened.

    Args:
        goes_on: says whether a realm still knows a user of that name.
        clock: seconds since the epoch.

    Attributes:
        signing_key: for what a browser keeps between two pages: marks against forged forms.
    """

    def __init__(
        self,
        database: Database,
        settings: SessionSettings,
        goes_on: Callable[[str, str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._settings = settings
        self._goes_on = goes_on
        self._clock = clock
        self._found: ReadCache[Session | None] = ReadCache(database)
        self._confirmed = ConfirmedClock(clock)
        self._uses = DeferredTimestamps(
            database,
            "uses of sessions",
            self._write_uses,
            clock,
            USE_NOTE_INTERVAL_S,
            touches=[SESSIONS],
        )
        self.flush = self._uses.flush
        self.signing_key = ""

    def open(self) -> None:
        """Read the signing key, or make it."""
        with self._database.transaction():
            self.signing_key = find_or_make_key(KEY)

    def begin(self, actor: Actor, address: str, agent: str, instead_of: str = "") -> str:
        """Begin a session for somebody who has just logged in, and return its secret.

        The secret is for the cookie alone. The session behind ``instead_of``, the secret that the
        browser had so far, ends, and so do the oldest sessions of a user who has too many.

        Raises:
            Denied: the actor has no account here.
        """
        secret, now = secrets.token_urlsafe(32), self._clock()
        with self._database.transaction():
            records.delete_session(_id_of(instead_of))
            user = find_user(actor.name)
            if user is None or user.realm != actor.realm or not user.is_active:
                raise Denied(
                    f"{actor.name} of the realm {actor.realm} has no account here: the user of "
                    "this name is disabled, deleted or belongs to another realm."
                )
            session = Session(
                id=_id_of(secret),
                user=user.name,
                realm=user.realm,
                roles=user.external_roles,
                epoch=user.epoch,
                address=address,
                agent=agent[:AGENT_MAX_CHARS],
                created_at=now,
                seen_at=now,
                expires_at=self._end_of(now, now),
            )
            records.insert_session(session)
            records.delete_oldest(user.name, self._settings.per_user)
            update_user(user.name, last_login_at=now)
        return secret

    def find(self, secret: str) -> Session | None:
        """Return the session with this secret, if it is still valid, and note its use."""
        id_ = _id_of(secret)
        session = self._found.get(id_, lambda: records.find_session(id_))
        now = self._clock()
        if session is None or not self._is_current(session, now):
            return None
        if not self._goes_on(session.realm, session.user):
            return None
        if now - session.seen_at >= USE_NOTE_INTERVAL_S:
            self._uses.note(id_)
        return session

    def of_user(self, user: str) -> list[Session]:
        """Return the valid sessions of a user, the most recently used first."""
        return records.list_sessions(user, self._clock())

    def remove_expired(self, limit: int) -> int:
        """Remove at most ``limit`` sessions that have run out by any clock; return how many."""
        with self._database.transaction():
            return records.delete_expired(min(self._clock(), self._confirmed()), limit)

    def end(self, secret: str) -> None:
        """End the session with this secret, if there is one."""
        with self._database.transaction():
            records.delete_session(_id_of(secret))

    def end_of_user(self, user: str, id_: str) -> None:
        """End one of a user's sessions, by its id.

        Raises:
            NotFound: the user has no such session.
        """
        with self._database.transaction():
            found = next((each for each in self.of_user(user) if each.id == id_), None)
            if found is None:
                raise NotFound("This session has already ended.")
            records.delete_session(id_)
            told = {"address": found.address, "agent": found.agent}
            self._database.note_change("login.end", user, **told)

    def _is_current(self, session: Session, now: float) -> bool:
        """Return whether a session is still valid; one begun by a clock that was ahead does not."""
        return now < session.expires_at <= now + self._settings.lifetime + SLACK_S

    def _write_uses(self, uses: Mapping[str, float]) -> None:
        for id_, at in uses.items():
            session = records.find_session(id_)
            if session is not None:
                records.update_session(id_, at, self._end_of(session.created_at, at))

    def _end_of(self, created_at: float, seen_at: float) -> float:
        settings = self._settings
        return min(created_at + settings.lifetime, seen_at + settings.idle_timeout)


def _id_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
