"""Passwords: hashed with argon2id, and remembered for a moment once they were right.

Argon2 takes tens of milliseconds, by design, too much for every request of a pull. So a verified
password is remembered as a keyed digest; the key lives as long as the process, and what is
remembered is tied to the stored hash, so a changed password counts at once.
"""

import hashlib
import secrets
import threading
from base64 import b64encode

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from argon2.low_level import ARGON2_VERSION

from repoman.caching import LruCache

# What OWASP asks for at least (Password Storage Cheat Sheet, Argon2id): as hard to guess as one
# pass over 46 MiB, and little enough that a login is not felt in the memory or by other requests.
MEMORY_COST_KIB = 19_456
PASSES = 2
LANES = 1
SALT_BYTES = 16
DIGEST_BYTES = 32


class PasswordVerifier:
    """Hashes and checks passwords; thread safe.

    Args:
        memory: seconds that a verified password is remembered; 0 switches it off.
        cost: memory that a hash takes, in KiB.
    """

    def __init__(self, memory: float, cost: int = MEMORY_COST_KIB) -> None:
        self._memory = memory
        self._hasher = PasswordHasher(PASSES, cost, LANES, DIGEST_BYTES, SALT_BYTES)
        self._decoy = _hash_of_nothing(cost)
        self._key = secrets.token_bytes(32)
        self._known: LruCache[bool] = LruCache()
        # A hash takes memory and a processor, by design: one at a time, or a flood of logins
        # would take that for each worker. Others wait, and it is soon their turn: a hundred
        # machines may log in at once, and who guesses has to stop before long (see throttling).
        self._hashing = threading.Lock()

    def hash(self, password: str) -> str:
        """Return the argon2id hash of a password, with its salt and cost."""
        with self._hashing:
            return self._hasher.hash(password)

    def is_outdated(self, password_hash: str) -> bool:
        """Return whether a hash has another cost than those that are made now."""
        return self._hasher.check_needs_rehash(password_hash)

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Return whether the password is the one behind the hash.

        Without a hash (no such user) it takes as long and returns False.
        """
        digest = self._digest(password, password_hash or self._decoy)
        if self._known.find(digest):
            return True
        with self._hashing:
            if self._known.find(digest):  # the one before was the same client's
                return True
            return self._verify(password, password_hash, digest)

    def _verify(self, password: str, password_hash: str | None, digest: bytes) -> bool:
        try:
            self._hasher.verify(password_hash or self._decoy, password)
        except VerificationError:
            return False
        if password_hash is None:
            return False
        self._known.save(digest, True, self._memory)
        return True

    def _digest(self, password: str, password_hash: str) -> bytes:
        state = hashlib.blake2b(password_hash.encode(), key=self._key, digest_size=32)
        state.update(b"\0")
        state.update(password.encode("utf-8", "replace"))
        return state.digest()


def _hash_of_nothing(cost: int) -> str:
    """Return a hash that no password has; to compare one with it takes as long as with others.

    It is made up: each command that has a verifier would take a hash's time for it.
    """
    salt, digest = (_encode(secrets.token_bytes(size)) for size in (SALT_BYTES, DIGEST_BYTES))
    return f"$argon2id$v={ARGON2_VERSION}$m={cost},t={PASSES},p={LANES}${salt}${digest}"


def _encode(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")
