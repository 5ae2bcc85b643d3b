"""Repositories of Python packages against devpi-server and pypiserver, with the same packages."""

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import urljoin

import requests

from benchmarks.lab import Lab
from benchmarks.measure import MIB, REQUESTS, LeftOut, Rival, Row, Sample, Scale, compare
from benchmarks.programs import cpu_seconds, forget_peak, peak_memory
from benchmarks.wrk import load
from repoman.db.database import FILE
from tests.live import LiveServer, live_server
from tests.programs import MISSING, PYTHON_CLIENTS, PYTHON_INDEXES, PYTHON_PACKAGES
from tests.programs import python_packages as packages
from tests.python_indexes import PythonClients, devpi, pypiserver, upload

JSON = "application/vnd.pypi.simple.v1+json"
PROJECT = "werkzeug"  # A page with few links, as most are, and a wheel of 200 kB.
INSTALLED = 20  # packages
# What pip does by itself is not compared: it would compile for longer than it transfers.
PLAIN = ("--no-deps", "--no-compile")
SECONDS = "{1:.2f} s, {2:.2f} s of CPU"
LARGE_BYTES = 256 << 20
MANY = 100_000  # packages
COLD, WARM = 1 / 1.15, 1 / 0.7  # of the speed without a proxy

_numbers = count(1)


@dataclass(frozen=True)
class Served:
    """A simple index, and the process that serves it."""

    url: str
    pid: int

    def ask(self, scale: Scale, address: str) -> Sample:
        """Ask for an address over and over; gives what REQUESTS shows."""
        before = cpu_seconds(self.pid)
        done = load(address, scale.seconds, (f"Accept: {JSON}, text/html;q=0.1",))
        cpu = (cpu_seconds(self.pid) - before) * 1e6 / (done.rate * scale.seconds)
        return done.rate, done.median, done.worst, cpu

    @property
    def page(self) -> str:
        """The address of the page of a project."""
        return f"{self.url}{PROJECT}/"

    @property
    def wheel(self) -> str:
        """The address of its only file."""
        answer = requests.get(self.page, headers={"Accept": JSON}, timeout=60)
        if "json" in answer.headers["Content-Type"]:
            link = answer.json()["files"][0]["url"]
        else:
            link = answer.text.partition('href="')[2].partition('"')[0].partition("#")[0]
        return urljoin(self.page, str(link))


def python_packages(lab: Lab) -> list[Row]:
    """Pages and wheels, hosted and by a proxy; installations; many packages; a large one."""
    with tempfile.TemporaryDirectory(dir=lab.layer.directory) as directory:
        return measure(lab.scale, Path(directory))


def measure(scale: Scale, directory: Path) -> list[Row]:
    """Return the rows, with data in a directory."""
    _check_programs()
    found = packages()
    with ExitStack() as stack:
        theirs = stack.enter_context(devpi(directory / "devpi", found))
        old = stack.enter_context(pypiserver(directory / "pypiserver", found[0].parent))
        server = stack.enter_context(live_server(directory / "repoman"))
        _create(server, "hosted", "wheels")
        for each in found:
            upload(f"{server.main_url}/repository/wheels/", each, login=server.admin)
        peers = Served(theirs.url, theirs.process.pid), Served(old.url, old.process.pid)
        return [
            *_requests(scale, server, *peers),
            *_installations(scale, server, peers[0], directory / "clients"),
            *_many(server),
            _large(server, directory),
        ]


def _check_programs() -> None:
    for each in (PYTHON_INDEXES, PYTHON_CLIENTS, PYTHON_PACKAGES):
        if not (each / "complete").exists():
            raise LeftOut(MISSING.format(each.name))


def _create(server: LiveServer, kind: str, name: str, *settings: str) -> Served:
    given = (each for text in (*settings, "access.anonymous=true") for each in ("--set", text))
    server.cli("repo", "create", f"pypi-{kind}", name, *given)
    return _ours(server, name)


def _ours(server: LiveServer, name: str) -> Served:
    return Served(f"{server.main_url}/repository/{name}/simple/", server.process.pid)


def _proxy(server: LiveServer, upstream: Served) -> Served:
    remote = upstream.url.removesuffix("+simple/")
    settings = (f"proxy.remote_url={remote}", "pypi.index_path=+simple/")
    return _create(server, "proxy", f"proxy-{next(_numbers)}", *settings)


