"""Search among very many images, and say how long that takes.

Run by hand: ``python -m benchmarks.search [--components N]``. The images get into the database the
way of every other change of it, past the application: its triggers make the index. Then come whole
requests to the application, one after the other, without a socket. The program fails if they miss
the bar.
"""

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.__main__ import _roomy
from repoman.server.process import calm_collector
from repoman.testing import HttpClient, RepomanFactory
from repoman_docker import plugin

BAR = 0.050  # seconds, p99
BUILD_BAR = 180.0  # seconds
BATCH = 50_000  # rows in a transaction
VOCABULARY = """
payment gateway user account service api web front back end data base cache queue worker scheduler
report invoice mail search index core auth login session token proxy edge cloud build deploy test
stage prod monitor metrics log trace alert billing catalog order cart ship stock price media image
video audio stream chat notify push sync import export batch job model train serve feature flag
config secret vault key cert dns lb ingress
"""
WORDS = VOCABULARY.split()
DICE = random.Random(20260101)


def names() -> Iterator[str]:
    """Names as companies give them: few words in many orders, so that parts of them are common."""
    seen: set[str] = set()
    while True:
        number = DICE.choice(["", str(DICE.randrange(1000))])
        parts = [DICE.choice(WORDS) for _ in range(4)]
        name = f"team-{parts[0]}/{'-'.join(parts[1:])}{number}"
        if name not in seen:
            seen.add(name)
            yield name


def fill(path: Path, repository: str, others: str, count: int) -> list[str]:
    """Store so many images, a tenth of them in another repository, and return their names."""
    found = list(islice(names(), count))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = 1")
        ids = dict(connection.execute("SELECT name, id FROM repository").fetchall())
        where = (ids[repository],) * 9 + (ids[others],)
        for start in range(0, count, BATCH):
            rows = [
                (
                    where[number % 10],
                    name,
                    f"The {DICE.choice(WORDS)} of a team." * (number % 3 // 2),
                )
                for number, name in enumerate(found[start : start + BATCH])
            ]
            with connection:
                connection.executemany(
                    "INSERT INTO component (repository_id, kind, namespace, name, version, "
                    "description, created_at, updated_at) "
                    "VALUES (?, 'image', '', ?, '', ?, 0, 0)",
                    rows,
                )
    return found


def part_of(name: str) -> str:
    length = DICE.randrange(3, 21)
    start = DICE.randrange(max(1, len(name) - length))
    return name[start : start + length]


def terms(found: list[str]) -> dict[str, Callable[[], str]]:
    """What people look for, by kind."""
    return {
        "any part of a name": lambda: part_of(DICE.choice(found)),
        "a common word": lambda: DICE.choice(WORDS),
        "two common words": lambda: f"{DICE.choice(WORDS)} {DICE.choice(WORDS)}",
        "words that are rarely so beside each other": lambda: "-".join(DICE.choices(WORDS, k=3)),
        "a whole name": lambda: DICE.choice(found),
        "nothing that is there": lambda: f"{DICE.choice(WORDS)}{DICE.choice(WORDS)}",
        "one or two characters": lambda: DICE.choice(WORDS)[: DICE.randrange(1, 3)],
        "two characters that are rarely so": lambda: "".join(DICE.choices("jqxz-/0", k=2)),
        "no text": lambda: "",
    }


def measure(client: HttpClient, make: Callable[[], str], rounds: int) -> list[float]:
    took = []
    for number in range(rounds):
        query = urlencode({"q": make(), "n": 100, "page": 1 + number % 3})
        begin = time.perf_counter()
        answer = client.get(f"/v1/search?{query}")
        took.append(time.perf_counter() - begin)
        assert answer.status_code == 200, answer.data
    return sorted(took)


def print_times(what: str, took: list[float]) -> float:
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    print(f"{what:45} p50 {p50 * 1e3:6.1f} ms  p99 {p99 * 1e3:6.1f} ms  {took[-1] * 1e3:6.1f} ms")
    return p99


def run(directory: Path, count: int, rounds: int) -> bool:
    """Measure, and return whether the bars are met."""
    factory = RepomanFactory(directory)
    repoman = factory({"docker": plugin})
    for name in ("images", "others"):
        repoman.repositories.create(name, "docker-hosted", {"docker": {"v1_enabled": True}})
    begin = time.perf_counter()
    found = fill(directory / "repoman.db", "images", "others", count)
    build = time.perf_counter() - begin
    size = (directory / "repoman.db").stat().st_size / (1 << 20)
    print(f"{count:,} images stored and indexed in {build:.0f} s; the database has {size:,.0f} MiB")
    client = HttpClient(repoman, connector="images")
    calm_collector()
    measure(client, lambda: "warm", 20)
    took: list[float] = []
    for what, make in terms(found).items():
        times = measure(client, make, rounds)
        print_times(what, times)
        took += times
    p99 = print_times("all", sorted(took))
    factory.stop()
    return p99 < BAR and build < BUILD_BAR


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--components", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=500, help="searches of each kind")
    parser.add_argument("--directory", type=Path, default=_roomy())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="search-", dir=options.directory) as directory:
        if not run(Path(directory) / "data", options.components, options.rounds):
            sys.exit(f"missed: p99 under {BAR * 1e3:g} ms, stored in under {BUILD_BAR:g} s")


if __name__ == "__main__":
    main()
