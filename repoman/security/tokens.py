"""Bearer tokens: short-lived, signed, for one repository, and only for what was asked for.

A token says who somebody is and narrows what they may do; the rights themselves are decided anew at
each request. The signing key lies in the database, so every process of a server knows it.
"""

import secrets
import time

import jwt

from repoman.db.database import Database
from repoman.errors import Unauthenticated
from repoman.security.actors import Actor, Scope
from repoman.security.secret_records import find_secret, insert_secret

ALGORITHM = "HS256"
ISSUER = "repoman"
KEY = "token-signing-key"
LIFETIME = 300  # seconds


class TokenService:
    """Issues and checks tokens; thread safe once opened."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key = ""

    def open(self) -> None:
        """Read the signing key, or make it."""
        with self._database.transaction():
            key = find_secret(KEY)
            if key is None:
                key = secrets.token_hex(32)
                insert_secret(KEY, key)
        self._key = key

    def issue(
        self,
        actor: Actor,
        audience: str,
        scopes: tuple[Scope, ...],
        lifetime: int = LIFETIME,
    ) -> str:
        """Return a token with which ``actor`` may use these scopes for ``lifetime`` seconds.

        ``audience`` is the repository.
        """
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": actor.name,
            "anonymous": actor.is_anonymous,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
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
            Unauthenticated: it is forged, expired, or for another repository.
        """
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                options={
                    "require": ["exp", "iat", "nbf", "sub", "aud", "iss"],
                    "verify_exp": not may_have_expired,
                    "verify_iat": False,  # nbf says the same
                },
                leeway=5,
            )
        except jwt.InvalidTokenError as error:
            raise Unauthenticated("The token is not valid, or not valid any more.") from error
        scopes = tuple(
            Scope(each["type"], each["name"], frozenset(each["actions"]))
            for each in claims["access"]
        )
        return Actor(claims["sub"], is_anonymous=claims["anonymous"], scopes=scopes)
