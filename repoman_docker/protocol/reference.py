"""Image names, tags and references: their grammar in URLs.

Source: OCI distribution-spec, Pulling manifests (grammar) and Referrers Tag Schema.
"""

import re

from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.errors import ErrorCode, RegistryError, quoted

MAX_NAME = 255
"""Maximum length of an image name in characters; clients limit host and name together to it."""

_COMPONENT = re.compile(r"[a-z0-9]++(?:(?:__|[._]|-++)[a-z0-9]++)*+")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_NOT_IN_TAG = re.compile(r"[^a-zA-Z0-9._-]")


class Tag(str):
    """A checked tag; a ``str`` of its own type, so that a reference can be told from a digest."""

    __slots__ = ()


def parse_name(text: str) -> str:
    """Return ``text`` if it is a valid image name.

    Raises:
        RegistryError: NAME_INVALID, it breaks the grammar or is longer than ``MAX_NAME``.
    """
    if len(text) > MAX_NAME:
        raise RegistryError(
            ErrorCode.NAME_INVALID, f"The image name is longer than {MAX_NAME} characters."
        )
    if not all(_COMPONENT.fullmatch(component) for component in text.split("/")):
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
