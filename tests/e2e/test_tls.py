"""HTTPS connectors with the certificates of the command line, and the real clients on them."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.clock import WAIT_S
from tests.e2e.clients import write_layout
from tests.live import LiveServer, free_port, is_open, wait_until

CERTS = Path("/etc/docker/certs.d")  # where the docker daemon looks, and nowhere else


@pytest.fixture
def port(server: LiveServer) -> int:
    """An HTTPS connector of docker-hosted, with a certificate made on the command line."""
    port = free_port()
    server.cli("cert", "create", "127.0.0.1", "localhost")
    server.cli("repo", "set", "docker-hosted", "--set", f"docker.https_port={port}")
    wait_until(lambda: is_open(port), what="the HTTPS connector")
    return port


@pytest.fixture
def trusted(server: LiveServer, port: int) -> Iterator[Path]:
    """The directory that makes docker and skopeo trust the connector."""
    directory = CERTS / f"127.0.0.1:{port}"
    directory.mkdir(parents=True)
    shutil.copy(server.data / "tls" / "ca.crt", directory)
    yield directory
    shutil.rmtree(directory)


def fingerprint(port: int) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))


@pytest.mark.xdist_group("docker")
def test_docker_logs_in_pushes_and_pulls_over_tls(server, port, trusted, docker):
    image = f"127.0.0.1:{port}/team/app:1"
    docker.login(f"127.0.0.1:{port}", *server.admin)
    docker.import_image(image, b"over TLS")
    docker.run("push", image)
    docker.run("rmi", image)
    docker.run("pull", image)
    assert docker.has_image(image)


def test_skopeo_checks_the_certificate(server, port, trusted, skopeo):
    skopeo.login(f"127.0.0.1:{port}", *server.admin)
    ran = skopeo.run(
        "inspect", "--cert-dir", str(trusted), f"docker://127.0.0.1:{port}/no:1", check=False
    )
    assert "manifest unknown" in ran.text


def test_skopeo_pushes_and_pulls_over_tls(server, port, trusted, skopeo, tmp_path):
    image = f"docker://127.0.0.1:{port}/team/copied:1"
    credentials = ":".join(server.admin)
    source = write_layout(tmp_path / "layout", b"l" * 3_000_000)
    certs = str(trusted)
    skopeo.run("copy", "--dest-cert-dir", certs, "--dest-creds", credentials, source, image)
    skopeo.run(
        "copy", "--src-cert-dir", certs, "--src-creds", credentials, image, f"oci:{tmp_path}/out:1"
    )
    sent = {path.name for path in (tmp_path / "layout/blobs/sha256").iterdir()}
    assert {path.name for path in (tmp_path / "out/blobs/sha256").iterdir()} == sent


def test_http_and_https_of_one_repository_are_open_side_by_side(server, port):
    ca = str(server.data / "tls" / "ca.crt")
    plain = requests.get(f"http://{server.registry}/v2/", auth=server.admin, timeout=WAIT_S)
    secure = requests.get(
        f"https://127.0.0.1:{port}/v2/", auth=server.admin, timeout=WAIT_S, verify=ca
    )
    assert (plain.status_code, secure.status_code) == (200, 200)


def test_a_renewed_certificate_is_taken_over_while_a_connection_stays(server, port):
    context = ssl.create_default_context(cafile=str(server.data / "tls" / "ca.crt"))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        old = fingerprint(port)
        made = server.cli("cert", "create", "127.0.0.1", "localhost", "renewed.example.com").stdout
        wait_until(lambda: fingerprint(port) != old, what="the renewed certificate")
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 401")
    assert f"Clients have to trust {server.data / 'tls' / 'ca.crt'}" in made
    assert "Docker: /etc/docker/certs.d/HOST:PORT/ca.crt" in made
    shown = server.cli("cert", "show").stdout
    assert "renewed.example.com" in shown


def test_without_a_certificate_the_log_says_how_to_make_one(server):
    port = free_port()
    change = ("repo", "set", "docker-hosted", "--set", f"docker.https_port={port}")
    done = server.cli(*change, check=False)
    assert (done.returncode, "repoman cert create" in done.stderr) == (1, True)
    wait_until(lambda: "repoman cert create" in server.log, what="the hint in the log")
    assert not is_open(port)
    server.cli("cert", "create", "127.0.0.1")
    wait_until(lambda: is_open(port), what="the HTTPS connector")


def test_the_main_port_speaks_tls_too(tmp_path):
    https = free_port()
    server = LiveServer(tmp_path / "server", settings={"server": {"https_port": https}})
    server.cli("cert", "create", "127.0.0.1")
    try:
        server.start()
        ca = str(server.data / "tls" / "ca.crt")
        answer = requests.get(f"https://127.0.0.1:{https}/", timeout=WAIT_S, verify=ca)
        assert answer.status_code == 200
        path = "/repository/docker-hosted/v2/"
        answer = requests.get(f"https://127.0.0.1:{https}{path}", timeout=WAIT_S, verify=ca)
        assert answer.status_code == 401
    finally:
        server.end()


def test_a_host_name_has_a_certificate_of_its_own(tmp_path):
    https = free_port()
    server = LiveServer(
        tmp_path / "server",
        settings={
            "server": {"https_port": https},
            'tls.hosts."other.example.com"': {
                "certificate": "other/tls/server.crt",
                "private_key": "other/tls/server.key",
            },
        },
    )
    server.cli("cert", "create", "127.0.0.1")
    other = [str(server.program), "cert", "create", "other.example.com"]
    subprocess.run([*other, "--data", str(server.data / "other")], check=True, timeout=WAIT_S)
    try:
        server.start()
        context = ssl.create_default_context(cafile=str(server.data / "other" / "tls" / "ca.crt"))
        with (
            socket.create_connection(("127.0.0.1", https), timeout=WAIT_S) as plain,
            context.wrap_socket(plain, server_hostname="other.example.com") as connection,
        ):
            names = connection.getpeercert()["subjectAltName"]
            assert ("DNS", "other.example.com") in names
    finally:
        server.end()
