"""Uploads of a tarball by a form: what npm publish tells is read out of its package.json."""

import json
import re
from typing import Any

from repoman.plugin import BlobUpload, File, Invalid, read_json, read_tar_member
from repoman_npm.packument import integrity_of, without_odd_scripts
from repoman_npm.paths import is_new_name, is_version, tarball_path

PACKAGE_JSON = re.compile(r"[^/]+/package\.json")


def read_package(content: BlobUpload, filename: str) -> tuple[File, dict[str, Any]]:
    """Return the file that a tarball becomes, and the manifest of its version.

    Raises:
        Invalid: it is no tarball of a package, or has no name or version that can be published.
    """
    with content.open_reader() as source:
        body = read_tar_member(source, filename, PACKAGE_JSON)
    try:
        manifest = read_json(body.removeprefix(b"\xef\xbb\xbf"))
        name, version = manifest["name"], manifest["version"]
    except (ValueError, LookupError, TypeError) as error:
        raise Invalid(f"{filename}: the package.json cannot be read: {error!r}.") from error
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
