"""Names of packages, versions and tarballs, and the paths that they have in every repository."""

import re

from repoman.plugin import check_path

NAME_MAX_CHARS = 214  # The longest name of a package.
VERSION_MAX_CHARS = 256  # The longest version.
TAG_MAX_CHARS = 100  # The longest dist-tag.

_NAME = re.compile(r"(@[A-Za-z0-9._~-]+/)?[A-Za-z0-9_~!*'()-][A-Za-z0-9._~!*'()-]*")
_NEW_NAME = re.compile(r"(@[a-z0-9~][a-z0-9._~-]*/)?[a-z0-9~][a-z0-9._~-]*")
_VERSION = re.compile(
    r"(\d{1,16})\.(\d{1,16})\.(\d{1,16})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)
_TAG = re.compile(r"(?!v?\d)[A-Za-z0-9._~!*'()-]+", re.ASCII)
_RESERVED = ("-", "node_modules", "favicon.ico")


def is_name(text: str) -> bool:
    """Return whether a package may have this name."""
    return len(text) <= NAME_MAX_CHARS and text not in _RESERVED and bool(_NAME.fullmatch(text))


def is_new_name(text: str) -> bool:
    """Return whether a package that is published now may have this name: in small letters."""
    return is_name(text) and bool(_NEW_NAME.fullmatch(text))


def is_version(text: str) -> bool:
    """Return whether this is a version as npm has them (SemVer 2)."""
    return len(text) <= VERSION_MAX_CHARS and bool(_VERSION.fullmatch(text))


def is_tag(text: str) -> bool:
    """Return whether this may be a dist-tag: nothing that could be a range of versions."""
    return len(text) <= TAG_MAX_CHARS and bool(_TAG.fullmatch(text))


def split_path(path: str) -> tuple[str, list[str]]:
    """Return the package that a path is of, and the segments behind it; no package: empty."""
    text = path.strip("/")
    if text.startswith("@"):  # as front servers pass on what came encoded
        text = re.sub("%2f", "/", text, flags=re.IGNORECASE)
    parts = text.split("/")
    size = 2 if text.startswith("@") else 1
    name = "/".join(parts[:size])
    return (name, parts[size:]) if is_name(name) else ("", parts)


def tarball_path(name: str, version: str) -> str:
    """Return the path of a tarball."""
    path = f"{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
    check_path(path)
    return path


def version_of(name: str, filename: str) -> str | None:
    """Return the version of a tarball; None: no tarball of the package has this name."""
    beginning = f"{name.rpartition('/')[2]}-"
    if not (filename.startswith(beginning) and filename.endswith(".tgz")):
        return None
    version = filename[len(beginning) : -len(".tgz")]
    return version if is_version(version) else None
