"""oras, the Python client: it uploads in chunks with Content-Range, and artifacts with subjects."""

import re
import secrets

import pytest
from oras.client import OrasClient
from oras.oci import Subject

from tests.e2e.registry import Registry
from tests.live import wait_until

CHUNK = 300_000  # bytes


@pytest.fixture
def name():
    """An image name nobody else uses."""
    return f"team/artifact-{secrets.token_hex(4)}"


@pytest.fixture
def oras(shared_server, registry):
    """The client, logged in."""
    client = OrasClient(hostname=registry, insecure=True, auth_backend="basic")
    client.auth.set_basic_auth(*shared_server.admin)
    return client


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file that takes several chunks."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data.bin"
    path.write_bytes(secrets.token_bytes(1_000_000))
    return path


def test_a_file_goes_up_in_chunks_and_comes_down(
    oras, registry, name, file, tmp_path, shared_server
):
    target = f"{registry}/{name}:1"
    pushed = oras.push(target=target, files=[file.name], do_chunked=True, chunk_size=CHUNK)
    assert pushed.status_code == 201
    [pulled] = oras.pull(target=target, outdir=str(tmp_path / "out"))
    assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()
    assert pulled.endswith(file.name)
    patches = re.compile(f'"PATCH /v2/{name}/blobs/uploads/[^"]*" 202 ')
    wait_until(lambda: len(patches.findall(shared_server.log)) == 4, what="four chunks")


def test_tags_are_listed_and_deleted(oras, registry, name, file):
    for tag in ("2", "1"):
        file.write_text(tag)  # the client deletes a tag with its manifest
        oras.push(target=f"{registry}/{name}:{tag}", files=[file.name])
    assert oras.get_tags(f"{registry}/{name}") == ["1", "2"]
    oras.delete_tags(f"{registry}/{name}", ["2"])
    assert oras.get_tags(f"{registry}/{name}") == ["1"]


def test_an_artifact_refers_to_its_subject(oras, registry, name, file, shared_server):
    target = f"{registry}/{name}:1"
    subject = oras.push(target=target, files=[file.name])
    digest = subject.headers["Docker-Content-Digest"]
    about = Subject("application/vnd.oci.image.manifest.v1+json", digest, len(subject.request.body))
    signature = oras.push(target=f"{registry}/{name}:about", files=[file.name], subject=about)
    assert signature.headers["OCI-Subject"] == digest
    wire = Registry(f"http://{registry}", shared_server.admin)
    [found] = wire.request("GET", f"/v2/{name}/referrers/{digest}").json()["manifests"]
    assert found["digest"] == signature.headers["Docker-Content-Digest"]
