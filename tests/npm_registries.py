"""Verdaccio, a registry of npm packages of others, and publishing as all clients do."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import requests

from tests.clock import wait_until
from tests.live import free_port, is_open

MODULES = Path(sys.executable).parent.parent / "npm" / "node_modules"
ARE_THERE = (MODULES / "verdaccio").exists() and shutil.which("node") is not None
NPM_SCRIPT = "npm11/bin/npm-cli.js"
TIMEOUT_S = 120


class Verdaccio:
    """A registry of others."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(directory)}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        config = {
            "storage": str(directory / "storage"),
            "uplinks": {},
            "packages": {"**": {"access": "$all", "publish": "$all", "unpublish": "$all"}},
            "auth": {"htpasswd": {"file": str(directory / "htpasswd")}},
            "log": {"type": "stdout", "level": "warn"},
        }
        directory.mkdir()
        (directory / "config.yaml").write_text(json.dumps(config))
        script = MODULES / "verdaccio" / "bin" / "verdaccio"
        words = ["node", str(script), "-c", "config.yaml", "-l", f"127.0.0.1:{self.port}"]
        with (directory / "log").open("w") as log:
            self.process = subprocess.Popen(
                words,
                cwd=directory,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: is_open(self.port), what="Verdaccio")

    def publish(self, path: Path) -> None:
        """Store the package of a directory."""
        words = ["node", str(MODULES / NPM_SCRIPT), "pack", "--ignore-scripts"]
        file = subprocess.run(
            [*words, str(path)],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        ).stdout.split()[-1]
        manifest = json.loads((path / "package.json").read_text())
        send(self.url, manifest, (self.directory / file).read_bytes())

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def send(registry: str, manifest: Mapping[str, Any], data: bytes) -> None:
    """Publish as all clients do."""
    name, version = manifest["name"], manifest["version"]
    file = f"{name}-{version}.tgz"
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    dist = {
        "integrity": integrity,
        "shasum": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        "tarball": f"{registry}{name}/-/{file}",
    }
    document = {
        "_id": name,
        "name": name,
        "dist-tags": {"latest": version},
        "versions": {version: {**manifest, "_id": f"{name}@{version}", "dist": dist}},
        "_attachments": {
            file: {
                "content_type": "application/octet-stream",
                "data": base64.b64encode(data).decode(),
                "length": len(data),
            }
        },
    }
    answer = requests.put(registry + name.replace("/", "%2f"), json=document, timeout=TIMEOUT_S)
    assert answer.status_code == 201, answer.text


def publish_large(url: str, login: tuple[str, str], version: str, pieces: Sequence[bytes]) -> None:
    """Publish a version of the package ``large``; neither it nor its document is in memory."""
    state, size = hashlib.sha1(usedforsecurity=False), 0
    for each in _pack(version, pieces):
        state.update(each)
        size += len(each)
    manifest = {"name": "large", "version": version, "dist": {"shasum": state.hexdigest()}}
    text = json.dumps(
        {
            "name": "large",
            "dist-tags": {"latest": version},
            "versions": {version: manifest},
            "_attachments": {f"large-{version}.tgz": {"data": "HERE", "length": size}},
        }
    )
    before, _, after = text.encode().partition(b"HERE")
    parts = chain([before], _encode(_pack(version, pieces)), [after])
    answer = requests.put(url, data=parts, auth=login, timeout=TIMEOUT_S)
    answer.raise_for_status()


def _pack(version: str, pieces: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a package with these pieces, which are not compressed."""
    packer = zlib.compressobj(0, wbits=zlib.MAX_WBITS | 16)
    manifest = json.dumps({"name": "large", "version": version}).encode()
    for path, parts in (("package/data", pieces), ("package/package.json", [manifest])):
        member = tarfile.TarInfo(path)
        member.size = sum(map(len, parts))
        yield packer.compress(member.tobuf())
        for each in parts:
            yield packer.compress(each)
        yield packer.compress(bytes(-member.size % tarfile.BLOCKSIZE))
    yield packer.compress(bytes(2 * tarfile.BLOCKSIZE)) + packer.flush()


def _encode(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield bytes as base64."""
    rest = b""
    for each in parts:
        data = rest + each
        end = len(data) // 3 * 3
        rest = data[end:]
        yield base64.b64encode(data[:end])
    yield base64.b64encode(rest)
