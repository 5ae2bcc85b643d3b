"""Other servers of Python packages as processes, the real clients, and wheels to publish."""

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.clock import WAIT_S, wait_until
from tests.e2e.clients import Ran, run_program
from tests.live import free_port, is_open
from tests.programs import PYTHON_CLIENTS, PYTHON_INDEXES, python_program

DEBIAN = "/usr/bin/python3"
# Its default takes half a GiB and half a minute before the first request.
CHEAP_ARGON2 = ("--argon2-memory-cost", "8", "--argon2-parallelism", "1", "--argon2-time-cost", "1")


@dataclass
class Index:
    """An index that runs: its address, as pip takes it, and its process."""

    url: str
    process: subprocess.Popen[bytes] = field(repr=False)

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


@contextmanager
def _running(command: Sequence[str], port: int, url: str, directory: Path) -> Iterator[Index]:
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    index = Index(url, process)
    try:
        wait_until(lambda: is_open(port) or process.poll() is not None, what=f"port of {command}")
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield index
    finally:
        index.stop()


@contextmanager
def devpi(directory: Path, packages: Iterable[Path] = ()) -> Iterator[Index]:
    """A devpi-server with packages in an index of its own; it asks nobody else."""
    code = "from devpi_server.{0} import {1}; {1}()"
    data = ("--serverdir", str(directory / "data"))
    init = python_program(PYTHON_INDEXES, "-c", code.format("init", "init"), *data)
    run_program([*init, "--no-root-pypi"])
    port = free_port()
    serve = python_program(PYTHON_INDEXES, "-c", code.format("main", "main"), *data)
    ports = ("--host", "127.0.0.1", "--port", str(port), "--offline-mode", *CHEAP_ARGON2)
    root = f"http://127.0.0.1:{port}"
    with _running([*serve, *ports], port, f"{root}/root/dev/+simple/", directory) as index:
        login = {"user": "root", "password": ""}
        given = requests.post(f"{root}/+login", json=login, timeout=WAIT_S).json()["result"]
        token = base64.b64encode(f"root:{given['password']}".encode()).decode()
        made = requests.put(
            f"{root}/root/dev",
            json={"type": "stage", "bases": [], "acl_upload": [":ANONYMOUS:"]},
            headers={"X-Devpi-Auth": token},
            timeout=WAIT_S,
        )
        assert made.ok, made.text
        for each in packages:
            upload(f"{root}/root/dev/", each)
        yield index


def upload(url: str, package: Path, login: tuple[str, str] | None = None) -> None:
    """Publish a package as twine does, which would take seconds for each."""
    name, version = package.name.removesuffix(".tar.gz").split("-")[:2]
    with package.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    fields = {":action": "file_upload", "name": name, "version": version, "sha256_digest": digest}
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--output", "-"]
    command += ["--user", ":".join(login)] if login else []
    command += [word for key, text in fields.items() for word in ("--form", f"{key}={text}")]
    run_program([*command, "--form", f"content=@{package}", url])


@contextmanager
def pypiserver(directory: Path, packages: Path) -> Iterator[Index]:
    """A pypiserver of the packages in a directory."""
    port = free_port()
    given = ("--port", str(port), "--interface", "127.0.0.1", "--disable-fallback", str(packages))
    command = python_program(PYTHON_INDEXES, "-m", "pypiserver", "run", *given)
    with _running(command, port, f"http://127.0.0.1:{port}/simple/", directory) as index:
        yield index


class PythonClients:
    """The real clients, without settings and caches of anybody else."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        theirs = ("PIP_", "UV_", "POETRY_", "TWINE_", "PYTHON", "VIRTUAL_ENV", "REQUESTS_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(theirs)}
        self.environment = {
            **kept,
            "HOME": str(directory),
            "NO_PROXY": "127.0.0.1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INPUT": "1",
            "PIP_NO_CACHE_DIR": "1",
            "UV_NO_CONFIG": "1",
            "UV_CACHE_DIR": str(directory / "uv-cache"),
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
            "POETRY_VIRTUALENVS_IN_PROJECT": "1",
            "POETRY_CACHE_DIR": str(directory / "poetry-cache"),
            "POETRY_CONFIG_DIR": str(directory / "poetry"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "NO_COLOR": "1",
            "COLUMNS": "1000",
        }

    def run(self, program: str, *words: str, check: bool = True, **environment: str) -> Ran:
        """Run ``pip``, ``uv``, ``twine`` or ``poetry``."""
        command = python_program(PYTHON_CLIENTS, "-m", program, *words)
        return run_program(command, check=check, environment={**self.environment, **environment})

    def debian(self, *words: str, check: bool = True) -> Ran:
        """Run the pip of Debian."""
        command = [DEBIAN, "-m", "pip", *words]
        return run_program(command, check=check, environment=self.environment)

    def project(self, name: str, text: str) -> Path:
        """Return the directory of a new project with this ``pyproject.toml``."""
        path = self.directory / name
        path.mkdir()
        (path / "pyproject.toml").write_text(text, encoding="utf-8")
        return path


def make_wheel(
    directory: Path, name: str, version: str, text: str = "", requires: Iterable[str] = ()
) -> Path:
    """Write a wheel with one module that says ``text``, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    folder = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    content = {
        f"{name}.py": f"text = {text!r}\n",
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{folder}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    lines = [*(f"{each},," for each in content), f"{folder}/RECORD,,"]
    content[f"{folder}/RECORD"] = "\n".join(lines) + "\n"
    path = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, data in content.items():
            archive.writestr(zipfile.ZipInfo(each), data)
    return path
