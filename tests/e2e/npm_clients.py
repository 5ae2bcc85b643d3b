"""Real clients of npm repositories, and Verdaccio, as ``make programs`` installs them."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.npm_registries import MODULES, NPM_SCRIPT, TIMEOUT_S


@dataclass
class Client:
    """A client in a directory of its own: what it is called with, and how it is set up."""

    script: str
    directory: Path
    install: tuple[str, ...]
    again: tuple[str, ...]
    publishing: tuple[str, ...]
    lock: str
    settings: tuple[str, ...] = ()  # of .npmrc
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def project(self):
        return self.directory / "project"

    def use(self, registry, token=""):
        """Have the client ask a registry."""
        host = registry.partition("://")[2]
        lines = [f"registry={registry}", f"//{host}:_authToken={token}", *self.settings]
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        text = "\n".join(lines if token else lines[:1]) + "\n"
        (home / ".npmrc").write_text(text)
        berry = {
            "npmRegistryServer": registry.rstrip("/"),
            "unsafeHttpWhitelist": ["127.0.0.1"],
            "npmMinimalAgeGate": 0,
            "enableTelemetry": False,
            "enableGlobalCache": False,
            "nodeLinker": "node-modules",
            **({"npmAuthToken": token, "npmAlwaysAuth": True} if token else {}),
        }
        (home / ".yarnrc.yml").write_text(json.dumps(berry))
        self.environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "CI": "",
            "YARN_RC_FILENAME": ".yarnrc.yml",
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_DATA_HOME": str(home / "data"),
            "npm_config_cache": str(home / "npm-cache"),
            "npm_config_update_notifier": "false",
            "YARN_CACHE_FOLDER": str(home / "yarn-cache"),
            "YARN_IGNORE_PATH": "1",
        }
        return self

    def run(self, *words, cwd=None, check=True):
        done = subprocess.run(
            self.command(*words),
            cwd=cwd or self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        said = done.stdout + done.stderr
        assert not check or done.returncode == 0, f"{words}: {said}"
        assert check or done.returncode != 0, f"{words} did not fail: {said}"
        return said

    def command(self, *words):
        script = str(MODULES / self.script)
        return ["node", script, *words]

    def begin(self, **dependencies):
        """Make a project with these dependencies."""
        shutil.rmtree(self.project, ignore_errors=True)
        self.project.mkdir(parents=True)
        about = {"name": "project", "version": "1.0.0", "private": True}
        text = json.dumps({**about, "dependencies": dependencies})
        (self.project / "package.json").write_text(text)
        if self.lock == "yarn.lock":
            (self.project / "yarn.lock").touch()  # or yarn 4 looks for a project above

    def forget(self):
        """Drop what is installed, and all caches; the lock file stays."""
        shutil.rmtree(self.project / "node_modules")
        for each in ("cache", "data", "npm-cache", "yarn-cache", ".yarn", ".local", ".cache"):
            shutil.rmtree(self.directory / "home" / each, ignore_errors=True)
        shutil.rmtree(self.project / ".yarn", ignore_errors=True)

    def publish(self, name, version):
        """Publish a package."""
        path = self.package(name, version)
        if self.lock == "yarn.lock":
            self.run("install", cwd=path)  # without which yarn 4 publishes nothing
        self.run(*self.publishing, cwd=path)

    def version(self, package):
        """The version that is installed of a package."""
        found = self.project / "node_modules" / package / "package.json"
        return json.loads(found.read_text())["version"]

    def package(self, name, version, folder="package"):
        """Make a package that can be published; return its directory."""
        path = self.directory / folder
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        (path / "package.json").write_text(json.dumps({"name": name, "version": version}))
        (path / "index.js").write_text(f"module.exports = {version!r}")
        (path / "yarn.lock").touch()
        return path


NPM = {
    "install": ("install", "--no-fund"),
    "again": ("ci", "--no-fund"),
    "publishing": ("publish",),
    "lock": "package-lock.json",
}
CLIENTS = {
    "npm 11": {"script": NPM_SCRIPT, **NPM},
    "npm 10": {"script": "npm10/bin/npm-cli.js", **NPM},
    "yarn 1": {
        "script": "yarn1/bin/yarn.js",
        "settings": ("always-auth=true",),
        "install": ("install",),
        "again": ("install", "--frozen-lockfile"),
        "publishing": ("publish", "--non-interactive", "--no-git-tag-version"),
        "lock": "yarn.lock",
    },
    "yarn 4": {
        "script": "@yarnpkg/cli-dist/bin/yarn.js",
        "install": ("install", "--no-immutable"),
        "again": ("install", "--immutable"),
        "publishing": ("npm", "publish"),
        "lock": "yarn.lock",
    },
    "pnpm": {
        "script": "pnpm/bin/pnpm.mjs",
        "install": ("install", "--no-frozen-lockfile"),
        "again": ("install", "--frozen-lockfile"),
        "publishing": ("publish", "--no-git-checks"),
        "lock": "pnpm-lock.yaml",
        "settings": ("minimum-release-age=0",),
    },
}
