"""The real clients: the docker command line with its daemon, skopeo and podman."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clock import LONG_S, WAIT_S, wait_until
from tests.programs import SYSTEM_PATH, find_program

OCI = "application/vnd.oci.image"


@dataclass(frozen=True)
class Ran:
    """A client's command that has ended."""

    command: str
    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def text(self) -> str:
        """All that it said."""
        return self.stdout + self.stderr


def run_program(
    command: list[str],
    *,
    check: bool = True,
    given: bytes | None = None,
    environment: dict[str, str] | None = None,
) -> Ran:
    """Run a client to its end; it must succeed if ``check``."""
    begin = time.monotonic()
    done = subprocess.run(
        command, check=False, capture_output=True, input=given, timeout=LONG_S, env=environment
    )
    ran = Ran(
        " ".join(command),
        done.returncode,
        done.stdout.decode(),
        done.stderr.decode(),
        time.monotonic() - begin,
    )
    if check and ran.status:
        raise AssertionError(f"{ran.command}\nended with {ran.status}:\n{ran.text}")
    return ran


# A command that takes so many seconds on a busy machine too waits for something.
PROMPT_S = 5.0


def quickest(command: Callable[[], Ran], enough: float = PROMPT_S, attempts: int = 3) -> float:
    """Run a command until it takes less than ``enough`` seconds, some times at most.

    Returns the seconds of the fastest: whatever else the machine does only makes it slower.
    """
    seconds = command().seconds
    for _ in range(attempts - 1):
        if seconds < enough:
            break
        seconds = min(seconds, command().seconds)
    return seconds


