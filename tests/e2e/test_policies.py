"""What docker shows its user where the deployment policy or a quota refuses a push."""

import secrets

import pytest

from tests.e2e.clients import write_layout
from tests.live import free_port, is_open, wait_until

pytestmark = pytest.mark.xdist_group("docker")


@pytest.fixture
def guarded(server, docker):
    """Make a repository with settings and return its connector, with docker logged in to it."""

    def make(name: str, **settings: str) -> str:
        port = free_port()
        options = [
            f"--set={key if '.' in key else f'storage.{key}'}={value}"
            for key, value in settings.items()
        ]
        server.cli(
            "repo", "create", "docker-hosted", name, f"--set=docker.http_port={port}", *options
        )
        wait_until(lambda: is_open(port), what="the connector")
        docker.login(f"127.0.0.1:{port}", *server.admin)
        return f"127.0.0.1:{port}"

    return make


def test_a_tag_that_must_stay_is_refused_with_the_reason(guarded, docker):
    registry = guarded("releases", write_policy="allow_once")
    image = f"{registry}/app:1"
    docker.import_image(image, secrets.token_bytes(100))
    docker.run("push", image)
    docker.run("push", image)  # the same again: a client may have lost the answer
    docker.import_image(image, secrets.token_bytes(100))
    refused = docker.run("push", image, check=False)
    assert refused.status != 0
    assert "app:1 exists in the repository releases" in refused.text
    assert "deployment policy: disable redeploy" in refused.text


def test_latest_may_be_moved_by_setting(guarded, docker):
    registry = guarded("moving", write_policy="allow_once", redeploy_latest="true")
    for _ in range(2):
        docker.import_image(f"{registry}/app:latest", secrets.token_bytes(100))
        docker.run("push", f"{registry}/app:latest")


def test_a_push_to_a_read_only_repository_is_refused_at_once_with_the_reason(guarded, docker):
    registry = guarded("archive", write_policy="deny")
    docker.import_image(f"{registry}/app:1", secrets.token_bytes(100))
    refused = docker.run("push", f"{registry}/app:1", check=False)
    assert refused.status != 0
    assert "The repository archive is read-only" in refused.text
    assert "Retrying" not in refused.text


def test_an_immutable_tag_is_refused_with_its_rule(guarded, docker, server):
    registry = guarded("fixed")
    server.cli("repo", "set", "fixed", '--set=docker.immutable_tags=["v*", "!v*-rc*"]')
    image = f"{registry}/app:v1"
    docker.import_image(image, secrets.token_bytes(100))
    docker.run("push", image)
    docker.run("push", image)  # the same again: a client may have lost the answer
    docker.import_image(image, secrets.token_bytes(100))
    refused = docker.run("push", image, check=False)
    assert refused.status != 0
    assert "denied: app:v1 is immutable in the repository fixed (rule v*)." in refused.text
    assert "Retrying" not in refused.text


def test_a_push_beyond_the_quota_is_refused_with_the_reason(guarded, docker, server):
    registry = guarded("limited", **{"quota.limit": "2000000"})
    image, large = f"{registry}/app:1", f"{registry}/app:large"
    docker.import_image(image, secrets.token_bytes(100_000))
    docker.run("push", image)
    docker.import_image(large, secrets.token_bytes(4_000_000))
    refused = docker.run("push", large, check=False)
    assert refused.status != 0
    assert "denied: The repository limited has used" in refused.text
    assert "of its quota of 1.9 MiB" in refused.text
    assert "Retrying" not in refused.text
    server.cli("repo", "set", "limited", "--set=quota.limit=1")
    wait_until(
        lambda: "The repository limited" in docker.run("push", large, check=False).text,
        what="the lower quota",
    )
    # What is there already can be pushed under another name, and everything can be pulled.
    docker.run("tag", image, f"{registry}/app:2")
    docker.run("push", f"{registry}/app:2")
    docker.run("pull", f"{registry}/app:2")


def test_skopeo_shows_the_reason_too(guarded, skopeo, server, tmp_path):
    registry = guarded("small", **{"quota.limit": "1000"})
    skopeo.login(registry, *server.admin)
    layout = write_layout(tmp_path / "layout", secrets.token_bytes(3_000_000))
    refused = skopeo.copy(layout, f"docker://{registry}/app:1", check=False)
    assert refused.status != 0
    assert "The repository small has used" in refused.text
