"""The layout of Maven 2: which artifact a path belongs to."""

import re
from dataclasses import dataclass

from repoman.plugin import Coordinate

ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
METADATA = "maven-metadata.xml"
SNAPSHOT = "SNAPSHOT"
# Files of whole repositories, which are no artifacts: catalogs, and indexes for editors.
OTHERS = ("archetype-catalog.xml", ".index/", ".meta/")
DEPTH_MIN = 4  # group, name, version, file
STAMP = re.compile(r"(\d{8}\.\d{6})-(\d+)")
SEGMENT = re.compile(r"[A-Za-z0-9_.+~-]+")
_END = re.compile(r"(?:-(.+?))?\.([A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z0-9]+)*|7z)")


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a version.

    Attributes:
        version: with the time stamp of a snapshot.
        base: the version that users name, such as ``1.0-SNAPSHOT``.
    """

    group: str
    name: str
    version: str
    base: str
    classifier: str
    extension: str

    @property
    def package(self) -> str:
        """The name of all its versions."""
        return f"{self.group}:{self.name}"


def package_of(component: Coordinate) -> str:
    """Return the name of all versions of a component; of a file outside the layout, its path."""
    is_artifact = component.namespace and "/" not in component.name
    return f"{component.namespace}:{component.name}" if is_artifact else component.name


def is_snapshot(version: str) -> bool:
    """Return whether a version, with or without a time stamp, is a snapshot."""
    return base_of(version).endswith(SNAPSHOT)


def base_of(version: str) -> str:
    """Return the version that users name, for one that may have a time stamp."""
    found = STAMP.search(version)
    if found is None or found.end() != len(version):
        return version
    return version[: found.start()] + SNAPSHOT


def parse_path(path: str) -> Artifact | None:
    """Return the artifact at a path; None: the path is not one of the layout."""
    segments = path.split("/")
    if len(segments) < DEPTH_MIN or not all(map(SEGMENT.fullmatch, segments)):
        return None
    *group, name, base, file = segments
    if "." in "".join(group):
        return None  # the group has another folder
    version = base
    if base.endswith(SNAPSHOT):
        stem = re.escape(f"{name}-{base.removesuffix(SNAPSHOT)}")
        if found := re.match(f"{stem}({STAMP.pattern})", file):
            version = base.removesuffix(SNAPSHOT) + found[1]
    end = _END.fullmatch(file.removeprefix(f"{name}-{version}"))
    if end is None or not file.startswith(f"{name}-{version}"):
        return None
    return Artifact(".".join(group), name, version, base, end[1] or "", end[2])


def folder_of(group: str, name: str, version: str) -> str:
    """Return the path of the directory of a version."""
    return f"{group.replace('.', '/')}/{name}/{base_of(version)}"
