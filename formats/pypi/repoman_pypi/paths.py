"""Names of projects and files: what a file belongs to, by its name (PEP 427, 503, 625)."""

import re
from urllib.parse import unquote

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from repoman.plugin import FILES_BY_PACKAGE, File

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


def version_key(text: str) -> str:
    """Return a text by which versions sort as PEP 440 says, compared by code points."""
    version = _parse(text)
    if version is None:
        return FILES_BY_PACKAGE.version_key(text)
    epoch = f"~{_number(version.epoch)}" if version.epoch else ""
    release = re.sub(r"(\.0010)+$", "", ".".join(map(_number, version.release)))
    pre = f"!1{version.pre[0]}{_number(version.pre[1])}" if version.pre else ""
    post = "" if version.post is None else f",{_number(version.post)}"
    end = "+" if version.dev is None else f"!0{_number(version.dev)}"
    segments = (version.local or "").split(".")
    local = ".".join(f"1{_number(int(s))}" if s.isdigit() else f"0{s}" for s in segments)
    return f"0{epoch}{release}{pre}{post}{end}{local}"


def is_prerelease(text: str) -> bool:
    """Return whether PEP 440 takes a version for a pre-release."""
    version = _parse(text)
    return FILES_BY_PACKAGE.is_prerelease(text) if version is None else version.is_prerelease


def _parse(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:  # it is none, or a number has thousands of digits
        return None


def _number(value: int) -> str:
    """Return a number as text that sorts by its value: its length comes first."""
    return f"{len(str(value)):03}{value}"
