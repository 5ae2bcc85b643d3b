"""Tarballs: what the package.json in one says is what is published about it."""

import json
import re
from typing import Any

from repoman.plugin import BlobUpload, File, Invalid, read_json, read_tar_member
from repoman_npm.packument import integrity_of, without_odd_scripts
from repoman_npm.paths import is_new_name, is_version, tarball_path

# Clients leave out the first folder, whatever it is called, and parts of a path that mean nothing.
PACKAGE_JSON = re.compile(r"[^/]+/(?:\.?/)*package\.json")


def read_package(content: BlobUpload, filename: str) -> tuple[File, dict[str, Any]]:
    """Return the file that a tarball becomes, and the manifest of its version.

    Raises:
        Invalid: it is no tarball of a package, or has no name or version that can be published.
    """
    manifest = _package_json(content, filename)
    name, version = manifest.get("name", ""), manifest.get("version", "")
    for text, is_valid in ((name, is_new_name), (version, is_version)):
        if not (isinstance(text, str) and is_valid(text)):
            shown = json.dumps(text)[:80]
            raise Invalid(f"{filename}: {shown} is not a name or version to be published.")
    dist = {
        "shasum": content.hexdigest("sha1"),
        "integrity": integrity_of(content.hexdigest("sha512")),
    }
    about = {"_id": f"{name}@{version}", "dist": dist}
    file = File(tarball_path(name, version), name, version)
    return file, {**without_odd_scripts(manifest), **about}


def check_tarball(name: str, version: str, content: BlobUpload) -> None:
    """Return if a tarball has the package that it is published as (Invalid).

    Clients install what it has, while people and audits go by what is said about it.
    """
    about = f"The tarball of {name}@{version}"
    found = _package_json(content, about)
    given = (str(found.get("name")).strip(), _core(str(found.get("version"))))
    if given != (name, _core(version)):
        raise Invalid(f"{about} has the package.json of {given[0][:214]!r}, {given[1][:80]!r}.")


def _package_json(content: BlobUpload, about: str) -> dict[str, Any]:
    with content.open_reader() as source:
        body = read_tar_member(source, about, PACKAGE_JSON)
    try:
        found = read_json(body.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise Invalid(f"{about}: the package.json cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise Invalid(f"{about}: the package.json is no object.")
    return found


def _core(version: str) -> str:
    """Return a version as npm publishes it: without its build and what may stand before it."""
    return version.strip().lstrip("=v ").partition("+")[0]
