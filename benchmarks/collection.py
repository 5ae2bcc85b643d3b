"""Collect in a repository of very many manifests in which nothing goes, and say what that takes.

Run by hand: ``python -m benchmarks.collection [--manifests N]``. Every second manifest has a tag;
the others are the images of an index. The rows get into the database past the application; its
triggers make the sums. The program fails if the collection, or its longest step, misses a bar.
"""

import argparse
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.__main__ import _roomy
from repoman.collection import CollectionOptions, collect
from repoman.db.database import FILE
from repoman.server.process import calm_collector
from repoman.testing import RepomanFactory
from repoman_docker import plugin

BAR_S = 60.0  # of the processor, for a million manifests
STEP_BAR_S = 0.1  # of the processor, for the examination of a window or a transaction
BATCH = 50_000  # Manifests that are stored in one transaction.
DAY_S = 86_400.0
NOW = 1.7e9


class Watcher:
    """Takes the longest time between two reports."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._begin = time.thread_time()

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Note how long the step took."""
        now = time.thread_time()
        self.longest, self._begin = max(self.longest, now - self._begin), now

    def log(self, text: str) -> None:
        """Print a line."""
        print(text)

    def flush_pulls(self) -> None:
        """Do nothing: nobody pulls."""

    def freed(self, size: int) -> None:
        """Do nothing."""

    def pause(self, seconds: float) -> None:
        """Do nothing."""


def fill(database: Path, repository: int, count: int) -> None:
    """Store tags, manifests and a layer of each."""
    with closing(sqlite3.connect(database)) as connection:
        for start in range(0, count, BATCH):
            with connection:
                _fill(connection, repository, range(start, min(start + BATCH, count)))


def _fill(connection: sqlite3.Connection, repository: int, numbers: range) -> None:
    connection.executemany(
        "INSERT INTO blob (store, digest, size, created_at) VALUES ('default', ?, 9, 0)",
        [(f"{kind}{number:063x}",) for number in numbers for kind in "ab"],
    )
    for kind, paths in _paths(numbers).items():
        connection.executemany(
            "INSERT INTO asset (repository_id, path, kind, blob_id, media_type, attributes, "
            "created_at, updated_at) SELECT ?, ?, ?, id, 'x/y', '{}', 0, ? FROM blob "
            "WHERE store = 'default' AND digest = ?",
            [(repository, path, kind, NOW, digest) for path, digest, _ in paths],
        )
    for paths in _paths(numbers).values():
        connection.executemany(
            "INSERT INTO reference (repository_id, asset_id, kind, path, source) "
            "SELECT repository_id, id, ?, ?, path FROM asset WHERE repository_id = ? AND path = ?",
            [(name, to, repository, path) for path, _, named in paths for name, to in named],
        )


def _paths(numbers: range) -> dict[str, list[tuple[str, str, list[tuple[str, str]]]]]:
    """Return paths with digests, and the kinds and paths of what they refer to."""

    def manifest(number: int) -> str:
        return f"manifests/app-{number // 1000}/sha256:a{number:063x}"

    def named(number: int) -> list[tuple[str, str]]:
        layer = ("blob", f"blobs/sha256:b{number:063x}/app-{number // 1000}")
        return [layer] if number % 2 else [layer, ("child", manifest(number + 1))]

    return {
        "manifest": [(manifest(each), f"a{each:063x}", named(each)) for each in numbers],
        "blob": [
            (f"blobs/sha256:b{each:063x}/app-{each // 1000}", f"b{each:063x}", [])
            for each in numbers
        ],
        "tag": [
            (f"tags/app-{each // 1000}/{each}", f"a{each:063x}", [("tag", manifest(each))])
            for each in numbers
            if each % 2 == 0
        ],
    }


def run(directory: Path, count: int) -> bool:
    """Measure, and return whether the bars are kept."""
    factory = RepomanFactory(directory)
    repoman = factory({"docker": plugin})
    repoman.repositories.create("images", "docker-hosted", {})
    collector = repoman.repositories.get("images").capabilities.collector
    assert collector is not None
    begin = time.perf_counter()
    fill(directory / FILE, collector.repository_id, count)
    print(f"{count:,} manifests stored in {time.perf_counter() - begin:.0f} s")
    calm_collector()
    watcher, begin = Watcher(), time.process_time()
    options = CollectionOptions(NOW + 400 * DAY_S, DAY_S)
    result = collect([("images", collector)], options, watcher, 86_400.0)
    took = time.process_time() - begin
    factory.stop()
    print(f"{took:.1f} s of the processor, the longest step {watcher.longest * 1e3:.0f} ms")
    assert result.text == "", result.text
    return took <= BAR_S * max(1.0, count / 1_000_000) and watcher.longest <= STEP_BAR_S


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collection", description=__doc__)
    parser.add_argument("--manifests", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path, default=_roomy())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        if not run(Path(directory), options.manifests):
            sys.exit("The collection misses a bar.")


if __name__ == "__main__":
    main()
