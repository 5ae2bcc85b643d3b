"""A bare HTTP client of the registry protocol, for what docker and skopeo would not do."""

import hashlib
import json
import socket
from base64 import b64encode
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from tests.clock import WAIT_S

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest_of(content: bytes) -> str:
    """The digest by which content is known."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Registry:
    """One registry, seen by one user."""

    def __init__(self, url: str, auth: tuple[str, str] | None = None) -> None:
        self.url = url
        self.auth = auth

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request on a connection of its own."""
        url = urljoin(self.url, path)
        return requests.request(method, url, auth=self.auth, timeout=WAIT_S, **options)

    def begin_upload(self, name: str) -> str:
        """Open an upload session and return its URL."""
        answer = self.request("POST", f"/v2/{name}/blobs/uploads/")
        assert answer.status_code == 202, answer.text
        return urljoin(self.url, answer.headers["Location"])

    def send_blob(self, name: str, content: bytes) -> requests.Response:
        """Upload a blob in one request and return the answer to it."""
        location = self.begin_upload(name)
        digest = {"digest": digest_of(content)}
        return self.request("PUT", location, params=digest, data=content)

    def push_blob(self, name: str, content: bytes) -> str:
        """Upload a blob and return its digest."""
        answer = self.send_blob(name, content)
        assert answer.status_code == 201, answer.text
        return digest_of(content)

    def push_image(self, name: str, tag: str, content: bytes) -> str:
        """Push an image with one layer and return the layer's digest."""
        rootfs = {"type": "layers", "diff_ids": [digest_of(content)]}
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
        parts = [(CONFIG, config), (LAYER, content)]
        for _, part in parts:
            self.push_blob(name, part)
        described = [
            {"mediaType": kind, "digest": digest_of(part), "size": len(part)}
            for kind, part in parts
        ]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described[0],
            "layers": described[1:],
        }
        answer = self.request(
            "PUT",
            f"/v2/{name}/manifests/{tag}",
            data=json.dumps(manifest),
            headers={"Content-Type": MANIFEST},
        )
        assert answer.status_code == 201, answer.text
        return digest_of(content)

    def has_blob(self, name: str, digest: str) -> bool:
        """Whether the registry offers a blob."""
        status = self.request("HEAD", f"/v2/{name}/blobs/{digest}").status_code
        assert status in (200, 404)
        return status == 200

    def has_image(self, name: str, tag: str, content: bytes) -> bool:
        """Whether the tag is there and its layer comes out whole."""
        manifest = self.request("GET", f"/v2/{name}/manifests/{tag}", headers={"Accept": MANIFEST})
        if manifest.status_code != 200:
            return False
        layer = manifest.json()["layers"][0]["digest"]
        return self.request("GET", f"/v2/{name}/blobs/{layer}").content == content

    def open_request(self, method: str, url: str, *headers: str, window: int = 0) -> socket.socket:
        """Send the head of a request and return the socket, for a client with bad habits.

        ``window`` makes the receive buffer small, in bytes.
        """
        parts = urlsplit(urljoin(self.url, url))
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        lines = [f"{method} {path} HTTP/1.1", f"Host: {parts.netloc}", *headers]
        if self.auth:
            lines.append(f"Authorization: Basic {b64encode(':'.join(self.auth).encode()).decode()}")
        connection = socket.socket()
        if window:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        connection.settimeout(WAIT_S)
        connection.connect((parts.hostname, parts.port))
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return connection
