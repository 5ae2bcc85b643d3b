"""Digests: ``algorithm:encoded``, the name of immutable bytes.

Source: OCI image-spec, Digests; OCI distribution-spec, Pulling manifests and Pushing blobs.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from repoman_docker.protocol.errors import ErrorCode, RegistryError, quoted

ALGORITHMS = ("sha256", "sha512")
"""The algorithms under which content can be stored; the first is the default."""

_GRAMMAR = re.compile(r"([a-z0-9]++(?:[+._-][a-z0-9]++)*+):([a-zA-Z0-9=_-]++)")
_ENCODED = {
    "sha256": re.compile(r"[a-f0-9]{64}"),
    "sha512": re.compile(r"[a-f0-9]{128}"),
}


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A digest; its ``str()`` is the text that clients send.

    The constructor checks nothing; parse the input of clients with :meth:`parse`.

    Attributes:
        algorithm: for example ``sha256``.
        encoded: the hash, in lower-case hexadecimal for the supported algorithms.
    """

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a digest, whose algorithm may be one that is not supported.

        Raises:
            RegistryError: DIGEST_INVALID, it is malformed.
        """
        found = _GRAMMAR.fullmatch(text)
        if found is None:
            raise _invalid(f"{quoted(text)} is not a valid digest. Write it as algorithm:hash.")
        algorithm, encoded = found.groups()
        expected = _ENCODED.get(algorithm)
        if expected is not None and not expected.fullmatch(encoded):
            raise _invalid(
                f"{quoted(text)} is not a valid digest: {algorithm} requires "
                f"{hashlib.new(algorithm).digest_size * 2} lower-case hexadecimal digits."
            )
        return cls(algorithm, encoded)

    @classmethod
    def parse_supported(cls, text: str) -> Self:
        """Return the digest under which content is to be stored.

        Raises:
            RegistryError: DIGEST_INVALID, malformed or of an algorithm that is not supported.
        """
        digest = cls.parse(text)
        parse_algorithm(digest.algorithm)
        return digest

    @classmethod
    def of(cls, algorithm: str, data: bytes) -> Self:
        """Return the digest of ``data``.

        Raises:
            RegistryError: DIGEST_INVALID, the algorithm is not supported.
        """
        return cls(algorithm, hashlib.new(parse_algorithm(algorithm), data).hexdigest())

    @property
    def is_supported(self) -> bool:
        """Whether content can be stored under this algorithm."""
        return self.algorithm in ALGORITHMS

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"


def parse_algorithm(text: str) -> str:
    """Return the algorithm named by ``text`` (the parameter ``digest-algorithm`` of an upload).

    Raises:
        RegistryError: DIGEST_INVALID, it is not one of ``ALGORITHMS``.
    """
    if text not in ALGORITHMS:
        known = " or ".join(ALGORITHMS)
        raise _invalid(f"The digest algorithm {quoted(text)} is not supported. Use {known}.")
    return text


def _invalid(message: str) -> RegistryError:
    return RegistryError(ErrorCode.DIGEST_INVALID, message)
