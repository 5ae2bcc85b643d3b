"""User tokens: named secrets that stand in for a password, for a part of what their user may do.

A secret has 256 random bits, which nobody can guess: so a plain sha256 keeps it, and checking it
costs nothing. Its id is a part of it, so that it is found by the key of its row.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace

import pluggy

from repoman.clocks import ConfirmedClock
from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.db.deferred_timestamps import DeferredTimestamps
from repoman.errors import Conflict, Denied, Invalid, NotFound, Unauthenticated
from repoman.hookspecs import PROJECT
from repoman.security import user_token_records as records
from repoman.security.actors import Action, Actor, Credentials, Limit, RealmType
from repoman.security.options import UserTokenOptions
from repoman.security.user_records import User, find_user, user_finder
from repoman.security.user_token_records import TokenQuery, UserToken

TOKEN = "token"  # noqa: S105 - the name of the realm
FORM = re.compile(r"rpm_([0-9a-f]{16})_")  # how a secret begins, and a part of one too
NAME_MAX_CHARS = 100  # The longest name of a token.
PATTERNS_MAX = 50  # Patterns of repositories, and of names, for one token.
PATTERN_MAX_CHARS = 255  # The longest pattern.
DAYS_MAX = 36_500  # The longest lifetime of a token that expires.
TOKENS_PER_USER_MAX = 100  # Tokens that a user may have.
REVOKED_BATCH = 500  # Tokens that are revoked in one transaction.
DAY_S = 86_400
USE_NOTE_INTERVAL_S = 60.0  # How often at most the use of a token is written down.

hookimpl = pluggy.HookimplMarker(PROJECT)


class UserTokens:
    """The user tokens, and the realm called token; thread safe.

    Args:
        clock: seconds since the epoch.
        policy: returns the options of user tokens.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        policy: Callable[[], UserTokenOptions] = UserTokenOptions,
    ) -> None:
        self.__name__ = TOKEN  # what plugins are registered as
        self._policy = policy
        self._database = database
        self._clock = clock
        self._found: ReadCache[tuple[UserToken, User] | None] = ReadCache(database)
        self._find_user = user_finder(database)
        self._uses = DeferredTimestamps(
            database, "uses of tokens", records.note_uses, clock, USE_NOTE_INTERVAL_S
        )
        self.flush = self._uses.flush
        self._confirmed = ConfirmedClock(clock)

    @property
    def are_required(self) -> bool:
        """Whether repositories accept user tokens only."""
        policy = self._policy()
        return policy.enabled and policy.protect_content

    def remove_expired(self, age_s: float, limit: int) -> int:
        """Remove at most ``limit`` tokens that expired so long ago by any clock; return how many.

        Until then their users see that they have expired.
        """
        with self._database.transaction():
            now = min(self._clock(), self._confirmed())
            return records.delete_expired(now - age_s, limit)

    @hookimpl
    def repoman_register_realms(self) -> list[RealmType]:
        """Return what this realm is called."""
        return [RealmType(TOKEN, "User-Token", "User Token Realm")]

    @hookimpl
    def repoman_authenticate(self, credentials: Credentials) -> Actor | None:
        """Return the user of a token, limited to what it is for; None for other passwords.

        Raises:
            Unauthenticated: it is wrong, revoked or expired, of another user or of one who is
                disabled. No other realm gets to see it.
        """
        match = FORM.match(credentials.password)
        if match is None:
            return None
        if not self._policy().enabled:
            raise Unauthenticated("User tokens are disabled.")
        found = self._get(match[1])
        if found is None or not self._is_good(found, credentials):
            raise Unauthenticated("The user token is wrong, revoked or expired.")
        token, user = found
        self._uses.note(token.id)
        return Actor(
            user.name,
            limit=token.limit,
            realm=user.realm,
            roles=user.external_roles,
            token=token.id,
        )

    def owner_of(self, secret: str) -> str:
        """Return whose token this looks like; it may be wrong. Empty: there is no such token."""
        match = FORM.match(secret)
        found = self._get(match[1]) if match else None
        return "" if found is None else found[1].name

    def limit_of(self, id_: str) -> Limit | None:
        """Return what a token is for; None if it is revoked or expired, or its user disabled."""
        found = self._get(id_)
        if found is None or not found[1].is_active or self._has_expired(found[0]):
            return None
        if not self._policy().enabled:
            return None
        return found[0].limit

    def of_user(self, user: str | None = None) -> list[UserToken]:
        """Return the tokens of a user, or of all users, by user and name."""
        return list(map(self._as_it_ends, records.list_tokens(user)))

    def page(self, query: TokenQuery, after: tuple[str, str] | None, limit: int) -> list[UserToken]:
        """Return tokens of all users behind the names of a user and a token, by these."""
        if query.is_endless and self._policy().expiration_enabled:
            return []
        return list(map(self._as_it_ends, records.page_tokens(query, after, limit)))

    def count(self, users: Iterable[str]) -> dict[str, int]:
        """Return how many tokens each of these users has; those without any are missing."""
        return records.count_tokens(users)

    def create(self, user: str, name: str, limit: Limit, days: int | None = None) -> str:
        """Make a token and return its secret, which nobody can get to see again.

        ``days`` is its lifetime; None: it never expires.

        Raises:
            NotFound: there is no such user.
            Invalid: the name, a pattern or the days will not do.
            Conflict: the user has a token of this name, or too many.
            Denied: user tokens are disabled.
        """
        _check_name(name)
        limit = _checked(limit)
        days = _checked_days(days, self._policy())
        id_ = secrets.token_hex(8)
        secret = f"rpm_{id_}_{secrets.token_urlsafe(32)}"
        now = self._clock()
        end = None if days is None else now + days * DAY_S
        with self._database.transaction():
            if find_user(user) is None:
                raise NotFound(f"There is no user {user!r}.")
            present = records.list_tokens(user)
            if name in {each.name for each in present}:
                raise Conflict(f"name: {user} already has a token {name!r}.")
            if len(present) >= TOKENS_PER_USER_MAX:
                raise Conflict(
                    f"{user} already has {TOKENS_PER_USER_MAX} tokens, the maximum. "
                    "Revoke one first."
                )
            records.insert_token(UserToken(id_, user, name, _digest(secret), limit, now, end))
            self._database.note_change("token.create", user, token=id_, name=name)
        return secret

    def revoke_all(self) -> int:
        """End all tokens of all users, and return how many that were."""
        count = 0
        while gone := self._revoke_some():
            count += gone
        return count

    def _revoke_some(self) -> int:
        with self._database.transaction():
            gone = records.delete_some(REVOKED_BATCH)
            if gone:
                self._database.note_change("token.reset", "", count=str(gone))
            return gone

    def revoke(self, user: str, id_or_name: str) -> UserToken:
        """End a token of a user; it is refused from the next request on. Return what it was.

        Raises:
            NotFound: the user has no such token.
        """
        with self._database.transaction():
            for each in records.list_tokens(user):
                if id_or_name in (each.id, each.name):
                    records.delete_token(each.id)
                    self._database.note_change("token.revoke", user, token=each.id, name=each.name)
                    return each
        raise NotFound(f"{user} has no token {id_or_name!r}.")

    def _get(self, id_: str) -> tuple[UserToken, User] | None:
        return self._found.get(id_, lambda: self._read(id_))

    def _read(self, id_: str) -> tuple[UserToken, User] | None:
        token = records.find_token(id_)
        user = None if token is None else self._find_user(token.user)
        return None if token is None or user is None else (token, user)

    def _is_good(self, found: tuple[UserToken, User], credentials: Credentials) -> bool:
        token, user = found
        is_theirs = user.name.casefold() == credentials.name.casefold()
        is_right = hmac.compare_digest(token.digest, _digest(credentials.password))
        return is_right and is_theirs and user.is_active and not self._has_expired(token)

    def _has_expired(self, token: UserToken) -> bool:
        end = self._end_of(token)
        return end is not None and end <= self._clock()

    def _as_it_ends(self, token: UserToken) -> UserToken:
        """Return a token whose end is the one that counts."""
        return replace(token, expires_at=self._end_of(token))

    def _end_of(self, token: UserToken) -> float | None:
        """Return when a token ends, by itself or by the options; None: never."""
        policy = self._policy()
        if not policy.expiration_enabled:
            return token.expires_at
        end = token.created_at + policy.expiration_days * DAY_S
        return end if token.expires_at is None else min(end, token.expires_at)


