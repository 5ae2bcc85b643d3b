"""Names of projects and files: what a file belongs to, by its name (PEP 427, 503, 625)."""

import re
from urllib.parse import unquote

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

PROJECT = re.compile(r"[A-Z0-9]([A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE)
BESIDE = (".metadata", ".asc", ".provenance")  # Files that belong to another one of that name.


def project_of(text: str) -> str | None:
    """Return the normalized name of a project; None: no project can have this name."""
    name = unquote(text)
    return canonicalize_name(name) if PROJECT.fullmatch(name) else None


def split_filename(filename: str) -> tuple[str, str] | None:
    """Return the project and the version of a file; None: it is none of a package."""
    try:
        if filename.endswith(".whl"):
            name, version, *_ = parse_wheel_filename(filename)
        else:
            name, version = parse_sdist_filename(filename)
    except ValueError:  # all that these functions raise
        return None
    return name, str(version)


def whole(filename: str) -> str:
    """Return the name of the file to which another one belongs, or its own."""
    for suffix in BESIDE:
        filename = filename.removesuffix(suffix)
    return filename


def path_of(filename: str) -> str | None:
    """Return the path of a file in every repository; None: it is none of a package."""
    found = split_filename(whole(filename))
    return None if found is None else f"packages/{found[0]}/{found[1]}/{filename}"
