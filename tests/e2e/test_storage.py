"""A blob store that is full or read-only: plain answers, and what was stored stays readable."""

import os
import re
import secrets
import subprocess
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests

from tests.clock import WAIT_S
from tests.e2e.registry import Registry, digest_of
from tests.fakes.registry import fake_registry
from tests.live import LiveServer, wait_until
from tests.server.client import Client

STORE_SIZE = 8_000_000
KEPT = b"k" * 1_000_000
TOO_LARGE = b"l" * 12_000_000
HALF = bytes(range(250)) * 20_000  # fits, but not twice
# The server runs in a mount namespace of its own, which ends with it: nothing to unmount.
NAMESPACE = () if os.geteuid() == 0 else ("--user", "--map-root-user")
MOUNT = f'mkdir -p "$0" && mount -t tmpfs -o size={STORE_SIZE} none "$0" && exec "$@"'


@pytest.fixture
def small(tmp_path):
    """A server whose blob store is a small file system."""
    directory = tmp_path / "small"
    store = directory / "data" / "blobs" / "default"
    wrapper = ("unshare", *NAMESPACE, "--mount", "sh", "-c", MOUNT, str(store))
    server = LiveServer(directory, wrapper=wrapper)
    try:
        yield server.start()
    finally:
        server.end()


GUARDED = {"storage": {"min_free_percent": 50}}


@pytest.fixture
def guarded(tmp_path):
    """The same with a disk of which half must stay free."""
    directory = tmp_path / "guarded"
    store = directory / "data" / "blobs" / "default"
    wrapper = ("unshare", *NAMESPACE, "--mount", "sh", "-c", MOUNT, str(store))
    server = LiveServer(directory, settings=GUARDED, wrapper=wrapper)
    try:
        yield server.start()
    finally:
        server.end()


@pytest.fixture
def registry(small):
    """Its hosted repository, with one image in it."""
    registry = Registry(f"http://{small.registry}", small.admin)
    registry.push_image("team/app", "1", KEPT)
    return registry


def run_inside(server: LiveServer, *command: str) -> None:
    """Run a command that sees the file systems which the server sees."""
    user = ("--user", "--preserve-credentials") if NAMESPACE else ()
    enter = ("nsenter", "--target", str(server.process.pid), *user, "--mount")
    subprocess.run([*enter, *command], check=True, timeout=WAIT_S, env=server.environment)


def make_read_only(server: LiveServer) -> None:
    run_inside(server, "mount", "-o", "remount,ro", str(server.data / "blobs" / "default"))


def assert_plain(answer, status):
    """The answer is an error in the registry's form with a sentence for people."""
    assert answer.status_code == status, answer.text
    [error] = answer.json()["errors"]
    assert " " in error["message"]
    assert "Traceback" not in answer.text


def test_a_full_store_answers_507(small, registry):
    assert_plain(registry.send_blob("team/app", TOO_LARGE), 507)
    assert registry.has_image("team/app", "1", KEPT)
    assert "Traceback" not in small.log


@pytest.mark.parametrize("in_a_session", [True, False])
def test_what_is_known_not_to_fit_is_refused_before_its_first_byte(small, registry, in_a_session):
    target = f"/v2/team/app/blobs/uploads/?digest={digest_of(TOO_LARGE)}"
    if in_a_session:
        target = registry.begin_upload("team/app").removeprefix(f"http://{small.registry}")
    token = b64encode(":".join(small.admin).encode()).decode()
    headers = [f"Authorization: Basic {token}", "Expect: 100-continue"]
    with closing(Client(small.connector_port)) as client:
        client.request(
            "PATCH" if in_a_session else "POST",
            target,
            headers=[*headers, f"Content-Length: {len(TOO_LARGE)}"],
        )
        assert client.read().status == 507  # and not 100 before
    assert registry.has_image("team/app", "1", KEPT)
    if in_a_session:  # a client begins anew
        assert registry.request("GET", target).status_code == 404