def is_user_token(text: str) -> bool:
    """Return whether a text looks like the secret of a user token."""
    return FORM.match(text) is not None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _check_name(name: str) -> None:
    if not (0 < len(name) <= NAME_MAX_CHARS and name.isprintable() and name == name.strip()):
        raise Invalid(f"name: must have 1 to {NAME_MAX_CHARS} printable characters.", field="name")


def _checked_days(days: int | None, policy: UserTokenOptions) -> int | None:
    """Return for how many days a new token is valid; None: it never expires."""
    if not policy.enabled:
        raise Denied("User tokens are disabled.")
    longest = policy.expiration_days if policy.expiration_enabled else DAYS_MAX
    if days is not None and not 1 <= days <= longest:
        unlimited = "" if policy.expiration_enabled else ", or empty for a token that never expires"
        raise Invalid(f"days: must be 1 to {longest}{unlimited}.", field="days")
    return policy.expiration_days if days is None and policy.expiration_enabled else days


def _checked(limit: Limit) -> Limit:
    """Return a limit with its patterns as they are compared: repositories in small letters."""
    for field in ("repositories", "names"):
        patterns: tuple[str, ...] = getattr(limit, field)
        is_good = all(
            0 < len(each) <= PATTERN_MAX_CHARS and each.isprintable() for each in patterns
        )
        if len(patterns) > PATTERNS_MAX or not is_good:
            raise Invalid(
                f"{field}: at most {PATTERNS_MAX} patterns of at most {PATTERN_MAX_CHARS} "
                "printable characters are allowed.",
                field=field,
            )
    return replace(
        limit,
        repositories=tuple(dict.fromkeys(each.lower() for each in limit.repositories)),
        names=tuple(dict.fromkeys(limit.names)),
        actions=frozenset(map(Action, limit.actions)),
    )
