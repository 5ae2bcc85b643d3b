"""Ask the catalog about very many components, and say how long each page takes.

Run by hand: ``python -m benchmarks.catalog [--components N]``. The components get into the database
past the application; its triggers make sums and indexes. The program fails if a page misses the
bar.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.__main__ import _roomy
from benchmarks.search import print_times
from repoman.catalog.model import Page, PageRequest
from repoman.config import DatabaseSettings
from repoman.db.database import FILE, Database
from repoman.server.process import calm_collector
from tests.catalog_questions import (
    ASSETS,
    COMPONENTS,
    PACKAGES,
    Viewer,
    fill_database,
    make_catalog,
)

BAR = 0.020  # seconds of processor time, p99 of the pages of a question
PAGES = 200


def run(directory: Path, count: int) -> list[str]:
    """Measure, and return the questions that miss the bar."""
    begin = time.perf_counter()
    fill_database(directory, count)
    size = (directory / FILE).stat().st_size / (1 << 20)
    took = time.perf_counter() - begin
    print(f"{count:,} components stored in {took:.0f} s; the database has {size:,.0f} MiB")
    database = Database(directory, DatabaseSettings())
    database.open()
    catalog = make_catalog()
    calm_collector()
    missed = []
    for questions, method in (
        (COMPONENTS, catalog.components),
        (ASSETS, catalog.assets),
        (PACKAGES, catalog.packages),
    ):
        for name, query in questions.items():
            times, rows = measure(method, query)
            if print_times(f"{name} ({rows} rows)", times) > BAR:
                missed.append(name)
    database.close()
    return missed


def measure(method: Callable[..., Page[Any]], query: object) -> tuple[list[float], int]:
    """Return the processor times of some pages, sorted, and how many rows they had.

    After the last page comes the first one again.
    """
    times, after, rows = [], "", 0
    method(query, PageRequest(50, ""), Viewer())  # warm
    for _ in range(PAGES):
        begin = time.thread_time()
        page = method(query, PageRequest(50, after), Viewer())
        times.append(time.thread_time() - begin)
        rows += len(page.items)
        after = page.next or ""
    return sorted(times), rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalog", description=__doc__)
    parser.add_argument("--components", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path, default=_roomy())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="catalog-", dir=options.directory) as directory:
        if missed := run(Path(directory) / "data", options.components):
            sys.exit(f"missed {BAR * 1e3:g} ms: {', '.join(missed)}")


if __name__ == "__main__":
    main()
