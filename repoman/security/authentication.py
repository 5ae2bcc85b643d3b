"""Authentication: from credentials to an actor, by asking the realms in their order."""

import time
from collections.abc import Callable
from dataclasses import replace

from repoman.caching import KeyedDigest
from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.errors import Unauthenticated, Unavailable
from repoman.security.accounts import Accounts
from repoman.security.actors import ANONYMOUS, RESERVED, Actor, Credentials
from repoman.security.realms import Realms
from repoman.security.throttling import Lockout
from repoman.security.user_tokens import FORM, TOKEN

HEADER_TRUST_S = 5.0  # How long at most the same header is believed without asking a realm.


class Authenticator:
    """Asks the realms who somebody is; thread safe.

    Args:
        lockout: makes those wait who guess.
        accounts: is told who has logged in.
    """

    def __init__(
        self,
        database: Database,
        realms: Realms,
        lockout: Lockout,
        accounts: Accounts,
    ) -> None:
        self._realms = realms
        self._lockout = lockout
        self._accounts = accounts
        self._digest = KeyedDigest()
        self._recent: ReadCache[Actor] = ReadCache(database)

    def remembered(self, header: str, ask: Callable[[], Actor]) -> Actor:
        """Return who sends this header: from memory for a moment, or as ``ask`` finds out.

        Nothing is remembered beyond a write to the database, nor as text.
        """
        digest = self._digest.of(header.encode("utf-8", "replace"))
        return self._recent.get((digest, time.monotonic() // HEADER_TRUST_S), ask)

    def authenticate(self, credentials: Credentials | None, address: str = "") -> Actor:
        """Return who this is; no credentials, or empty ones, are anonymous.

        Clients send an empty name and password where nobody has logged in. ``address`` is where
        the credentials come from, for counting those that are wrong.

        Raises:
            Unauthenticated: no realm knows these credentials; ``retry_after`` is set once the next
                ones are not looked at before that.
            TooManyRequests: too many were wrong lately.
            Unavailable: a realm that might know them does not answer.
        """
        if credentials is None or not (credentials.name or credentials.password):
            return ANONYMOUS
        name, is_token = credentials.name, FORM.match(credentials.password) is not None
        self._lockout.check(name, address, is_token=is_token)
        actor = self._ask(credentials)
        if actor is None:
            # Not from a variable: what a frame holds that it has raised is kept with it for long,
            # here with the password.
            raise _wrong(self._lockout.note_failure(name, address, is_token=is_token))
        # Whoever only has the name of another realm's user may be guessing that one's password.
        if self._accounts.note_login(actor):
            self._lockout.note_success(name, address, is_token=is_token)
        return actor

    def _ask(self, credentials: Credentials) -> Actor | None:
        silent: Unavailable | None = None
        for name, realm in self._realms.in_order():
            try:
                actor = realm(credentials=credentials)
            except Unauthenticated:
                return None  # it is for this realm to say, and for no other
            except Unavailable as error:
                silent = error  # another realm may know; where none does, nobody can tell
                continue
            if actor is not None:
                return self._accepted(name, actor)
        try:
            if silent is not None:
                raise silent
        finally:
            silent = None  # or it would be kept for long, with the password
        return None

    def _accepted(self, realm: str, actor: Actor) -> Actor | None:
        """Return the actor that a realm has named, if it may; tokens are for users of any realm."""
        if actor.name in RESERVED:
            return ANONYMOUS if actor.is_anonymous else None
        if realm == TOKEN:
            return actor if self._realms.goes_on(actor.realm, actor.name) else None
        # No realm speaks for users of another one, the local administrator first of all.
        return replace(actor, realm=realm, token="", is_anonymous=False)


def _wrong(wait: int) -> Unauthenticated:
    error = Unauthenticated("Wrong user name or password.")
    error.retry_after = wait or None
    return error