def tar_of(files: dict[str, bytes]) -> bytes:
    """A tar archive, which ``docker import`` makes a one-layer image of."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def write_layout(directory: Path, payload: bytes, architecture: str = "amd64") -> str:
    """Write a one-layer image as an OCI layout, and return its name for skopeo."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(content: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    archive = tar_of({"payload": payload})
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(archive).hexdigest()}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": add(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
        "layers": [add(gzip.compress(archive), f"{OCI}.layer.v1.tar+gzip")],
    }
    entry = add(json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (directory / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    return f"oci:{directory}:1"


class Docker:
    """The docker command with logins of its own.

    Args:
        host: URL of the daemon's socket, None for the machine's own daemon.
        config: directory of the logins.
    """

    def __init__(self, host: str | None, config: Path) -> None:
        self.environment = {**os.environ, "DOCKER_CONFIG": str(config)}
        if host is not None:
            self.environment["DOCKER_HOST"] = host
        self._program = find_program("docker")
        self._images: set[str] = set()

    def run(self, *words: str, check: bool = True, given: bytes | None = None) -> Ran:
        """Run ``docker <words>``."""
        return run_program(
            [self._program, *words], check=check, given=given, environment=self.environment
        )

    def login(self, registry: str, user: str, password: str, *, check: bool = True) -> Ran:
        """Log in to a registry."""
        words = ("login", registry, "--username", user, "--password-stdin")
        return self.run(*words, check=check, given=password.encode())

    def import_image(self, tag: str, payload: bytes = b"hello") -> str:
        """Make an image whose one layer holds one file, and return the image's id."""
        self._images.add(tag)
        return self.run("import", "-", tag, given=tar_of({"payload": payload})).stdout.strip()

    def has_image(self, tag: str) -> bool:
        """Whether the daemon has an image of this name."""
        return self.run("image", "inspect", tag, check=False).status == 0

    def forget_images(self) -> None:
        """Remove the images that this test made."""
        if self._images:
            self.run("rmi", "--force", *self._images, check=False)


class Skopeo:
    """The skopeo command with logins of its own; it accepts plain HTTP."""

    def __init__(self, directory: Path) -> None:
        self._authfile = directory / "auth.json"
        self._authfile.write_text("{}", encoding="utf-8")
        self._program = find_program("skopeo")

    def run(self, *words: str, check: bool = True, given: bytes | None = None) -> Ran:
        """Run ``skopeo <words>``."""
        command = [self._program, "--insecure-policy", *words]
        environment = {**os.environ, "REGISTRY_AUTH_FILE": str(self._authfile)}
        return run_program(command, check=check, given=given, environment=environment)

    def login(self, registry: str, user: str, password: str, *, check: bool = True) -> Ran:
        """Log in to a registry."""
        words = ("login", "--tls-verify=false", "--username", user, "--password-stdin", registry)
        return self.run(*words, check=check, given=password.encode())

    def copy(self, source: str, target: str, *options: str, check: bool = True) -> Ran:
        """Copy an image between places, each of which may be a registry."""
        plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
        return self.run("copy", *plain, *options, source, target, check=check)

    def inspect(self, image: str, *options: str, check: bool = True) -> Ran:
        """Show an image of a registry."""
        return self.run("inspect", "--tls-verify=false", *options, f"docker://{image}", check=check)

    def tags(self, repository: str) -> list[str]:
        """The tags of an image name of a registry."""
        ran = self.run("list-tags", "--tls-verify=false", f"docker://{repository}")
        tags: list[str] = json.loads(ran.stdout)["Tags"]
        return tags

    def delete(self, image: str, *, check: bool = True) -> Ran:
        """Remove an image from a registry."""
        return self.run("delete", "--tls-verify=false", f"docker://{image}", check=check)


class Podman:
    """The podman command with logins and a storage of its own; it accepts plain HTTP.

    The path of its directory must be short: 50 characters at most.
    """

    def __init__(self, directory: Path) -> None:
        self._program = find_program("podman")
        self._storage = [
            *("--root", f"{directory}/root", "--runroot", f"{directory}/run"),
            *("--storage-driver", "vfs", "--events-backend", "none"),
        ]
        authfile = directory / "auth.json"
        authfile.write_text("{}", encoding="utf-8")
        self._environment = {**os.environ, "REGISTRY_AUTH_FILE": str(authfile)}

    def run(self, *words: str, check: bool = True, given: bytes | None = None) -> Ran:
        """Run ``podman <words>``."""
        command = [self._program, *self._storage, *words]
        return run_program(command, check=check, given=given, environment=self._environment)

    def login(self, registry: str, user: str, password: str) -> Ran:
        """Log in to a registry."""
        words = ("login", "--tls-verify=false", "--username", user, "--password-stdin", registry)
        return self.run(*words, given=password.encode())

    def search(self, port: int, term: str, *options: str) -> list[dict[str, Any]]:
        """Return what a search finds at a port of this machine."""
        words = ("--tls-verify=false", "--format", "json", *options, f"127.0.0.1:{port}/{term}")
        found: list[dict[str, Any]] = json.loads(self.run("search", *words).stdout)
        return found


def machine_has_daemon() -> bool:
    """Whether a docker daemon runs here that we may use."""
    words = [find_program("docker"), "version", "--format", "{{.Server.Version}}"]
    return run_program(words, check=False).status == 0


@contextmanager
def own_daemon(*options: str) -> Iterator[str]:
    """A docker daemon that needs no network and no storage driver of the kernel.

    Takes further options of ``dockerd``. Yields the URL of its socket. It runs as root only, and
    dies with the tests.
    """
    program, lifeline = find_program("dockerd"), find_program("setpriv")
    if os.geteuid() != 0:
        raise AssertionError("No docker daemon runs that we may use, and only root can start one.")
    directory = Path(tempfile.mkdtemp(prefix="dockerd-"))  # short: a socket's path has 108 bytes
    host = f"unix://{directory}/docker.sock"
    command = [
        *(lifeline, "--pdeathsig", "TERM", program, "--host", host),
        *("--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec"),
        *("--pidfile", f"{directory}/pid", "--storage-driver=vfs"),
        *("--iptables=false", "--ip6tables=false", "--bridge=none", *options),
    ]
    environment = {**os.environ, "PATH": SYSTEM_PATH}
    log = directory / "log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        _wait_for_daemon(daemon, host, log)
        yield host
    finally:
        daemon.terminate()
        daemon.wait(WAIT_S)
        shutil.rmtree(directory, ignore_errors=True)


def _wait_for_daemon(daemon: subprocess.Popen[bytes], host: str, log: Path) -> None:
    question = [find_program("docker"), "--host", host, "version"]

    def answers() -> bool:
        assert daemon.poll() is None, f"dockerd ended:\n{log.read_text(encoding='utf-8')}"
        return run_program(question, check=False).status == 0

    wait_until(answers, what="an answer of dockerd")
