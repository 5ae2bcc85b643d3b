"""The servers that are compared, each on loopback with data of its own."""

import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import cpu_seconds, running
from tests.clock import wait_until
from tests.live import LiveServer, free_port, is_open
from tests.programs import find_program

USER, PASSWORD = "bench", "benchmark"
# The password under bcrypt with the cost that htpasswd(1) chooses by itself, 5.
HTPASSWD = f"{USER}:$2b$05$/OUHbElFuEn./UnLBh6fCe7XVuLBDiRgf6OrqlnDsCFgb5ZL4Pn.O\n"


@dataclass(frozen=True)
class Peer:
    """A server that runs.

    Attributes:
        login: the header that logs in, or nothing.
        data: directory of what it stores, or of what it serves.
        blobs: what the address of a blob begins with; the digest follows.
    """

    name: str
    port: int
    pid: int
    data: Path
    login: tuple[str, ...] = ()
    blobs: str = "/v2/bench/layers/blobs/"

    def cpu(self) -> float:
        """Return the processor time used so far, in seconds."""
        return cpu_seconds(self.pid)

    def files(self, digest: str) -> list[Path]:
        """Return the files of a blob: its bytes, and what names it."""
        found = list(self.data.rglob(digest.removeprefix("sha256:")))
        return [file for path in found for file in ([path] if path.is_file() else path.iterdir())]

    def drop(self, digest: str) -> None:
        """Remove the bytes of a blob, so that many pushes need the room of one."""
        for file in self.files(digest):
            file.unlink()


def basic(user: str, password: str) -> tuple[str]:
    """Return the header of a Basic login."""
    return ("Authorization: Basic " + b64encode(f"{user}:{password}".encode()).decode(),)


@dataclass(frozen=True)
class Ours:
    """This server, as it comes but for anonymous reading: its plain port and the one with TLS."""

    plain: Peer
    secure: Peer
    admin: tuple[str, str]  # user and password
    server: LiveServer
    tls: Path  # directory of the certificate


@contextmanager
def repoman(directory: Path) -> Iterator[Ours]:
    """Run this server."""
    server = LiveServer(directory)
    server.environment["REPOMAN_SECURITY__ANONYMOUS_READ"] = "true"
    server.cli("cert", "create", "127.0.0.1")
    try:
        server.start()
        port = free_port()
        server.cli("repo", "set", "docker-hosted", "--set", f"docker.https_port={port}")
        wait_until(lambda: is_open(port), what="the HTTPS connector")
        pid, login = server.process.pid, basic(*server.admin)
        yield Ours(
            Peer("repoman", server.connector_port, pid, server.data, login),
            Peer("repoman", port, pid, server.data, login),
            server.admin,
            server,
            server.data / "tls",
        )
        server.stop()
    finally:
        server.end()


@contextmanager
def docker_registry(directory: Path, data: Path, more: str = "") -> Iterator[Peer]:
    """Run Debian's docker-registry with its own settings for storage, and without any log."""
    directory.mkdir()
    port = free_port()
    config = directory / "config.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        "storage:\n"
        "  cache: {blobdescriptor: inmemory}\n"
        f"  filesystem: {{rootdirectory: {data}}}\n"
        f"http:\n  addr: 127.0.0.1:{port}\n" + more
    )
    with running("docker-registry", ["serve", str(config)], port, directory) as pid:
        yield Peer("docker-registry", port, pid, data)


def with_tls(tls: Path) -> str:
    """Return docker-registry's settings for TLS."""
    return f"  tls: {{certificate: {tls / 'server.crt'}, key: {tls / 'server.key'}}}\n"


def with_passwords(directory: Path) -> str:
    """Return docker-registry's settings for Basic logins."""
    file = directory / "htpasswd"
    file.write_text(HTPASSWD)
    return f"auth:\n  htpasswd: {{realm: bench, path: {file}}}\n"


@contextmanager
def nginx(directory: Path, content: Path, tls: Path) -> Iterator[tuple[Peer, Peer]]:
    """Run nginx, plain and with TLS, to serve the files of a directory with sendfile."""
    directory.mkdir()
    plain, secure = free_port(), free_port()
    paths = "".join(
        f"{name}_temp_path {directory}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = directory / "nginx.conf"
    config.write_text(
        f"user root;\ndaemon off;\nmaster_process off;\npid {directory}/pid;\n"
        f"error_log {directory}/error.log;\nevents {{ worker_connections 4096; }}\n"
        f"http {{\n{paths}access_log off;\nsendfile on;\ntcp_nopush on;\nserver {{\n"
        f"listen 127.0.0.1:{plain};\nlisten 127.0.0.1:{secure} ssl;\nroot {content};\n"
        f"ssl_certificate {tls}/server.crt;\nssl_certificate_key {tls}/server.key;\n"
        "ssl_protocols TLSv1.2 TLSv1.3;\n}\n}\n"
    )
    with running("nginx", ["-p", str(directory), "-c", str(config)], plain, directory) as pid:
        yield (
            Peer("nginx", plain, pid, content, blobs="/"),
            Peer("nginx", secure, pid, content, blobs="/"),
        )


def versions() -> dict[str, str]:
    """Return the versions of the programs that are not ours."""
    found = {}
    for name, option in (("docker-registry", "--version"), ("nginx", "-v"), ("wrk", "-v")):
        ran = subprocess.run(
            [find_program(name), option], check=False, capture_output=True, text=True
        )
        words = (ran.stdout + ran.stderr).splitlines()[0].replace("/", " ").split()
        found[name] = next(word for word in words if word[0].isdigit() and "." in word)
    return found
