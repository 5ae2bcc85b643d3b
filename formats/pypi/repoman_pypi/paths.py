"""Names of projects and files: what a file belongs to, by its name (PEP 427, 503, 625)."""

import re
from urllib.parse import unquote

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from repoman.plugin import File

PROJECT = re.compile(r"[A-Z0-9]([A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE | re.ASCII)
FILENAME = re.compile(r"[A-Z0-9][A-Z0-9._+!-]{0,255}", re.IGNORECASE | re.ASCII)
BESIDE = (".metadata", ".asc", ".provenance")  # Files that belong to another one of that name.


def project_of(text: str) -> str | None:
    """Return the normalized name of a project; None: no project can have this name."""
    name = unquote(text)
    return canonicalize_name(name) if PROJECT.fullmatch(name) else None


def whole(filename: str) -> str:
    """Return the name of the file to which another one belongs, or its own."""
    suffix = next((each for each in BESIDE if filename.endswith(each)), "")
    return filename.removesuffix(suffix)


def file_of(filename: str) -> File | None:
    """Return the file of a name, whose path is the same in every repository; None: no package's."""
    main = whole(filename)
    try:
        parse = parse_wheel_filename if main.endswith(".whl") else parse_sdist_filename
        name, version = parse(main)[:2]
    except ValueError:  # all that these functions raise
        return None
    if not (PROJECT.fullmatch(name) and FILENAME.fullmatch(main)):
        return None
    return File(f"packages/{name}/{version}/{filename}", name, str(version))
