"""Secrets as keys of what is remembered, in a form that nobody can read out of the memory."""

import hashlib
import secrets

SIZE = 32  # Bytes of a digest.


class KeyedDigest:
    """Digests by a random key that ends with the process; thread safe."""

    def __init__(self) -> None:
        self._begun = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=SIZE)

    def of(self, data: bytes) -> bytes:
        """Return the digest of what must not be kept as it is."""
        state = self._begun.copy()  # which has taken in the key already
        state.update(data)
        return state.digest()
