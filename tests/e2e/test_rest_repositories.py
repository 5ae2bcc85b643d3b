"""Repositories made over REST: their connectors are open when the answer comes."""

import secrets

import pytest
import requests

from tests.live import free_port, is_open

STORAGE = {"blobStoreName": "default", "strictContentTypeValidation": True}


def rest(server, method, path, body=None):
    answer = requests.request(
        method,
        f"{server.main_url}/service/rest/v1/repositories{path}",
        json=body,
        auth=server.admin,
        timeout=30,
    )
    answer.raise_for_status()
    return answer


def settings(port):
    return {
        "name": "team",
        "online": True,
        "storage": {**STORAGE, "writePolicy": "ALLOW"},
        "docker": {"v1Enabled": False, "forceBasicAuth": True, "httpPort": port},
    }


@pytest.mark.xdist_group("docker")
def test_docker_pushes_to_a_repository_made_over_rest(server, docker):
    port, other = free_port(), free_port()
    assert rest(server, "POST", "/docker/hosted", settings(port)).status_code == 201
    image = f"127.0.0.1:{port}/app:1"
    docker.login(f"127.0.0.1:{port}", *server.admin)
    docker.import_image(image, secrets.token_bytes(1000))
    docker.run("push", image)
    docker.run("rmi", image)
    docker.run("pull", image)
    rest(server, "PUT", "/docker/hosted/team", settings(other))
    assert is_open(other)
    assert not is_open(port)
    server.restart()
    assert is_open(other)
    told = rest(server, "GET", "/docker/hosted/team").json()
    assert told["docker"]["httpPort"] == other
    rest(server, "DELETE", "/team")
    assert not is_open(other)
