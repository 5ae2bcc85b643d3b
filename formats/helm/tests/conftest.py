"""A hosted repository named ``charts``, and its clients."""

import gzip
import io
import json
import tarfile

import pytest

from repoman.testing import both_http_clients, repoman_factory
from repoman_helm import plugin

__all__ = ["both_http_clients", "repoman_factory"]


def make_archive(files):
    """Return the bytes of an archive; the same for the same files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(data.getvalue(), mtime=0)


def make_chart(name="demo", version="1.0.0", more="", **files):
    """Return the bytes of a chart; ``more`` are further lines of its Chart.yaml."""
    text = f"apiVersion: v2\nname: {name}\nversion: {version}\n{more}"
    return make_archive({f"{name}/Chart.yaml": text.encode(), **files})


@pytest.fixture
def repoman(repoman_factory):
    """A Repoman with only this format and an empty repository."""
    repoman = repoman_factory({"helm": plugin})
    repoman.repositories.create("charts", "helm-hosted", {})
    return repoman


@pytest.fixture
def entries(client):
    """Reads the entries of an index."""

    def read(repository="charts"):
        answer = client.get(f"/repository/{repository}/index.yaml")
        assert answer.status_code == 200, answer.text
        found = json.loads(answer.data)
        assert found["apiVersion"] == "v1"
        return found["entries"]

    return read
