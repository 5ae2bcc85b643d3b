"""Verdaccio, a registry of npm packages of others, and publishing as all clients do."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
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
