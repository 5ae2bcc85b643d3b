"""Open every page about very much content, and say how long the server takes for each.

Run by hand: ``python -m benchmarks.pages [--components N]``. The content gets into the database
past the application; its triggers make sums and indexes. An administrator then follows the links of
each page, a few for each kind of page, by whole requests to the application, without a socket. The
program fails if a page takes longer than the bar, if a first visit is larger than its bar, or if a
link leads nowhere.
"""

import argparse
import hashlib
import html
import json
import re
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

from werkzeug.test import Client, TestResponse

from benchmarks.__main__ import _roomy
from benchmarks.search import print_times
from repoman.core import Repoman
from repoman.db.database import FILE
from repoman.http.router import create_application
from repoman.server.process import calm_collector
from repoman.testing import ADMIN, HttpClient, RepomanFactory
from repoman.testing.client import after_admission
from repoman_docker import plugin as docker
from repoman_raw import plugin as raw
from repoman_web import plugin as web
from tests.fill import fill
from tests.page_walk import PageWalk, Visited, routes_of

BAR = 0.150  # seconds of processor time, p99
FIRST_VISIT_MAX_BYTES = 60_000  # compressed, with styles and scripts
REPOSITORIES = 500
USERS = 5_000
TAGS = 100_000
FILLED = 10  # repositories that share the components
OF_A_KIND = 12  # pages of one route with parameters of the same names
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
PART = re.compile(r'<(?:link|script|use)\b[^>]*?\b(?:href|src)="([^"#]+)')
MARK = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
STARTS = ("/", "/search?q=team-5", "/search?q=app-102", "/search?q=team-5*", "/search?q=1.7")


def prepare(repoman: Repoman, database: Path, components: int) -> None:
    """Create repositories, users, one image with very many tags, and so many components."""
    names = [f"files-{number}" for number in range(REPOSITORIES - 2)]
    for name in names:
        repoman.repositories.create(name, "raw-hosted", {})
    repoman.repositories.create("images", "docker-hosted", {})
    repoman.repositories.create("all", "raw-group", {"group": {"members": names[:FILLED]}})
    push_image(HttpClient(repoman))
    repoman.users.create("person-0", ADMIN[1], ["nx-anonymous"])
    ids = [repoman.repositories.get(name).config.id for name in names[:FILLED]]
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -262144")
        fill(connection, ids, components)
        repeat_users(connection)
        repeat_tags(connection)
        connection.commit()


def push_image(client: HttpClient) -> None:
    """Push the image of which all tags are copies."""
    config = {"architecture": "amd64", "os": "linux", "config": {"Labels": {"team": "five"}}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": push_blob(client, json.dumps(config).encode(), CONFIG_TYPE),
        "layers": [push_blob(client, bytes([n]) * 1000, LAYER_TYPE) for n in range(20)],
    }
    answer = client.put(
        "/repository/images/v2/team/app/manifests/release-0",
        json.dumps(manifest).encode(),
        content_type=MANIFEST_TYPE,
    )
    assert answer.status_code == 201, answer.text


