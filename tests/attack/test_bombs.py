"""What is small on the way and large when it is read is refused, and costs little."""

import gzip
import io
import json
import tarfile

import pytest

from repoman.errors import TooLarge
from repoman.testing import HttpClient
from repoman_docker import plugin as docker
from repoman_docker.v1 import layers
from tests.attack.raw import request, send
from tests.clock import cpu_limit

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = b'{"schemaVersion":2,"manifests":[]}'
NESTED = b"[" * 100_000 + b"]" * 100_000


@pytest.fixture(scope="module")
def client(module_factory):
    repoman = module_factory({"docker": docker})
    repoman.repositories.create("images", "docker-hosted", {"docker": {"v1_enabled": True}})
    return HttpClient(repoman, connector="images")


BODIES = {
    "nested": NESTED,
    "nested in a value": b'{"schemaVersion":2,"annotations":' + NESTED + b"}",
    "a huge number": b'{"schemaVersion":' + b"9" * 100_000 + b"}",
    "a huge exponent": b'{"schemaVersion":2,"size":1e999999999}',
    "many keys": b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
    "the same key": b"{" + b",".join(b'"a":1' for _ in range(100_000)) + b"}",
    "many layers": b'{"schemaVersion":2,"layers":[' + b",".join([b"{}"] * 500_000) + b"]}",
    "packed": gzip.compress(b" " * (64 << 20)),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_manifest_that_is_one_is_refused(client, body):
    answer = client.put("/v2/app/manifests/1", body, content_type=OCI)
    assert 400 <= answer.status_code < 500
    assert answer.json["errors"][0]["message"]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(
    "path", ["/v1/repositories/app/", "/v1/repositories/app/tags/1", f"/v1/images/{'a' * 64}/json"]
)
def test_in_version_1_too(client, body, path):
    answer = client.put(path, body, content_type="application/json")
    assert 400 <= answer.status_code < 500


def test_a_packed_body_is_not_unpacked(client):
    body = gzip.compress(b'{"schemaVersion":2}' + b" " * (64 << 20))
    answer = client.put(
        "/v2/app/manifests/1", body, content_type=OCI, headers={"Content-Encoding": "gzip"}
    )
    assert answer.status_code == 400


def test_a_layer_of_version_1_is_read_in_pieces_and_up_to_a_limit(monkeypatch):
    data = packed(32 << 20)
    assert len(data.getvalue()) < 1 << 16
    monkeypatch.setattr(layers, "UNPACKED_MAX_BYTES", 16 << 20)
    with pytest.raises(TooLarge, match="uncompressed layer exceeds"):
        layers.inspect_layer(data, b"{}")


def packed(size: int) -> io.BytesIO:
    """A layer of zeros, in gzip."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = size
        tar.addfile(info, io.BytesIO(bytes(size)))
    data.seek(0)
    return data


def test_a_layer_of_version_1_that_grows_too_much_is_read_no_further(monkeypatch):
    monkeypatch.setattr(layers, "UNPACKED_FREE_BYTES", 8 << 20)
    assert layers.inspect_layer(packed(4 << 20), b"{}").diff_id
    data = packed(32 << 20)
    with pytest.raises(TooLarge, match="100 times"):
        layers.inspect_layer(data, b"{}")
    assert data.tell() < len(data.getvalue())


def test_many_images_of_version_1_make_no_huge_config(client):
    ids = [f"{number:064x}" for number in range(1, 8)]
    listed = json.dumps([{"id": each} for each in ids]).encode()
    assert client.put("/v1/repositories/huge/", listed).status_code == 200
    layer = packed(100).getvalue()
    for number, image_id in enumerate(ids):
        fields = {"id": image_id, "comment": "x" * 900_000}
        fields |= {"parent": ids[number - 1]} if number else {}
        path = f"/v1/images/{image_id}"
        assert client.put(f"{path}/json", json.dumps(fields).encode()).status_code == 200
        assert client.put(f"{path}/layer", layer).status_code == 200
        tarsum = {"X-Docker-Checksum": "tarsum+sha256:0"}
        assert client.put(f"{path}/checksum", b"", headers=tarsum).status_code == 200
    for image_id, status in ((ids[3], 200), (ids[-1], 400)):
        answer = client.put("/v1/repositories/huge/tags/1", json.dumps(image_id).encode())
        assert answer.status_code == status, answer.data


@pytest.mark.parametrize(
    "fields",
    [
        [f"X-{number}: a" for number in range(20_000)],
        ["X: " + "a" * 200_000],
        ["Accept: " + ",".join(["text/html"] * 6_000)],
        ["Cookie: " + ";".join(f"a{number}=b" for number in range(6_000))],
        ["Range: bytes=" + ",".join("0-1" for _ in range(10_000))],
        ["Authorization: Basic " + "A" * 60_000],
        ["Authorization: Token" + " " * 60_000 + ","],
        ["Authorization: " + "Token " * 10_000 + ","],
        ["Authorization: Token " + "signature=" * 6_000 + ","],
    ],
)
@pytest.mark.parametrize("path", ["v2/", "v1/search"])
def test_headers_are_bounded(victim, path, fields):
    seen = len(victim.log)
    with cpu_limit(5, victim.cpu_time):
        answer = send(
            victim.main_port, request("GET", f"/repository/docker-hosted/{path}", *fields)
        )
    assert answer.status in (400, 401, 431)
    assert "Traceback" not in victim.log[seen:]


HARD = ("", "a", "bytes=", 'W/"', "<a>;", "a=", "Basic ", "Bearer ", "text/html;")
FILLINGS = (" ", "\t", ", ", '"', "\\", ";", "a=", "a;b=c,", "1", "- ")
HEADERS = ("Range", "If-None-Match", "If-Modified-Since", "Accept", "Cookie", "Content-Type")


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_is_slow_to_read(client, name):
    client.put("/v2/app/manifests/1", MANIFEST, content_type=INDEX)
    values = [
        hard + filling * (60_000 // len(filling)) + "x" for hard in HARD for filling in FILLINGS
    ]
    with cpu_limit(5):
        for value in values:
            answer = client.get("/v2/app/manifests/1", headers={name: value})
            assert answer.status_code in (200, 206)


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"a{number}=b" for number in range(10_000)),
        "n=" + "9" * 50_000,
        "last=" + "a" * 60_000,
        "scope=" + "repository:a:pull%20" * 2_500,
    ],
)
@pytest.mark.parametrize("path", ["/v2/_catalog", "/v2/token", "/v1/search", "/"])
def test_queries_are_bounded(victim, path, query):
    prefix = "/repository/docker-hosted" if path != "/" else ""
    answer = send(victim.main_port, request("GET", f"{prefix}{path}?{query}", login=victim.admin))
    assert answer.status < 500
