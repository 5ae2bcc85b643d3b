"""Static files of pages: their addresses change with their content; browsers keep them for good.

``url_for("about.static", filename="about.css")`` gives ``/about/static/about.5d41402abc4b.css``,
for the blueprints of every plugin. A name without a digest, or with that of another version, gets
the present content, which the browser then has to check each time.
"""

import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, request
from werkzeug.security import safe_join

from repoman.http.compression import compressed, offer

DIGEST_CHARS = 12  # Of the digest in an address.
FILE_MAX_BYTES = 4 << 20  # Larger files are not for pages.
FOREVER = "public, max-age=31536000, immutable"
_DIGEST = re.compile(rf"\.([0-9a-f]{{{DIGEST_CHARS}}})(?=\.[^./]+$)")


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent: plain, and compressed where that makes it smaller."""

    data: bytes
    compressed: bytes | None
    digest: str
    media_type: str


class StaticFiles:
    """The static files of all blueprints of an app, read once when they are first asked for."""

    def __init__(self, app: Flask) -> None:
        self._folders = {
            f"{name}.static": Path(str(blueprint.static_folder))
            for name, blueprint in app.blueprints.items()
            if blueprint.static_folder
        }
        self._files: dict[tuple[str, str], StaticFile] = {}

    def install(self, app: Flask) -> None:
        """Put the digests into addresses, and send the files."""
        app.url_defaults(self._add_digest)
        for endpoint in self._folders:
            app.view_functions[endpoint] = self._send

    def _add_digest(self, endpoint: str, values: dict[str, Any]) -> None:
        if endpoint not in self._folders or "filename" not in values:
            return
        name = str(values["filename"])
        found = self._find(endpoint, name)
        if found is not None:
            stem, dot, suffix = name.rpartition(".")
            values["filename"] = f"{stem}.{found.digest}{dot}{suffix}"

    def _find(self, endpoint: str, name: str) -> StaticFile | None:
        known = self._files.get((endpoint, name))
        if known is not None:
            return known
        path = safe_join(str(self._folders[endpoint]), name)
        if path is None or not Path(path).is_file() or Path(path).stat().st_size > FILE_MAX_BYTES:
            return None
        data = Path(path).read_bytes()
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        digest = hashlib.sha256(data).hexdigest()[:DIGEST_CHARS]
        read = StaticFile(data, compressed(data, media_type), digest, media_type)
        return self._files.setdefault((endpoint, name), read)

    def _send(self, filename: str) -> Response:
        wanted = _DIGEST.search(filename)
        found = self._find(request.endpoint or "", _DIGEST.sub("", filename))
        if found is None:
            abort(404)
        response = Response(found.data, content_type=found.media_type)
        is_current = wanted is not None and wanted[1] == found.digest
        response.headers["Cache-Control"] = FOREVER if is_current else "no-cache"
        response.set_etag(found.digest)
        response.make_conditional(request)
        if found.compressed is not None:
            offer(response, found.compressed)
        return response
