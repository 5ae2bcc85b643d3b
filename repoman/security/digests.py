"""Secrets as keys of what is remembered, in a form that nobody can read out of the memory."""

import hashlib
import secrets

SIZE = 16  # Bytes of a digest.


class KeyedDigest:
    """Digests by a random key that ends with the process; thread safe."""

    __slots__ = ("_begin",)

    def __init__(self) -> None:
        # With the key taken in already, which is faster than to begin with it each time.
        self._begin = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=SIZE).copy

    def of(self, data: bytes) -> bytes:
        """Return the digest of what must not be kept as it is."""
        state = self._begin()
        state.update(data)
        return state.digest()
