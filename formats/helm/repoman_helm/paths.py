"""Names and versions of charts, and the paths of their files."""

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
VERSION = re.compile(r"v?\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
ARCHIVE, PROVENANCE = ".tgz", ".tgz.prov"
# A version with three numbers if there is one: names may have dashes and numbers, too.
_SPLITS = tuple(
    re.compile(rf"({NAME.pattern}?)-({version}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)")
    for version in (r"v?\d+\.\d+\.\d+", r"v?\d+(?:\.\d+)?")
)


def path_of(name: str, version: str) -> str:
    """Return the path of the archive of a chart."""
    return f"{name}-{version}{ARCHIVE}"


def split_path(path: str) -> tuple[str, str] | None:
    """Return name and version of the chart at a path; None: there is none."""
    stem = path.removesuffix(".prov").removesuffix(ARCHIVE)
    if stem == path or not path.endswith((ARCHIVE, PROVENANCE)):
        return None
    found = next(filter(None, (each.fullmatch(stem) for each in _SPLITS)), None)
    return None if found is None else (found[1], found[2])
