"""The rows of those who get in: of users that other realms know, and when anybody came last.

A user of another realm has a row from the first login on, so that tokens and sessions have
something to hang on, and an administrator somebody to give roles to or to keep out.
"""

import logging
import threading
from collections.abc import Callable

from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.errors import RepomanError
from repoman.security import user_records as records
from repoman.security.actors import LOCAL, Actor
from repoman.security.user_records import User

INTERVAL = 300.0  # seconds in which a user's logins are written down once

_log = logging.getLogger(__name__)


class Accounts:
    """Keeps the rows of users in step with their logins; thread safe.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._found: ReadCache[User | None] = ReadCache(database)
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}
        self._waiting: dict[str, float] = {}

    def note_login(self, actor: Actor) -> None:
        """Take over what a realm has told of a user who has just shown a password."""
        if actor.realm != LOCAL and not actor.token:
            self._keep(actor)
        now = self._clock()
        with self._lock:
            if now - self._noted.get(actor.name, float("-inf")) >= INTERVAL:
                self._noted[actor.name] = self._waiting[actor.name] = now

    def flush(self) -> None:
        """Write down the last logins that wait; only for the thread that notices writes.

        An error of the database costs only these times.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            with self._database.transaction(aside=True):
                for name, at in waiting.items():
                    records.update_user(name, last_login_at=at)
        except RepomanError as error:
            _log.warning("The times of %d logins are lost: %s", len(waiting), error)

    def _keep(self, actor: Actor) -> None:
        user = self._found.get(actor.name, lambda: records.find_user(actor.name))
        if user is not None and (user.realm, user.external_roles) == (actor.realm, actor.roles):
            return
        with self._database.transaction():
            user = records.find_user(actor.name)
            if user is None:
                records.insert_user(actor.name, "", realm=actor.realm)
                self._database.note_change("user.create", actor.name, realm=actor.realm)
            # A user of another realm may have the same name: nothing of theirs changes.
            elif user.realm != actor.realm:
                return
            records.update_user(actor.name, external_roles=list(actor.roles))
