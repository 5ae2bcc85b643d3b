"""What a push asks of the database: each statement costs as much as many lines of Python."""

import hashlib
import json
import secrets
from itertools import groupby

import pytest

from repoman.testing import HttpClient
from repoman_docker import plugin
from tests.functional.docker.images import media_type_of
from tests.statements import executed_statements

BLOBS = 5  # of each image, the config among them
LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# A little more than it takes, with the beginnings and ends of transactions.
MOST = {"HEAD": 1, "POST": 3, "PATCH": 0, "PUT": 9, "manifest": 19}
TRANSACTIONS = {"HEAD": 0, "POST": 1, "PATCH": 0, "PUT": 1, "manifest": 1}


@pytest.fixture
def client(repoman_factory, monkeypatch):
    monkeypatch.setattr("repoman.uploads.KNOWN_S", 3600)  # however slow this machine is
    repoman = repoman_factory({"docker": plugin})
    repoman.compactor.finish()  # as a server does before it serves
    repoman.repositories.create("images", "docker-hosted", {})
    return HttpClient(repoman, connector="images")


@pytest.fixture
def counts(client):
    """The statements of each request, by what it is."""
    found = {}

    def ask(name, method, path, status, **options):
        with executed_statements() as statements:
            answer = client.request(method, path, **options)
        assert answer.status_code == status, answer.data
        # What triggers do is told as comments, or as the statement that fired them once more.
        own = (each for each in statements if not each.startswith("--"))
        found.setdefault(name, []).append([each for each, _ in groupby(own)])
        return answer

    def push_blob():
        data = secrets.token_bytes(1000)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        ask("HEAD", "HEAD", f"/v2/app/blobs/{digest}", 404)
        place = ask("POST", "POST", "/v2/app/blobs/uploads/", 202).headers["Location"]
        place = ask("PATCH", "PATCH", place, 202, data=data).headers["Location"]
        ask("PUT", "PUT", f"{place}?digest={digest}", 201)
        return {"mediaType": LAYER, "digest": digest, "size": len(data)}

    def push_image(tag):
        config, *layers = [push_blob() for _ in range(BLOBS)]
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        data = json.dumps(body).encode()
        headers = {"Content-Type": media_type_of(data)}
        ask("manifest", "PUT", f"/v2/app/manifests/{tag}", 201, data=data, headers=headers)

    push_image("first")
    found.clear()
    push_image("second")
    return found


@pytest.mark.parametrize(("request_", "most"), MOST.items())
def test_a_small_image_takes_few_statements(counts, request_, most):
    for statements in counts[request_]:
        assert min(1, most) <= len(statements) <= most, "\n".join(statements)


@pytest.mark.parametrize(("request_", "count"), TRANSACTIONS.items())
def test_what_a_request_writes_is_one_transaction(counts, request_, count):
    for statements in counts[request_]:
        begun = [each for each in statements if each.startswith("BEGIN")]
        assert len(begun) == count, "\n".join(statements)