def test_downloads_go_on_while_the_store_is_full(registry):
    path = f"/v2/team/app/blobs/{digest_of(KEPT)}"
    with registry.request("GET", path, stream=True) as download:
        received = b""
        for _ in range(3):
            received += download.raw.read(len(KEPT) // 4)
            location = registry.begin_upload("team/app")
            chunks = (TOO_LARGE[at : at + 100_000] for at in range(0, len(TOO_LARGE), 100_000))
            assert_plain(registry.request("PATCH", location, data=chunks), 507)
            assert registry.has_image("team/app", "1", KEPT)
        assert received + download.raw.read() == KEPT


def test_a_full_store_answers_507_in_the_middle_of_a_stream(registry):
    location = registry.begin_upload("team/app")
    chunks = (TOO_LARGE[at : at + 100_000] for at in range(0, len(TOO_LARGE), 100_000))
    assert_plain(registry.request("PATCH", location, data=chunks), 507)
    assert registry.has_image("team/app", "1", KEPT)


def send_in_a_session(registry):
    return registry.send_blob("team/app", TOO_LARGE)


def send_at_once(registry):
    digest = {"digest": digest_of(TOO_LARGE)}
    return registry.request("POST", "/v2/team/app/blobs/uploads/", params=digest, data=TOO_LARGE)


@pytest.mark.parametrize("send", [send_in_a_session, send_at_once])
def test_what_did_not_fit_is_removed(registry, send):
    for _ in range(3):
        assert_plain(send(registry), 507)
    registry.push_image("team/app", "2", KEPT + b"2")
    assert registry.has_image("team/app", "2", KEPT + b"2")


def test_a_command_that_does_not_see_the_disk_of_the_store_makes_no_other_one(small, registry):
    done = small.cli("repo", "list", check=False)
    assert done.returncode == 1
    assert "Is its disk mounted?" in done.stderr
    assert list((small.data / "blobs" / "default").iterdir()) == []
    assert registry.has_image("team/app", "1", KEPT)


def test_a_read_only_store_answers_503(small, registry):
    make_read_only(small)
    location = f"/v2/team/app/blobs/uploads/?digest=sha256:{'0' * 64}"
    answer = registry.request("POST", location, data=b"new")
    assert_plain(answer, 503)
    assert registry.has_image("team/app", "1", KEPT)
    assert "Traceback" not in small.log


@pytest.fixture
def upstream():
    with fake_registry() as registry:
        yield registry


@pytest.fixture
def get(small, upstream):
    """Get from a proxy of the upstream: status and digest of what comes."""
    remote = f"proxy.remote_url={upstream.url}"
    create = small.command("repo", "create", "docker-proxy", "small-hub", "--set", remote)
    run_inside(small, *create)
    base = f"{small.main_url}/repository/small-hub/v2/"

    def get(path):
        answer = requests.get(base + path, auth=small.admin, timeout=WAIT_S)
        return answer.status_code, digest_of(answer.content)

    wait_until(lambda: get("")[0] == 200, what="the proxy")
    return get


def test_blobs_that_do_not_fit_together_are_pulled_all_the_same(small, upstream, get):
    blobs = [upstream.put_blob("team/app", data) for data in (HALF, HALF[::-1])]
    upstream.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        pulls = [pool.submit(get, f"team/app/blobs/{digest}") for digest in blobs]
        try:
            wait_until(lambda: upstream.count("GET /v2/team/app/blobs") >= 2, what="both")
        finally:
            upstream.gate.set()
        assert [each.result() for each in pulls] == [(200, digest) for digest in blobs]
    assert "Traceback" not in small.log


def test_a_disk_that_is_filled_meanwhile_breaks_no_pull(small, registry, upstream, get):
    digest = upstream.put_blob("team/app", HALF)
    upstream.gate.clear()
    with ThreadPoolExecutor(5) as pool:
        pulls = [pool.submit(get, f"team/app/blobs/{digest}") for _ in range(5)]
        try:
            wait_until(lambda: upstream.count("GET /v2/team/app/blobs"), what="the fetch")
            registry.push_image("team/app", "2", HALF[::-1])
        finally:
            upstream.gate.set()
        assert [each.result() for each in pulls] == [(200, digest)] * 5
    assert upstream.count("GET /v2/team/app/blobs") == 1
    assert registry.has_image("team/app", "2", HALF[::-1])
    # It is full, or less of it is free than must stay so: that depends on the pieces that come.
    told = re.compile(
        "is not cached: The disk (that holds|of) the blob store (is full|has .* free)"
    )
    wait_until(lambda: told.search(small.log), what="the end of the fetch")
    assert "Traceback" not in small.log


def test_a_disk_takes_nothing_new_while_it_is_nearly_full(guarded):
    registry = Registry(f"http://{guarded.registry}", guarded.admin)
    registry.push_image("team/app", "1", KEPT)
    large = secrets.token_bytes(5 * len(KEPT))
    answer = registry.send_blob("team/app", large)
    assert_plain(answer, 507)
    half = secrets.token_bytes(int(2.7 * len(KEPT)))
    assert registry.send_blob("team/app", half).status_code == 201
    for _ in range(3):
        answer = registry.send_blob("team/app", secrets.token_bytes(600_000))
        assert_plain(answer, 507)
    [error] = answer.json()["errors"]
    assert (error["code"], "space" in error["message"]) == ("DENIED", True)
    # Whatever needs no room goes on.
    assert registry.has_image("team/app", "1", KEPT)
    assert registry.request("DELETE", "/v2/team/app/manifests/1").status_code == 202
    assert guarded.log.count("was refused because there is not enough space") == 1
