"""A hosted repository named ``js``, and who publishes to it."""

import base64
import gzip
import hashlib
import io
import json
import tarfile

import pytest

from repoman.testing import both_http_clients, repoman_factory
from repoman_npm import plugin

__all__ = ["both_http_clients", "repoman_factory"]

SHORT = "application/vnd.npm.install-v1+json"


def make_tarball(name, version, extra="", paths=("package/package.json",), **files):
    """Return the bytes of a package; the same for the same arguments."""
    data = io.BytesIO()
    text = json.dumps({"name": name, "version": version, "extra": extra}).encode()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path, body in (*((each, text) for each in paths), *files.items()):
            info = tarfile.TarInfo(path)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return gzip.compress(data.getvalue(), compresslevel=0, mtime=0)


def make_document(name, version, data, *, tag="latest", **manifest):
    """Return what npm publish sends."""
    file = f"{name}-{version}.tgz"
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    dist = {
        "integrity": integrity,
        "shasum": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        "tarball": f"http://localhost/{name}/-/{file}",
    }
    about = {"name": name, "version": version, "description": f"what {name} is"}
    return {
        "_id": name,
        "name": name,
        "dist-tags": {tag: version},
        "versions": {version: {**about, "dist": dist, **manifest}},
        "_attachments": {
            file: {
                "content_type": "application/octet-stream",
                "data": base64.b64encode(data).decode(),
                "length": len(data),
            }
        },
    }


class Publisher:
    """Sends documents as npm does."""

    def __init__(self, client, repository="js"):
        self.client = client
        self.root = f"/repository/{repository}"

    def send(self, path, value, method="PUT", **options):
        """Return the answer to a JSON body."""
        return self.client.request(
            method,
            f"{self.root}/{path}",
            data=json.dumps(value).encode(),
            content_type="application/json",
            **options,
        )

    def publish(self, name="demo", version="1.0.0", data=None, **options):
        """Return the answer to a publish."""
        data = make_tarball(name, version) if data is None else data
        return self.send(name.replace("/", "%2f"), make_document(name, version, data, **options))

    def get(self, path, **options):
        """Return the answer to a GET."""
        return self.client.get(f"{self.root}/{path}", **options)

    def document(self, name="demo", *, accept="application/json", query=""):
        """Return a packument."""
        answer = self.get(name.replace("/", "%2f") + query, headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        return json.loads(answer.data)


@pytest.fixture
def repoman(repoman_factory):
    """A Repoman with only this format and an empty repository."""
    repoman = repoman_factory({"npm": plugin})
    repoman.repositories.create("js", "npm-hosted", {})
    return repoman


@pytest.fixture
def publisher(client):
    """Who publishes to the repository."""
    return Publisher(client)


@pytest.fixture
def tarball():
    """Makes tarballs."""
    return make_tarball


@pytest.fixture
def document():
    """Makes documents."""
    return make_document
