"""What names content: digests, image names, tags, references, and the paths that contain them.

A digest, ``algorithm:encoded``, is the name of immutable bytes. An image name may contain slashes
and components called ``blobs``, ``manifests`` or ``tags``; therefore the last components of a path
name the resource, and the rest before them is the image name.

Sources: OCI image-spec, Digests; OCI distribution-spec, Endpoints, Pulling manifests (grammar) and
Referrers Tag Schema; docker's registry API for the catalog.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
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


NAME_MAX_CHARS = 255
"""Maximum length of an image name in characters; clients limit host and name together to it."""

_COMPONENT = r"[a-z0-9]++(?:(?:__|[._]|-++)[a-z0-9]++)*+"
_NAME = re.compile(f"{_COMPONENT}(?:/{_COMPONENT})*+")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_NOT_IN_TAG = re.compile(r"[^a-zA-Z0-9._-]")


class Tag(str):
    """A checked tag; a ``str`` of its own type, so that a reference can be told from a digest."""

    __slots__ = ()


def full_name(name: str, reference: Digest | str) -> str:
    """Return an image name with a tag or a digest, as clients write it.

    >>> full_name("team/app", "1.0")
    'team/app:1.0'
    """
    text = str(reference)
    return f"{name}@{text}" if ":" in text else f"{name}:{text}"


def parse_name(text: str) -> str:
    """Return ``text`` if it is a valid image name.

    Raises:
        RegistryError: NAME_INVALID, it breaks the grammar or is longer than ``NAME_MAX_CHARS``.
    """
    if len(text) > NAME_MAX_CHARS:
        raise RegistryError(
            ErrorCode.NAME_INVALID, f"The image name is longer than {NAME_MAX_CHARS} characters."
        )
    if not _NAME.fullmatch(text):
        raise RegistryError(
            ErrorCode.NAME_INVALID,
            f"{quoted(text)} is not a valid image name. Use lower-case letters, digits and the "
            "separators / . _ - between them.",
        )
    return text


def parse_tag(text: str) -> Tag:
    """Return ``text`` as a tag; case matters.

    Raises:
        RegistryError: TAG_INVALID, it breaks the grammar.
    """
    if not _TAG.fullmatch(text):
        raise RegistryError(
            ErrorCode.TAG_INVALID,
            f"{quoted(text)} is not a valid tag. Use up to 128 letters, digits and . _ -, "
            "not starting with . or -.",
        )
    return Tag(text)


def parse_reference(text: str) -> Digest | Tag:
    """Return the digest, if ``text`` contains a colon, or the tag.

    Raises:
        RegistryError: DIGEST_INVALID or TAG_INVALID, it breaks the grammar.
    """
    return Digest.parse(text) if ":" in text else parse_tag(text)


def referrers_tag(digest: Digest) -> Tag:
    """Return the tag under which registries without the API have the referrers of ``digest``.

    Source: OCI distribution-spec, Referrers Tag Schema.
    """
    text = f"{digest.algorithm[:32]}-{digest.encoded[:64]}"
    return Tag(_NOT_IN_TAG.sub("-", text))


class Resource(StrEnum):
    """What a path under ``/v2/`` names."""

    BASE = "base"
    CATALOG = "catalog"
    BLOB = "blob"
    UPLOAD_START = "upload_start"
    UPLOAD = "upload"
    MANIFEST = "manifest"
    TAGS = "tags"
    REFERRERS = "referrers"


@dataclass(frozen=True, slots=True)
class Route:
    """A parsed path; ``name`` and ``reference`` are as sent, their grammar is not checked.

    Attributes:
        resource: the requested resource.
        name: the image name; empty for ``BASE`` and ``CATALOG``.
        reference: a digest (``BLOB``, ``REFERRERS``), a tag or digest (``MANIFEST``), the id of the
            upload session (``UPLOAD``); else empty.
    """

    resource: Resource
    name: str = ""
    reference: str = ""


_WITHOUT_NAME = {"": Route(Resource.BASE), "_catalog": Route(Resource.CATALOG)}
_BY_COMPONENT = {
    "blobs": Resource.BLOB,
    "manifests": Resource.MANIFEST,
    "referrers": Resource.REFERRERS,
}


def match(path: str) -> Route | None:
    """Parse a path; return None if it is not a path of the registry API.

    Args:
        path: the decoded path after ``/v2/``, without the query.
    """
    if path in _WITHOUT_NAME:
        return _WITHOUT_NAME[path]
    head, _, last = path.rpartition("/")
    before, _, kind = head.rpartition("/")
    if kind == "uploads" and before.endswith("/blobs"):
        name = before.removesuffix("/blobs")
        return Route(Resource.UPLOAD, name, last) if last else Route(Resource.UPLOAD_START, name)
    if "/" not in head or not last:
        return None
    if (kind, last) == ("blobs", "uploads"):
        return Route(Resource.UPLOAD_START, before)
    if (kind, last) == ("tags", "list"):
        return Route(Resource.TAGS, before)
    resource = _BY_COMPONENT.get(kind)
    return None if resource is None else Route(resource, before, last)
