"""Ask the REST API about very many components, and say how long each answer takes.

Run by hand: ``python -m benchmarks.rest [--components N]``. The components get into the database
past the application; its triggers make sums and indexes. Then come whole requests to the
application, one after the other, without a socket: each question is asked for the pages of its
list, one after the other, and from the beginning again after the last one. The program fails if an
answer misses the bar.
"""

import argparse
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from benchmarks.__main__ import _roomy
from benchmarks.search import print_times
from repoman.core import Repoman
from repoman.db.database import FILE
from repoman.security.rights_records import Role, SelectorRow
from repoman.server.process import calm_collector
from repoman.testing import ADMIN, HttpClient, RepomanFactory
from repoman_raw import plugin
from tests.fill import fill

API = "/service/rest/v1"
BAR = 0.030  # seconds of processor time, p99
REPOSITORIES = 10
QUESTIONS = {
    "components": "components?repository=r3",
    "components of a group": "components?repository=all",
    "assets": "assets?repository=r3",
    "all components": "search?",
    "name": "search?name=team-5/app-587",
    "name, by version": "search?name=team-5/app-587&sort=version",
    "beginning of names": "search?name=team-5/*",
    "end of names": "search?name=*-587",
    "middle of names": "search?name=*5/app-1*",
    "names in one repository, by group": "search?repository=r3&name=*77*&sort=group",
    "version": "search?version=1.7",
    "beginning of versions": "search?version=1.1*&sort=version",
    "pre-releases, by name": "search?prerelease=true&sort=name&direction=desc",
    "by repository": "search?sort=repository&direction=desc",
    "by repository, of names": "search?sort=repository&name=*-77",
    "format and version": "search?format=raw&version=1.1?",
    "words": "search?q=team-5 app-587",
    "common word": "search?q=team",
    "short word": "search?q=te",
    "word with wildcards": "search?q=app-1*2",
    "no such word": "search?q=absent",
    "checksum of all": f"search?sha256={'f' * 64}",
    "checksum of none": f"search?md5={'0' * 32}",
    "parameter that does not exist": "search?nope=1",
    "assets of names": "search/assets?name=team-5/*",
    "download": "search/assets/download?name=team-5/app-587&repository=r0&sort=version",
}
# What a user may see of components, whose paths are their names, and of their assets.
PATTERN = 'path =~ "(/tags)?/team-[0-9]+/app-[0-9]*7(/.*)?"'
RANGE = 'path =^ "/team-5/" or path =^ "/tags/team-5/"'


def prepare(repoman: Repoman, database: Path, components: int) -> None:
    """Create repositories with so many components, a group of them, and users who see a part."""
    names = [f"r{number}" for number in range(REPOSITORIES)]
    for name in names:
        repoman.repositories.create(name, "raw-hosted", {})
    repoman.repositories.create("all", "raw-group", {"group": {"members": names}})
    ids = [repoman.repositories.get(name).config.id for name in names]
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -262144")
        fill(connection, ids, components)
        connection.execute("UPDATE component SET kind = 'file'")  # What the format shows.
        connection.commit()
    for user, expression in (("range", RANGE), ("pattern", PATTERN)):
        repoman.security.selectors.create(SelectorRow(user, expression))
        properties = {"selector": user, "repository": "*", "actions": ["browse", "read"]}
        repoman.security.privileges.create(user, "repository-content-selector", properties)
        repoman.security.roles.create(Role(user, "", privileges=(user,)))
        repoman.users.create(user, ADMIN[1], [user])


def measure(client: HttpClient, path: str, user: str, rounds: int) -> tuple[list[float], int]:
    """Return the processor times of the answers, sorted, and how many items they had."""
    took, token, count = [], "", 0
    address = f"{API}/{quote(path, safe='/?=&*')}"
    for number in range(rounds + 1):
        begin = time.thread_time()
        answer = client.request(
            "GET", f"{address}&continuationToken={token}", login=False, auth=(user, ADMIN[1])
        )
        if number:  # The first one fills caches.
            took.append(time.thread_time() - begin)
        assert answer.status_code in (200, 302), answer.text
        page = (answer.json if answer.is_json else None) or {}
        count += len(page.get("items", ()))
        token = page.get("continuationToken") or ""
    return sorted(took), count


def measure_one(client: HttpClient, kind: str, rounds: int) -> tuple[list[float], int]:
    """The same for single components and assets."""
    page = client.get(f"{API}/{kind}?repository=r7").json or {}
    took = []
    for number in range(rounds):
        id_ = page["items"][number % len(page["items"])]["id"]
        begin = time.thread_time()
        assert client.get(f"{API}/{kind}/{id_}").status_code == 200
        took.append(time.thread_time() - begin)
    return sorted(took), rounds


def run(directory: Path, count: int, rounds: int) -> list[str]:
    """Measure, and return the questions that miss the bar."""
    factory = RepomanFactory(directory)
    repoman = factory({"raw": plugin})
    begin = time.perf_counter()
    prepare(repoman, directory / FILE, count)
    size = (directory / FILE).stat().st_size / (1 << 20)
    took = time.perf_counter() - begin
    print(f"{count:,} components stored in {took:.0f} s; the database has {size:,.0f} MiB")
    client = HttpClient(repoman)
    calm_collector()
    missed = []
    for user in (ADMIN[0], "range", "pattern"):
        for name, path in QUESTIONS.items():
            if user != ADMIN[0] and "group" in name:
                continue
            if user != ADMIN[0] and "download" in name:
                continue
            times, items = measure(client, path, user, rounds)
            what = f"{name} ({user}, {items} items)"
            if print_times(what, times) > BAR:
                missed.append(what)
    for kind in ("components", "assets"):
        if print_times(f"one of {kind}", measure_one(client, kind, rounds)[0]) > BAR:
            missed.append(f"one of {kind}")
    factory.stop()
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rest", description=__doc__)
    parser.add_argument("--components", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=200, help="answers to each question")
    parser.add_argument("--directory", type=Path, default=_roomy())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rest-", dir=options.directory) as directory:
        missed = run(Path(directory) / "data", options.components, options.rounds)
        if missed:
            sys.exit(f"missed {BAR * 1e3:g} ms: {', '.join(missed)}")


if __name__ == "__main__":
    main()
