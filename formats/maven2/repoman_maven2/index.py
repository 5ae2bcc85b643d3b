"""The metadata of Maven: which versions, builds of a snapshot, and plugins of a group there are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from repoman.plugin import StoredFile
from repoman_maven2.layout import SNAPSHOT, STAMP, is_snapshot, parse_path
from repoman_maven2.rules import version_key

DOCUMENT_MAX_BYTES = 4 << 20  # A larger document is refused: its elements take far more memory.
CHUNK_BYTES = 1 << 12  # So much is read of a document before it is known to be refused.
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
TIME_FORMAT = "%Y%m%d%H%M%S"

Build = tuple[str, int]
"""The time stamp and the number of a build; those that have none are ("", 0)."""
NO_BUILD: Build = ("", 0)


@dataclass(frozen=True, slots=True)
class Index:
    """The value of a document, which may be about an artifact, a snapshot and a group at once.

    Attributes:
        updated: when it last changed, in UTC as ``20261129155608``.
        versions: of the artifact, the lowest first.
        latest: the last one; empty: it is the highest.
        release: the last one that is no snapshot; empty: it is the highest of these.
        builds: of a snapshot, by classifier and extension.
        build: the last one of the snapshot.
        plugins: artifact and display name by prefix.
    """

    updated: str = ""
    versions: tuple[str, ...] = ()
    latest: str = ""
    release: str = ""
    builds: Mapping[tuple[str, str], Build] = field(default_factory=dict)
    build: Build = NO_BUILD
    plugins: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class _Tree(ElementTree.TreeBuilder):
    """Elements of a document, which may not define entities: these could be of any size."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse a document type, whatever its encoding (ValueError)."""
        raise ValueError("it has a document type")


def parse(body: bytes) -> Index:
    """Return what a document says (ValueError: it cannot be read)."""
    if len(body) > DOCUMENT_MAX_BYTES:
        raise ValueError(f"it has more than {DOCUMENT_MAX_BYTES} bytes")
    parser = ElementTree.XMLParser(target=_Tree())  # noqa: S314 - without a type, no entities
    try:
        for at in range(0, len(body), CHUNK_BYTES):
            parser.feed(body[at : at + CHUNK_BYTES])
        root = parser.close()
    except (ElementTree.ParseError, LookupError) as error:  # of an encoding
        raise ValueError(str(error)) from error
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
    if root.tag != "metadata":
        raise ValueError("it is no metadata of Maven")
    builds = {
        (_text(each, "classifier"), _text(each, "extension")): _build_of(_text(each, "value"))
        for each in root.iterfind("versioning/snapshotVersions/snapshotVersion")
    }
    number = _text(root, "versioning/snapshot/buildNumber")
    build = (_text(root, "versioning/snapshot/timestamp"), int(number or 0))
    return Index(
        updated=_text(root, "versioning/lastUpdated"),
        versions=tuple(filter(None, (each.text for each in root.iterfind(".//versions/version")))),
        latest=_text(root, "versioning/latest"),
        release=_text(root, "versioning/release"),
        builds=builds,
        build=max([build, *builds.values()]),
        plugins={
            _text(each, "prefix"): (_text(each, "artifactId"), _text(each, "name"))
            for each in root.iterfind("plugins/plugin")
        },
    )


def generate(base: str, files: Iterable[StoredFile]) -> Index | None:
    """Return the metadata of stored files; of those of one snapshot, if ``base`` names it."""
    versions: set[str] = set()
    builds: dict[tuple[str, str], Build] = {}
    updated = 0.0
    for file in files:
        artifact = parse_path(file.path)
        if artifact is None or base not in ("", artifact.base):
            continue
        key, build = (artifact.classifier, artifact.extension), _build_of(artifact.version)
        versions.add(artifact.base)
        builds[key] = max(build, builds.get(key, NO_BUILD))
        updated = max(updated, file.updated_at)
    if not versions:
        return None
    changed = datetime.fromtimestamp(updated, UTC).strftime(TIME_FORMAT)
    if base:
        return Index(changed, builds=builds, build=max(builds.values()))
    return Index(changed, tuple(sorted(versions, key=version_key)))


def merge(given: Sequence[Index]) -> Index:
    """Return all versions and plugins of several documents, and the newest builds."""
    builds: dict[tuple[str, str], Build] = {}
    plugins: dict[str, tuple[str, str]] = {}
    for each in given:
        for key, build in each.builds.items():
            builds[key] = max(build, builds.get(key, NO_BUILD))
        plugins = {**each.plugins, **plugins}
    versions = set().union(*(each.versions for each in given))
    return Index(
        updated=max(each.updated for each in given),
        versions=tuple(sorted(versions, key=version_key)),
        latest=_highest(map(_latest, given)),
        release=_highest(map(_release, given)),
        builds=builds,
        build=max(each.build for each in given),
        plugins=plugins,
    )


def render(package: str, base: str, index: Index) -> bytes:
    """Return a document as XML."""
    root = Element("metadata", modelVersion="1.1.0")
    if index.versions or index.builds or index.build != NO_BUILD:
        group, _, name = package.partition(":")
        _add(root, groupId=group, artifactId=name, version=base)
        versioning = SubElement(root, "versioning")
        if base:
            _add_builds(versioning, base, index)
        else:
            _add_versions(versioning, index)
    if index.plugins:
        plugins = SubElement(root, "plugins")
        for prefix, (artifact, title) in sorted(index.plugins.items()):
            _add(SubElement(plugins, "plugin"), name=title, prefix=prefix, artifactId=artifact)
    ElementTree.indent(root)
    return DECLARATION + ElementTree.tostring(root, "unicode").encode() + b"\n"


def _add_versions(versioning: Element, index: Index) -> None:
    _add(versioning, latest=_latest(index), release=_release(index))
    versions = SubElement(versioning, "versions")
    for each in index.versions:
        SubElement(versions, "version").text = each
    _add(versioning, lastUpdated=index.updated)


def _add_builds(versioning: Element, base: str, index: Index) -> None:
    stamp, number = index.build
    if stamp:
        _add(SubElement(versioning, "snapshot"), timestamp=stamp, buildNumber=str(number))
    _add(versioning, lastUpdated=index.updated)
    builds = SubElement(versioning, "snapshotVersions")
    for (classifier, extension), (stamp, number) in sorted(index.builds.items()):
        value = f"{base.removesuffix(SNAPSHOT)}{stamp}-{number}" if stamp else base
        updated = stamp.replace(".", "") or index.updated
        entry = SubElement(builds, "snapshotVersion")
        _add(entry, classifier=classifier, extension=extension, value=value, updated=updated)


def _latest(index: Index) -> str:
    return index.latest or _highest(index.versions)


def _release(index: Index) -> str:
    return index.release or _highest(each for each in index.versions if not is_snapshot(each))


def _highest(versions: Iterable[str]) -> str:
    return max(versions, key=version_key, default="")


def _build_of(version: str) -> Build:
    found = STAMP.search(version)
    return (found[1], int(found[2])) if found else NO_BUILD


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _add(parent: Element, **texts: str) -> None:
    """Add elements with texts; those without one are left out."""
    for name, text in texts.items():
        if text:
            SubElement(parent, name).text = text
