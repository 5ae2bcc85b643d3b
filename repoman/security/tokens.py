"""Bearer tokens: short-lived, signed, for one repository, and only for what was asked for.

A token says who somebody is, in which realm, and narrows what they may do; the rights themselves
are checked at each request. It ends with what it was issued for: when the user is disabled or
deleted or gets another password, when the realm of the user does not know them any more, and when
the user token that was shown for it is revoked. Of a new password elsewhere nobody tells: so tokens
of users of other realms are good for a minute.

The signing key lies in the database, so every process of a server knows it.
"""

import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jwt
from cryptography.fernet import Fernet, InvalidToken

from repoman.caching import KeyedDigest, LruCache
from repoman.db.database import Database
from repoman.errors import Unauthenticated
from repoman.option_records import find_or_make_key
from repoman.security.actors import ANONYMOUS, LOCAL, Actor, Scope
from repoman.security.user_records import User, user_finder
from repoman.security.user_tokens import UserTokens

ALGORITHM = "HS256"
ISSUER = "repoman"
KEY = "token-signing-key"
FOREIGN_LIFETIME_S = 60  # How long a token is valid where another realm has the password.
LEEWAY_S = 5  # How much the clocks of servers may differ.
TOKEN_MAX_CHARS = 65_536  # The longest token that is looked at; none of ours comes near.
CLAIMS = [
    *("iss", "sub", "aud", "iat", "nbf", "exp", "anonymous", "realm", "user", "user_token"),
    "access",
]

Claims = Mapping[str, Any]


class TokenService:
    """Issues and checks tokens; thread safe once opened.

    Args:
        goes_on: says whether a realm still knows a user of that name.
        lifetime: of the tokens of local users, in seconds.
    """

    def __init__(
        self,
        database: Database,
        user_tokens: UserTokens,
        goes_on: Callable[[str, str], bool],
        lifetime: int,
    ) -> None:
        self._database = database
        self._user_tokens = user_tokens
        self._goes_on = goes_on
        self._lifetime = lifetime
        self._key = ""
        self._find_user = user_finder(database)
        self._digest = KeyedDigest()
        self._checked: LruCache[Claims] = LruCache()

    def open(self) -> None:
        """Read the signing key, or make it."""
        with self._database.transaction():
            self._key = find_or_make_key(KEY)

    def derive_key(self, purpose: str) -> bytes:
        """Return 32 secret bytes for something else than tokens, the same after a restart."""
        return hmac.digest(self._key.encode(), purpose.encode(), "sha256")

    def lifetime_for(self, actor: Actor, wanted: int | None = None) -> int:
        """Return for how many seconds a token for this actor is good; None: as usual."""
        is_told = actor.realm == LOCAL or actor.token
        lifetime = self._lifetime if wanted is None else wanted
        return lifetime if is_told else min(lifetime, FOREIGN_LIFETIME_S)

    def issue(
        self,
        actor: Actor,
        audience: str,
        scopes: tuple[Scope, ...],
        lifetime: int | None = None,
    ) -> str:
        """Return a token with which ``actor`` may use these scopes.

        ``audience`` is the repository; ``lifetime`` is in seconds, see :meth:`lifetime_for`.
        """
        now = int(time.time())
        user = None if actor.is_anonymous else _account(self._find_user(actor.name), actor.realm)
        claims = {
            "iss": ISSUER,
            "sub": actor.name,
            "anonymous": actor.is_anonymous,
            "realm": actor.realm,
            "user": _state_of(user),
            "user_token": actor.token,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime_for(actor, lifetime),
            "jti": secrets.token_hex(8),
            "access": [
                {"type": each.type, "name": each.name, "actions": sorted(each.actions)}
                for each in scopes
            ],
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def verify(self, token: str, audience: str, *, may_have_expired: bool = False) -> Actor:
        """Return the actor a token speaks for, narrowed to its scopes.

        ``may_have_expired`` is for a request that began while the token was valid.

        Raises:
            Unauthenticated: it is forged, expired, for another repository, or its user is not let
                in any more.
        """
        claims = self._check(token, audience)
        if not may_have_expired and claims["exp"] + LEEWAY_S <= time.time():
            raise _invalid()
        scopes = tuple(
            Scope(each["type"], each["name"], frozenset(each["actions"]))
            for each in claims["access"]
        )
        if claims["anonymous"]:
            return replace(ANONYMOUS, scopes=scopes)
        return self._actor(claims, scopes)

    def _actor(self, claims: Claims, scopes: tuple[Scope, ...]) -> Actor:
        """Return the user of a token, as far as they are who they were; else Unauthenticated."""
        name, realm, id_ = claims["sub"], claims["realm"], claims["user_token"]
        found = self._find_user(name)
        user = _account(found, realm)
        is_known = found is not None and (user is None or user.is_active)
        if not is_known or _state_of(user) != claims["user"] or not self._goes_on(realm, name):
            raise _invalid()
        limit = self._user_tokens.limit_of(id_) if id_ else None
        if id_ and limit is None:
            raise _invalid()
        roles = () if user is None else user.external_roles
        return Actor(name, scopes=scopes, limit=limit, realm=realm, roles=roles, token=id_)

    def _check(self, token: str, audience: str) -> Claims:
        """Return what a token says, if it is one of ours for this repository."""
        key = (self._digest.of(token.encode("utf-8", "replace")), audience)
        claims = self._checked.find(key)
        if claims is None:
            claims = self._decode(token, audience)
            self._checked.save(key, claims)
        return claims

    def _decode(self, token: str, audience: str) -> Claims:
        if len(token) > TOKEN_MAX_CHARS:
            raise _invalid()
        try:
            return jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                options={
                    "require": CLAIMS,
                    "verify_exp": False,  # looked at each time
                    "verify_iat": False,  # nbf says the same
                },
                leeway=LEEWAY_S,
            )
        except jwt.InvalidTokenError as error:
            raise _invalid() from error


def _account(user: User | None, realm: str) -> User | None:
    """Return the user of a name if it is that of a realm; the name may belong to another one."""
    return user if user is not None and user.realm == realm else None


def _state_of(user: User | None) -> list[Any]:
    """Return what ends tokens when it changes; it differs for users of the same name, too."""
    return [] if user is None else [user.realm, user.created_at, user.epoch]


def _invalid() -> Unauthenticated:
    return Unauthenticated("The token is not valid or has expired.")


class Cursors:
    """Seals positions; thread safe.

    Args:
        key: returns 32 secret bytes, the same for as long as cursors are to be good.
    """

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key

    def seal(self, position: str) -> str:
        """Return a position as text that may stand in an address."""
        return self._fernet().encrypt(position.encode()).decode("ascii")

    def open(self, cursor: str) -> str | None:
        """Return the position in a cursor; None if the cursor is not valid."""
        try:
            return self._fernet().decrypt(cursor.encode()).decode()
        except InvalidToken:
            return None

    def _fernet(self) -> Fernet:
        return Fernet(urlsafe_b64encode(self._key()))
