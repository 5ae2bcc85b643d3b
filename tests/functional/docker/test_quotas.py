"""Hard quotas: what they refuse, when, and what goes on all the same."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest

from repoman.quotas import SMALL_BYTES
from repoman.testing import HttpClient, RepomanFactory
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from tests.functional.docker.images import DOCKER_MANIFEST, digest_of
from tests.statements import executed_statements

MIB = 1 << 20
UPLOADS = "/v2/app/blobs/uploads/"


@pytest.fixture(scope="module")
def repoman(tmp_path_factory):
    factory = RepomanFactory(tmp_path_factory.mktemp("quotas"))
    yield factory({"docker": docker, "raw": raw})
    factory.stop()


class Limited:
    """A hosted repository with a quota."""

    def __init__(self, repoman, limit, recipe="docker-hosted"):
        self.repoman = repoman
        self.name = f"limited-{secrets.token_hex(4)}"
        repoman.repositories.create(self.name, recipe, {"quota": {"limit": limit}})
        self.client = HttpClient(repoman, connector=self.name)

    @property
    def quota(self):
        return self.repoman.quotas.find(self.repoman.repositories.get(self.name))

    @property
    def used(self):
        return self.quota.used

    def set(self, limit):
        self.repoman.repositories.update(self.name, {"quota": {"limit": limit}})

    def start(self, path=UPLOADS):
        return self.client.request("POST", path)

    def begin(self, path=UPLOADS):
        answer = self.start(path)
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    def append(self, place, data):
        return self.client.request("PATCH", place, data=data)

    def finish(self, place, data, rest=b""):
        return self.client.request("PUT", f"{place}?digest={digest_of(data)}", data=rest)

    def send(self, data):
        """Send a blob as docker does, and return the last answer."""
        place = self.begin()
        answer = self.append(place, data)
        return self.finish(place, data) if answer.status_code == 202 else answer

    def push(self, data):
        answer = self.send(data)
        assert answer.status_code == 201, answer.text
        return digest_of(data)

    def put_manifest(self, tag, *layers, config):
        described = [
            {"mediaType": "application/octet-stream", "digest": digest_of(each), "size": len(each)}
            for each in (config, *layers)
        ]
        body = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": described[0],
                "layers": described[1:]}  # fmt: skip
        data = json.dumps(body).encode()
        headers = {"Content-Type": DOCKER_MANIFEST}
        path = f"/v2/app/manifests/{tag}"
        return self.client.request("PUT", path, data=data, headers=headers)


@pytest.fixture
def limited(repoman):
    return lambda limit, recipe="docker-hosted": Limited(repoman, limit, recipe)


@pytest.fixture
def blobs_on_disk(repoman):
    """Return which files the store has, blobs and uploads."""

    def find():
        store = repoman.data / "blobs" / "default"
        return {each.name for each in store.rglob("*") if each.is_file()}

    return find


def told(answer):
    """Return what a client shows of a refusal."""
    assert answer.status_code == 403, (answer.status_code, answer.text)
    [error] = answer.json["errors"]
    assert error["code"] == "DENIED"
    return error["message"]


def test_a_length_that_does_not_fit_is_refused_before_the_first_byte(limited, blobs_on_disk):
    site, data = limited(3 * MIB), bytes(4 * MIB)
    before = blobs_on_disk()
    path = f"{UPLOADS}?digest={digest_of(data)}"

    class Unread(BytesIO):
        def read(self, *_):
            pytest.fail("The body was read.")

    text = told(site.client.request("POST", path, input_stream=Unread(data)))
    assert text == (
        f"The repository {site.name} has used 0 bytes of its quota of 3.0 MiB, and this upload "
        "needs 4.0 MiB. Delete something, or ask an administrator."
    )
    place = site.begin()
    told(site.client.request("PATCH", place, input_stream=Unread(data)))
    assert site.append(place, b"x").status_code == 404  # The session has ended.
    assert blobs_on_disk() == before


def test_a_stream_without_a_length_is_refused_when_the_limit_is_passed(limited, blobs_on_disk):
    site = limited(3 * MIB)
    before, place = blobs_on_disk(), site.begin()
    assert site.append(place, bytes(2 * MIB)).status_code == 202
    told(site.append(place, bytes(2 * MIB)))
    assert site.append(place, b"x").status_code == 404
    assert (site.used, blobs_on_disk()) == (0, before)


def test_what_is_small_is_refused_at_its_end(limited, blobs_on_disk):
    site = limited(1000)
    site.push(secrets.token_bytes(900))
    before = blobs_on_disk()
    answer = site.send(secrets.token_bytes(101))
    assert "has used 900 bytes of its quota of 1000 bytes" in told(answer)
    assert blobs_on_disk() == before
    site.push(secrets.token_bytes(100))
    assert site.used == 1000


def test_a_full_repository_refuses_the_next_push_at_once_and_all_else_works(limited):
    site = limited(5000)
    layer, config = secrets.token_bytes(4000), b"{}"
    for each in (layer, config):
        site.push(each)
    assert site.put_manifest(1, layer, config=config).status_code == 201
    site.set(site.used)
    text = told(site.start())
    assert text.startswith(f"The repository {site.name} has used")
    assert text.endswith("KiB. Delete something, or ask an administrator.")
    blob = f"/v2/app/blobs/{digest_of(layer)}"
    assert site.client.head(blob).status_code == 200
    assert site.client.get(blob).data == layer
    # A tag is moved, and a layer mounted: nothing of that is new.
    assert site.put_manifest(2, layer, config=config).status_code == 201
    mount = f"/v2/other/blobs/uploads/?mount={digest_of(layer)}&from=app"
    assert site.client.request("POST", mount).status_code == 201
    assert site.client.delete("/v2/app/manifests/1").status_code == 202
    digest = site.client.head("/v2/app/manifests/2").headers["Docker-Content-Digest"]
    assert site.client.delete(f"/v2/app/manifests/{digest}").status_code == 202
    for name in ("app", "other"):
        assert site.client.delete(f"/v2/{name}/blobs/{digest_of(layer)}").status_code == 202
    assert site.used < 1000
    site.push(secrets.token_bytes(4000))


def test_a_quota_that_was_lowered_refuses_what_is_new_alone(limited):
    site = limited(None)
    data = secrets.token_bytes(2000)
    site.push(data)
    site.set(1)
    told(site.start())
    mount = f"/v2/other/blobs/uploads/?mount={digest_of(data)}&from=app"
    assert site.client.request("POST", mount).status_code == 201
    site.set(None)
    site.push(secrets.token_bytes(2000))


def test_a_session_goes_on_under_the_quota_that_there_is_now(limited):
    site, data = limited(None), secrets.token_bytes(2 * MIB)
    place = site.begin()
    assert site.append(place, data).status_code == 202
    site.set(MIB)
    told(site.finish(place, data))
    assert site.used == 0
    site.set(2 * MIB)
    site.push(data)


def test_clients_that_push_at_once_never_exceed_the_quota(limited):
    site = limited(5 * 500_000 + 1)
    blobs = [secrets.token_bytes(500_000) for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(site.send, blobs))
    statuses = sorted(each.status_code for each in answers)
    assert statuses == [201] * 5 + [403] * 7
    assert site.used == 5 * 500_000


def test_what_another_repository_has_counts_as_well(limited):
    data = secrets.token_bytes(2000)
    limited(None).push(data)
    told(limited(1999).send(data))


@pytest.fixture
def store_quota(repoman):
    """Set the hard quota of the store, beside what it has."""

    def set_(more):
        used = repoman.stores.state("default").usage.size
        repoman.stores.limit("default", used + more)

    yield set_
    repoman.stores.limit("default", None)


def test_a_blob_store_has_a_quota_too(limited, store_quota, repoman):
    site, other = limited(None), limited(None)
    data = secrets.token_bytes(2000)
    other.push(data)
    store_quota(2 * MIB)
    site.push(data)  # The store has it.
    place = site.begin()
    text = told(site.append(place, bytes(3 * MIB)))
    assert text.startswith("The blob store default has used")
    store_quota(0)
    assert "The blob store default has used" in told(site.start())
    assert site.client.head(f"/v2/app/blobs/{digest_of(data)}").status_code == 200
    assert "Nothing more is stored in it." in repoman.stores.state("default").refusal


def test_files_and_forms_are_refused_as_well(limited, repoman):
    site = limited(SMALL_BYTES + 10, "raw-hosted")
    client = HttpClient(repoman)
    path = f"/repository/{site.name}"
    assert client.put(f"{path}/a", bytes(SMALL_BYTES)).status_code == 201
    refused = client.put(f"{path}/b", secrets.token_bytes(11))
    assert (refused.status_code, "of its quota of 1.0 MiB" in refused.text) == (403, True)
    assert client.put(f"{path}/b", bytes(SMALL_BYTES)).status_code == 201  # The same bytes.
    assert client.put(f"{path}/a", secrets.token_bytes(10)).status_code == 204
    form = {
        "raw.directory": "/",
        "raw.asset1": (BytesIO(secrets.token_bytes(100_000)), "x"),
        "raw.asset1.filename": "x",
    }
    sent = client.request(
        "POST",
        f"/service/rest/v1/components?repository={site.name}",
        data=form,
        content_type="multipart/form-data",
    )
    assert (sent.status_code, "of its quota" in sent.text) == (403, True)
    assert client.get(f"{path}/x").status_code == 404


def test_quotas_cost_a_push_few_statements(limited, repoman):
    def statements(site):
        site.push(secrets.token_bytes(100))
        with executed_statements() as found:
            site.push(secrets.token_bytes(100))
        own = (each for each in found if not each.startswith("--"))
        return [each for each in own if "blob_store_usage" in each or "hard_quota" in each]

    assert statements(limited(None)) == []
    assert len(statements(limited(MIB))) == 3  # when it begins, before the commit, in the end
