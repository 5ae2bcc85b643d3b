"""A hosted repository named ``py``, and who uploads to it."""

import hashlib
import io
import json
import zipfile

import pytest

from repoman.testing import both_http_clients, repoman_factory
from repoman_pypi import plugin

__all__ = ["both_http_clients", "repoman_factory"]

JSON = "application/vnd.pypi.simple.v1+json"
BOUNDARY = "-----------------------------a-boundary"


def make_wheel(name, version, **files):
    """Return the bytes of a wheel; the same for the same arguments."""
    folder = f"{name}-{version}.dist-info"
    content = {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{name}/__init__.py": f"version = {version!r}\n",
        **files,
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return data.getvalue()


def encode(fields, files):
    """Return a multipart body of fields and of (field, file name, bytes)."""
    parts = []
    for name, text in fields.items():
        head = f'Content-Disposition: form-data; name="{name}"'
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n{text}\r\n".encode())
    for name, filename, data in files:
        head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


class Publisher:
    """Sends forms as twine does."""

    def __init__(self, client, repository="py"):
        self.client = client
        self.repository = repository

    def post(self, fields, files, path="", **options):
        """Return the answer to a form."""
        content_type = f"multipart/form-data; boundary={BOUNDARY}"
        return self.client.request(
            "POST",
            f"/repository/{self.repository}/{path}",
            data=encode(fields, files),
            content_type=content_type,
            **options,
        )

    def publish(
        self,
        name="demo",
        version="1.0",
        data=None,
        filename="",
        headers=None,
        path="",
        **fields,
    ):
        """Return the answer to the upload of a wheel; fields are None to leave them out."""
        data = make_wheel(name, version) if data is None else data
        given = {
            ":action": "file_upload",
            "protocol_version": "1",
            "name": name,
            "version": version,
            "sha256_digest": hashlib.sha256(data).hexdigest(),
            "requires_python": ">=3.8",
            **{key.replace("action", ":action"): text for key, text in fields.items()},
        }
        given = {key: text for key, text in given.items() if text is not None}
        filename = filename or f"{name}-{version}-py3-none-any.whl"
        return self.post(given, [("content", filename, data)], path, headers=headers)


@pytest.fixture
def repoman(repoman_factory):
    """A Repoman with only this format and an empty repository."""
    repoman = repoman_factory({"pypi": plugin})
    repoman.repositories.create("py", "pypi-hosted", {})
    return repoman


@pytest.fixture
def publisher(client):
    """Who uploads to the repository."""
    return Publisher(client)


@pytest.fixture
def wheel():
    """Makes wheels."""
    return make_wheel


@pytest.fixture
def page(client):
    """Reads the page of a project in JSON."""

    def read(name="demo", repository="py"):
        headers = {"Accept": JSON}
        answer = client.get(f"/repository/{repository}/simple/{name}/", headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == JSON
        return json.loads(answer.data)

    return read
