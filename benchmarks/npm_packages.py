"""Repositories of npm packages against Verdaccio, which is also the remote of the proxy."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.lab import Lab
from benchmarks.measure import MIB, REQUESTS, LeftOut, Rival, Row, Sample, Scale, compare
from benchmarks.programs import cpu_seconds, forget_peak, peak_memory
from benchmarks.wrk import load
from tests.live import LiveServer, live_server
from tests.npm_registries import ARE_THERE, Verdaccio, publish_large
from tests.npm_registries import send as publish

# What npm sends when it installs.
PACKUMENT = ("Accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*",)
PACKED = (*PACKUMENT, "Accept-Encoding: gzip")
VERSIONS = 100  # of the package whose packument has 1 MB
DEPENDENCIES = 270  # of each of them
TARBALLS = {"small": 30_000, "large": 300_000}  # bytes; one is larger than what memory keeps
LARGE_MIB = 200
BAR = 3.0


@dataclass(frozen=True)
class Served:
    """A registry, and the process that serves it."""

    url: str
    pid: int

    def ask(self, scale: Scale, path: str, headers: tuple[str, ...]) -> Sample:
        """Ask for a path over and over; gives what REQUESTS shows."""
        before = cpu_seconds(self.pid)
        done = load(f"{self.url}{path}", scale.seconds, headers)
        cpu = (cpu_seconds(self.pid) - before) * 1e6 / (done.rate * scale.seconds)
        return done.rate, done.median, done.worst, cpu


def npm_packages(lab: Lab) -> list[Row]:
    """A packument and tarballs through a warm proxy; a large package."""
    with tempfile.TemporaryDirectory(dir=lab.layer.directory) as directory:
        return measure(lab.scale, Path(directory))


def measure(scale: Scale, directory: Path) -> list[Row]:
    """Return the rows, with data in a directory."""
    if not ARE_THERE:
        raise LeftOut("Verdaccio is missing. Get it with:  make programs")
    with ExitStack() as stack:
        theirs = stack.enter_context(_verdaccio(directory / "verdaccio"))
        server = stack.enter_context(live_server(directory / "repoman"))
        proxy = _create(server, "npm-proxy", "mirror", f"proxy.remote_url={theirs.url}")
        return [*_requests(scale, proxy, theirs), _large(server)]


def _requests(scale: Scale, ours: Served, theirs: Served) -> Iterator[Row]:
    """What clients ask for, at both."""
    asked = [
        ("Packument of 1 MB", "many", PACKUMENT),
        ("Packument of 1 MB, compressed", "many", PACKED),
        *(
            (f"Tarball of {size // 1000} kB", f"{name}/-/{name}-1.0.0.tgz", ())
            for name, size in TARBALLS.items()
        ),
    ]
    for what, path, headers in asked:
        mine, others = (partial(each.ask, scale, path, headers) for each in (ours, theirs))
        yield from compare(
            f"{what}, proxy, warm", REQUESTS, scale, mine, Rival("Verdaccio", others, BAR)
        )


def _create(server: LiveServer, recipe: str, name: str, *settings: str) -> Served:
    given = (each for text in (*settings, "access.anonymous=true") for each in ("--set", text))
    server.cli("repo", "create", recipe, name, *given)
    return Served(f"{server.main_url}/repository/{name}/", server.process.pid)


@contextmanager
def _verdaccio(directory: Path) -> Iterator[Served]:
    """Run a Verdaccio that has the packages."""
    server = Verdaccio(directory)
    try:
        dice = Random(1)
        for name, size in TARBALLS.items():
            publish(server.url, {"name": name, "version": "1.0.0"}, dice.randbytes(size))
        for number in range(VERSIONS):
            publish(server.url, _manifest(f"1.{number}.0"), b"a tarball")
        yield Served(server.url, server.process.pid)
    finally:
        server.end()


def _manifest(version: str) -> dict[str, Any]:
    needed = {f"a-dependency-{number:03}": "^1.0.0" for number in range(DEPENDENCIES)}
    return {"name": "many", "version": version, "dependencies": needed}


def _large(server: LiveServer) -> Row:
    """The memory that the publishing of a large package takes."""
    url = f"{_create(server, 'npm-hosted', 'large').url}large"
    publish_large(url, server.admin, "1.0.0", [bytes(MIB)] * 3)
    pid = server.process.pid
    forget_peak(pid)
    before = peak_memory(pid)
    publish_large(url, server.admin, "2.0.0", [bytes(MIB)] * LARGE_MIB)
    grown = (peak_memory(pid) - before) / MIB
    what = f"Memory for the publishing of {LARGE_MIB} MiB by npm"
    return Row(what, "", f"{grown:.1f} MiB", "", grown, "MiB", most=16)
