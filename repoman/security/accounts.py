"""The rows of those who get in: of users that other realms know, and when anybody came last.

A user of another realm has a row from the first login on, so that tokens and sessions have
something to hang on, and an administrator somebody to give roles to or to keep out.
"""

import logging
from collections.abc import Callable

from repoman.db.database import Database
from repoman.db.deferred_timestamps import DeferredTimestamps
from repoman.errors import StorageFull, Unavailable
from repoman.security import user_records as records
from repoman.security.actors import LOCAL, Actor

LOGIN_NOTE_INTERVAL_S = 300.0  # How often at most a user's logins are written down.

_log = logging.getLogger(__name__)


class Accounts:
    """Keeps the rows of users in step with their logins; thread safe.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._find_user = records.user_finder(database)
        self._logins = DeferredTimestamps(
            database, "logins", records.note_logins, clock, LOGIN_NOTE_INTERVAL_S
        )
        self.flush = self._logins.flush

    def note_login(self, actor: Actor) -> bool:
        """Store what a realm reports of a user who has just logged in.

        Return whether the name is theirs, see :meth:`keep`.

        Raises:
            Unavailable, StorageFull: a new user cannot be written.
        """
        is_theirs = actor.realm == LOCAL or bool(actor.token) or self.keep(actor)
        if is_theirs:
            self._logins.note(actor.name)
        return is_theirs

    def keep(self, actor: Actor) -> bool:
        """Give a user of another realm a row, and the roles that the realm tells.

        Whom the database knows already does not wait for other writers. Return whether the row is
        theirs: the name belongs to the realm that had it first, and nothing of its user changes by
        a login of somebody else.

        Raises:
            Unavailable, StorageFull: a new user cannot be written.
        """
        user = self._find_user(actor.name)
        if user is not None and (user.realm, user.external_roles) == (actor.realm, actor.roles):
            return True
        try:
            with self._database.brief_waits():
                return self._write(actor)
        except (Unavailable, StorageFull) as error:
            if user is None:
                raise
            _log.warning("The roles of %s could not be saved yet: %s", actor.name, error)
            return user.realm == actor.realm

    def _write(self, actor: Actor) -> bool:
        with self._database.transaction():
            user = records.find_user(actor.name)
            if user is not None and user.realm != actor.realm:
                return False
            if user is None:
                records.insert_user(actor.name, "", realm=actor.realm)
            records.update_user(actor.name, external_roles=list(actor.roles))
            kind = "user.create" if user is None else "user.change"
            told = {"realm": actor.realm, "external_roles": " ".join(actor.roles)}
            self._database.note_change(kind, actor.name, **told)
        return True
