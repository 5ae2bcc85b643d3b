"""``python -m benchmarks``: measure, print, and write ``docs/benchmarks.md`` after a full run."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.caching import caches
from benchmarks.cases import CASES as SERVING
from benchmarks.lab import Lab, laboratory
from benchmarks.machine import describe, load_average
from benchmarks.measure import FULL, GIB, QUICK, LeftOut, Row
from benchmarks.npm_packages import npm_packages
from benchmarks.python_packages import python_packages
from benchmarks.report import PAGE, print_row, write_page
from benchmarks.small_images import small_images

MORE = (caches, small_images, python_packages, npm_packages)
CASES = {**SERVING, **{case.__name__: case for case in MORE}}
IN_MEMORY = Path("/dev/shm")
ROOM = 13 * GIB  # the blobs of the case that needs most


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small blobs and one round")
    parser.add_argument("--only", choices=CASES, help="measure one thing")
    parser.add_argument("--rounds", type=int, help="how often each is measured")
    parser.add_argument("--patience", type=int, help="seconds to wait for a quiet machine")
    parser.add_argument(
        "--directory", type=Path, default=_roomy(), help="where the data goes (%(default)s)"
    )
    parser.add_argument(
        "--disk",
        type=Path,
        default=Path("/var/tmp"),  # on a disk, where /tmp may be in memory
        help="where the data of small images goes (%(default)s)",
    )
    return parser.parse_args()


def _roomy() -> Path:
    """Return the file system in memory if it is large enough: disks are not what is compared."""
    has_room = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM
    return IN_MEMORY if has_room else Path(tempfile.gettempdir())


def _rows(case: Callable[[Lab], list[Row]], lab: Lab) -> list[Row]:
    """Return what a case measures; nothing where it is left out, which is told."""
    try:
        return case(lab)
    except LeftOut as error:
        print(f"{case.__name__} is left out: {error}")
        return []


def main() -> None:
    """Run the cases."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit("ended"))
    options = _options()
    scale = QUICK if options.quick else FULL
    given = {name: getattr(options, name) for name in ("rounds", "patience")}
    scale = scale._replace(**{name: value for name, value in given.items() if value is not None})
    cases = [CASES[options.only]] if options.only else CASES.values()
    rows: list[Row] = []
    begin, before = datetime.now(UTC), load_average()
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=options.directory) as directory,
        laboratory(Path(directory), options.disk, scale) as lab,
    ):
        for case in cases:
            for row in _rows(case, lab):
                rows.append(row)
                print_row(row)
        facts = [
            ("Measured", f"{begin:%Y-%m-%d %H:%M} UTC, {scale.rounds} rounds"),
            ("Load average", f"{before} at the start, {load_average()} at the end"),
            *describe(Path(directory), options.disk),
        ]
    for name, text in facts:
        print(f"{name}: {text}")
    if not options.quick and not options.only:
        write_page(rows, facts)
        print(f"written: {os.path.relpath(PAGE)}")


if __name__ == "__main__":
    main()
