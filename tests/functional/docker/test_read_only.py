"""Read-only mode, begun and ended by commands beside a running server, as docker sees it."""

import pytest

from tests.clock import wait_until
from tests.functional.docker.driver import Failure, Registry
from tests.functional.docker.images import digest_of, make_image
from tests.functional.docker.wires import Socket
from tests.live import LiveServer

FROZEN = Failure("put manifest", 503, "UNAVAILABLE")
NAME = "team/app"


@pytest.fixture
def registry(server: LiveServer) -> Registry:
    return Registry(Socket(server.connector_port), "", server.admin)


def test_pulls_go_on_and_pushes_are_refused_until_the_release(server, registry):
    pushed, other = make_image(b"one"), make_image(b"two")
    registry.push(NAME, "1", pushed)
    registry.push_blobs(NAME, other)
    server.cli("freeze")
    registry.push(NAME, "2", other, failure=FROZEN)  # From the moment the command has ended.
    refused = registry.put_manifest(NAME, "2", other.manifest)
    assert "read-only mode" in refused.errors[0]["message"]
    assert refused.headers["Retry-After"] == "60"
    assert registry.delete(f"{NAME}/manifests/{digest_of(pushed.manifest)}").status == 503
    assert registry.pull(NAME, "1") == pushed.manifest
    wait_until(lambda: registry.start(NAME).status == 503, what="the refusal of uploads")
    server.restart()
    assert registry.start(NAME).status == 503
    assert registry.tags(NAME) == ["1"]
    server.cli("release")
    wait_until(lambda: registry.start(NAME).status == 202, what="the end of read-only mode")
    registry.push(NAME, "2", other)
    assert registry.tags(NAME) == ["1", "2"]


def test_an_upload_in_progress_waits_and_continues(server, registry):
    data = b"x" * 10_000
    location = registry.begin(NAME)
    assert registry.append(location, data[:4_000]).status == 202
    server.cli("freeze")
    wait_until(lambda: registry.start(NAME).status == 503, what="the refusal of uploads")
    assert registry.append(location, data[4_000:], 4_000).status == 503
    assert registry.finish(location, digest_of(data[:4_000])).status == 503
    server.cli("release")
    wait_until(lambda: registry.start(NAME).status == 202, what="the end of read-only mode")
    assert registry.get(location).headers["Range"] == "0-3999"
    assert registry.append(location, data[4_000:], 4_000).status == 202
    assert registry.finish(location, digest_of(data)).status == 201


def test_commands_are_refused_too_and_say_why(server):
    server.cli("freeze")
    again = server.cli("freeze", check=False)
    assert (again.returncode, "already" in again.stderr) == (1, True)
    for words in (
        ("repo", "create", "docker-hosted", "new"),
        ("role", "create", "new"),
        ("task", "run", "Admin - Compact blob stores"),
        ("option", "set", "anonymous", "enabled=true"),
    ):
        done = server.cli(*words, check=False)
        assert done.returncode == 1
        assert "read-only mode" in done.stderr, words
    server.cli("repo", "list")
    server.cli("release")
    server.cli("repo", "create", "docker-hosted", "new")
    assert server.cli("release", check=False).returncode == 1