def push_blob(client: HttpClient, data: bytes, media_type: str) -> dict[str, object]:
    """Push a blob and return its descriptor."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    path = f"/repository/images/v2/team/app/blobs/uploads/?digest={digest}"
    answer = client.request("POST", path, data=data)
    assert answer.status_code == 201, answer.text
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def repeat_tags(connection: sqlite3.Connection) -> None:
    """Copy the rows of the one tag for all others."""
    query = "SELECT * FROM component WHERE version = 'release-0'"
    component = dict(connection.execute(query).fetchone())
    query = "SELECT * FROM asset WHERE component_id = ?"
    asset = dict(connection.execute(query, [component.pop("id")]).fetchone())
    query = "SELECT * FROM reference WHERE asset_id = ?"
    references = list(map(dict, connection.execute(query, [asset.pop("id")])))
    for number in range(1, TAGS):
        name = f"release-{number}"
        key = f"release-{len(str(number)):03}{number}"
        component |= {"version": name, "version_key": key, "created_at": 1.7e9 + number}
        component["updated_at"] = component["created_at"]
        asset["component_id"] = insert(connection, "component", component)
        asset["path"] = f"tags/team/app/{name}"
        asset_id = insert(connection, "asset", asset)
        for each in references:
            row = {**each, "asset_id": asset_id, "source": asset["path"]}
            del row["id"]
            insert(connection, "reference", row)


def repeat_users(connection: sqlite3.Connection) -> None:
    """Copy the row of the one user for all others."""
    query = "SELECT * FROM user WHERE name = 'person-0'"
    user = dict(connection.execute(query).fetchone())
    del user["id"]
    for number in range(1, USERS):
        insert(connection, "user", {**user, "name": f"person-{number}"})


def insert(connection: sqlite3.Connection, table: str, row: dict[str, object]) -> int | None:
    """Insert a row and return its id."""
    columns, places = ", ".join(row), ", ".join("?" * len(row))
    return connection.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({places})", list(row.values())
    ).lastrowid


class Browser:
    """Keeps the cookies of an administrator."""

    def __init__(self, repoman: Repoman) -> None:
        self._client = Client(after_admission(create_application(repoman)))
        mark = MARK.search(self.get("/login").text)
        assert mark is not None
        name, password = ADMIN
        fields = {"csrf_token": mark[1], "name": name, "password": password}
        answer = self._client.post("/login", data=fields, environ_overrides=self._environ)
        assert answer.status_code == 303, answer.text

    _environ = {"REMOTE_ADDR": "127.0.0.1"}  # noqa: RUF012 - nobody changes it

    def get(self, path: str, **headers: str) -> TestResponse:
        """Open an address as a browser does."""
        return self._client.get(
            path,
            headers={"Accept": "text/html", **headers},
            environ_overrides=self._environ,
            buffered=True,
        )


@dataclass(slots=True)
class Kind:
    """What was seen of the pages of one route."""

    times: list[float] = field(default_factory=list)
    largest: int = 0
    slowest: tuple[float, str] = (0.0, "")


@dataclass
class Meter:
    """Notes what each kind of page takes."""

    browser: Browser
    rounds: int
    kinds: dict[str, Kind] = field(default_factory=lambda: defaultdict(Kind))
    _parts: dict[str, int] = field(default_factory=dict)

    def measure(self, visited: Visited) -> None:
        """Open a page again and again; its first visit has filled the caches."""
        found = self.kinds[visited.kind]
        for _ in range(self.rounds):
            begin = time.thread_time()
            self.browser.get(visited.address)
            took = time.thread_time() - begin
            found.times.append(took)
            found.slowest = max(found.slowest, (took, visited.address))
        found.largest = max(found.largest, self._first_visit(visited.address, visited.page.text))

    def _first_visit(self, address: str, text: str) -> int:
        """Return the compressed bytes of a page and all that it loads."""
        parts = {urljoin(address, html.unescape(part)) for part in PART.findall(text)}
        return sum(self._size(each) for each in {address, *parts})

    def _size(self, address: str) -> int:
        if address in self._parts:
            return self._parts[address]
        answer = self.browser.get(address, **{"Accept-Encoding": "gzip"})
        if "max-age=31536000" in answer.headers.get("Cache-Control", ""):
            self._parts[address] = len(answer.data)
        return len(answer.data)


def report(kinds: dict[str, Kind], broken: Iterable[str]) -> list[str]:
    """Print what each kind of page took, and return what misses a bar."""
    missed = list(broken)
    for name, kind in sorted(kinds.items()):
        took, address = kind.slowest
        what = f"{name} ({kind.largest / 1000:.1f} kB; slowest {took * 1000:.0f} ms {address[:80]})"
        if print_times(what, sorted(kind.times)) > BAR or kind.largest > FIRST_VISIT_MAX_BYTES:
            missed.append(what)
    return missed


def run(directory: Path, components: int, rounds: int) -> list[str]:
    """Measure, and return what misses a bar."""
    factory = RepomanFactory(directory)
    repoman = factory({"docker": docker, "raw": raw, "web": web})
    begin = time.perf_counter()
    prepare(repoman, directory / FILE, components)
    size = (directory / FILE).stat().st_size / (1 << 20)
    took = time.perf_counter() - begin
    print(f"{components:,} components stored in {took:.0f} s; the database has {size:,.0f} MiB")
    browser = Browser(repoman)
    walk, meter = PageWalk(routes_of(repoman), browser.get, OF_A_KIND), Meter(browser, rounds)
    calm_collector()
    for visited in walk.run(*STARTS):
        meter.measure(visited)
    factory.stop()
    return report(meter.kinds, walk.broken)


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--components", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    parser.add_argument("--directory", type=Path, default=_roomy())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pages-", dir=options.directory) as directory:
        missed = run(Path(directory), options.components, options.rounds)
    if missed:
        sys.exit("These miss the bar:\n" + "\n".join(missed))


if __name__ == "__main__":
    main()
