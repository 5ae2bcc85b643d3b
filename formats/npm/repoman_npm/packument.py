"""Packuments: the documents that tell of all versions of a package, in two forms.

The value is the full form as registries send it; the tarballs have the addresses of the remote.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urljoin

from repoman.plugin import (
    NotFound,
    Package,
    Rendered,
    is_semver_prerelease,
    read_json,
    semver_key,
    tag_of,
)
from repoman_npm.paths import is_version, tarball_path

FULL = "application/json"
SHORT = "application/vnd.npm.install-v1+json"
FORMS = (FULL, SHORT)
SHORT_FIELDS = (
    *("name", "version", "deprecated", "dependencies", "acceptDependencies"),
    *("optionalDependencies", "devDependencies", "bundleDependencies", "bundledDependencies"),
    *("peerDependencies", "peerDependenciesMeta", "bin", "directories", "dist", "engines"),
    *("_hasShrinkwrap", "hasInstallScript", "funding", "cpu", "os", "libc"),
)
HOISTED = (
    *("description", "readme", "readmeFilename", "author", "license", "keywords", "homepage"),
    *("repository", "bugs", "maintainers"),
)
INSTALL_SCRIPTS = ("preinstall", "install", "postinstall")
DIGESTS = ("sha512", "sha384", "sha256", "sha1")  # of tarballs, the strongest first

Packument = Mapping[str, Any]


def parse(name: str, body: bytes, url: str) -> Packument:
    """Return what a remote sent from an address (ValueError, KeyError, TypeError: unreadable)."""
    given = read_json(body)
    if not isinstance(given, dict) or given.get("name", name) != name:
        raise ValueError(f"it is not about {name}")
    versions = {}
    for version, manifest in _mapping(given, "versions").items():
        if is_version(version):
            try:
                manifest["dist"]["tarball"] = urljoin(url, manifest["dist"]["tarball"])
            except ValueError:  # It leads nowhere; other versions are none the worse for it.
                continue
            versions[version] = without_odd_scripts(manifest)
    tags = _mapping(given, "dist-tags")
    parts = {
        "versions": versions,
        "dist-tags": {tag: version for tag, version in tags.items() if version in versions},
        "time": {key: each for key, each in _mapping(given, "time").items() if each},
    }
    return {**given, "name": name, **parts}


def without_odd_scripts(manifest: Packument) -> Packument:
    """Return a manifest without scripts that are no object: the short form tells of them anew."""
    if isinstance(manifest.get("scripts", {}), Mapping):
        return manifest
    return {key: each for key, each in manifest.items() if key != "scripts"}


def generate(package: Package) -> Packument:
    """Return what is told of a hosted package."""
    texts, times, versions = package.state.get("deprecated", {}), {}, {}
    for each in package.files:
        manifest = dict(each.attributes["manifest"])
        if text := texts.get(each.version):
            manifest["deprecated"] = text
        versions[each.version] = manifest
        times[each.version] = _time(each.updated_at)
    known = package.state.get("dist-tags", {})
    tags = {tag: version for tag, version in known.items() if version in versions}
    tags.setdefault("latest", max(versions, key=_rank))
    latest = versions[tags["latest"]]
    return {
        "_id": package.name,
        "_rev": revision(package),
        "name": package.name,
        "dist-tags": tags,
        "versions": versions,
        "time": {"created": min(times.values()), "modified": max(times.values()), **times},
        "users": package.state.get("users", {}),
        **{key: latest[key] for key in HOISTED if key in latest},
    }


def merge(packuments: Sequence[Packument]) -> Packument:
    """Return one for those of several repositories; the first one wins each version and tag."""
    parts: dict[str, dict[str, Any]] = {"versions": {}, "dist-tags": {}, "time": {}}
    for each in reversed(packuments):
        for key, part in parts.items():
            part |= each[key]
    first = {key: value for key, value in packuments[0].items() if key != "_rev"}
    return {**first, **parts}


def render(name: str, packument: Packument, form: str, part: str, base: str) -> Rendered:
    """Return one in a form, or of one version (NotFound: it lacks that)."""
    versions = packument["versions"]
    if part:
        version = packument["dist-tags"].get(part, part)
        if version not in versions:
            raise NotFound(f"There is no version {part} of {name}.")
        return _json(_moved(name, versions[version], base, version), FULL)
    moved = {key: _moved(name, each, base, key) for key, each in versions.items()}
    if form == FULL:
        return _json({**packument, "versions": moved}, FULL)
    modified = packument["time"].get("modified") or packument.get("modified")
    return _json(
        {
            "name": name,
            "dist-tags": packument["dist-tags"],
            "versions": {key: _short(each) for key, each in moved.items()},
            **({"modified": modified} if modified else {}),
        },
        SHORT,
    )


def digests_of(dist: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of a tarball in hex, by algorithm: the strongest, or else none."""
    found = {}
    for each in str(dist.get("integrity") or "").split():
        algorithm, _, text = each.partition("?")[0].partition("-")
        if algorithm in DIGESTS:
            found[algorithm] = base64.b64decode(text, validate=True).hex()
    if not found and dist.get("shasum"):
        found["sha1"] = str(dist["shasum"]).lower()
    return found


def integrity_of(sha512: str) -> str:
    """Return a digest in hex as the integrity of a tarball."""
    return "sha512-" + base64.b64encode(bytes.fromhex(sha512)).decode()


def revision(package: Package) -> str:
    """Return what changes whenever the package does."""
    state = json.dumps(package.state, sort_keys=True)
    files = [f"{each.path} {each.digest}" for each in package.files]
    return f"{len(files)}-{tag_of(state, *files)}"


def _mapping(value: Packument, key: str) -> Packument:
    """Return a part of a value; empty if there is none (TypeError: it is something else)."""
    found = value.get(key) or {}
    if not isinstance(found, Mapping):
        raise TypeError(f"{key} is no object")
    return found


def _rank(version: str) -> tuple[bool, str]:
    """Return by what the latest version is found: no pre-release, if there is another one."""
    return not is_semver_prerelease(version), semver_key(version)


def _moved(name: str, manifest: Packument, base: str, version: str) -> dict[str, Any]:
    tarball = f"{base}/{quote(tarball_path(name, version), safe='/@+')}"
    return {**manifest, "dist": {**manifest["dist"], "tarball": tarball}}


def _short(manifest: Packument) -> dict[str, Any]:
    short = {key: manifest[key] for key in SHORT_FIELDS if key in manifest}
    if not set(INSTALL_SCRIPTS).isdisjoint(_mapping(manifest, "scripts")):
        short["hasInstallScript"] = True
    return short


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _json(value: Packument, media_type: str) -> Rendered:
    return Rendered(json.dumps(value, separators=(",", ":")).encode(), media_type)
