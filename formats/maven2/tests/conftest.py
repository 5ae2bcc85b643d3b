"""A hosted repository named ``maven``, and its clients."""

import hashlib
from xml.etree import ElementTree

import pytest

from repoman.testing import both_http_clients, repoman_factory
from repoman_maven2 import plugin

__all__ = ["both_http_clients", "repoman_factory"]


@pytest.fixture
def repoman(repoman_factory):
    """A Repoman with only this format and an empty repository."""
    repoman = repoman_factory({"maven2": plugin})
    repoman.repositories.create("maven", "maven2-hosted", {})
    return repoman


@pytest.fixture
def deploy(client):
    """Stores a file with its checksum, as mvn does; returns the status of both answers."""

    def put(path, data=b"bytes", repository="maven"):
        url = f"/repository/{repository}/{path}"
        digest = hashlib.sha1(data).hexdigest().encode()
        return client.put(url, data).status_code, client.put(f"{url}.sha1", digest).status_code

    return put


@pytest.fixture
def metadata(client):
    """Reads metadata below a folder, and compares it with all its checksums."""

    def read(folder, repository="maven"):
        url = f"/repository/{repository}/{folder}/maven-metadata.xml"
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            beside = client.get(f"{url}.{algorithm}")
            assert beside.text == hashlib.new(algorithm, answer.data).hexdigest()
        return ElementTree.fromstring(answer.data)

    return read