def _requests(scale: Scale, server: LiveServer, theirs: Served, old: Served) -> Iterator[Row]:
    hosted, proxy = _ours(server, "wheels"), _proxy(server, theirs)
    for what in ("page", "wheel"):
        mine, kept = (partial(each.ask, scale, getattr(each, what)) for each in (hosted, proxy))
        devpis, olds = (partial(each.ask, scale, getattr(each, what)) for each in (theirs, old))
        name = "Page of a project" if what == "page" else "Wheel of 200 kB"
        yield from compare(
            f"{name}, proxy, warm", REQUESTS, scale, kept, Rival("devpi-server", devpis, 3)
        )
        yield from compare(f"{name}, hosted", REQUESTS, scale, mine, Rival("pypiserver", olds, 1.5))


def _installations(
    scale: Scale, server: LiveServer, upstream: Served, directory: Path
) -> Iterator[Row]:
    clients = PythonClients(directory)
    names = [each.name.split("-")[0] for each in packages()][:INSTALLED]

    def install(index: Served) -> Sample:
        to = tempfile.mkdtemp(dir=directory)
        begin, before = time.monotonic(), cpu_seconds(index.pid)
        clients.run("pip", "install", *PLAIN, "--target", to, "-i", index.url, *names)
        seconds = time.monotonic() - begin
        return 1 / seconds, seconds, cpu_seconds(index.pid) - before

    direct, warm = partial(install, upstream), _proxy(server, upstream)
    what = f"pip install of {INSTALLED} packages through a proxy"
    rival = Rival("devpi-server, without the proxy", direct)
    yield from compare(
        f"{what}, cold",
        SECONDS,
        scale,
        lambda: install(_proxy(server, upstream)),
        replace(rival, least=COLD),
    )
    kept = partial(install, warm)
    yield from compare(f"{what}, warm", SECONDS, scale, kept, replace(rival, least=WARM))


def _many(server: LiveServer) -> Iterator[Row]:
    """The page of all projects of a repository that has very many."""
    index = _create(server, "hosted", "many")
    server.stop()
    fill(server, "many", MANY)
    server.start()
    index = replace(index, pid=server.process.pid)
    for what, bar in (("first time", 2.0), ("again", 0.2)):
        before, begin = cpu_seconds(index.pid), time.monotonic()
        answer = requests.get(index.url, headers={"Accept": JSON}, timeout=60)
        seconds, cpu = time.monotonic() - begin, cpu_seconds(index.pid) - before
        assert len(answer.json()["projects"]) == MANY
        told = f"{seconds:.2f} s, {cpu:.2f} s of CPU"
        yield Row(f"Index of {MANY:,} packages, {what}", "", told, "", cpu, "s of CPU", most=bar)


def fill(server: LiveServer, repository: str, size: int) -> None:
    """Write rows of packages into the database of a server that has stopped."""
    with closing(sqlite3.connect(server.data / FILE)) as database, database:
        [(number,)] = database.execute("SELECT id FROM repository WHERE name = ?", (repository,))
        rows = ((number, f"package-{each:06}") for each in range(size))
        database.executemany(_COMPONENT, rows)


_COMPONENT = (
    "INSERT INTO component (repository_id, kind, namespace, name, version, description, "
    "version_key, is_prerelease, size, created_at, updated_at, downloaded_at) "
    "VALUES (?, 'file', '', ?, '1.0', '', '', 0, 0, 0, 0, 0)"
)


def _large(server: LiveServer, directory: Path) -> Row:
    """The memory that the upload of a large package takes."""
    path = directory / "large-1.0.tar.gz"
    with path.open("wb") as file:
        for _ in range(LARGE_BYTES // MIB):
            file.write(bytes(MIB))
    url = f"{server.main_url}/repository/wheels/"
    upload(url, packages()[0], login=server.admin)
    pid = server.process.pid
    forget_peak(pid)
    before = peak_memory(pid)
    upload(url, path, login=server.admin)
    grown = (peak_memory(pid) - before) / MIB
    what = f"Memory for the upload of {LARGE_BYTES // MIB} MiB"
    return Row(what, "", f"{grown:.1f} MiB", "", grown, "MiB", most=16)
