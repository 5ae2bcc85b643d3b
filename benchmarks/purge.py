"""Delete a repository with very many components, and say how long other writers have to wait.

Run by hand: ``python -m benchmarks.purge [--components N]``. The components get into the database
past the application, each with an asset, a blob and a reference. While the task removes them,
clients push blobs to another repository, one after the other. The program fails if a transaction
of the task is longer than the bar, or a push fails.
"""

import argparse
import hashlib
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from repoman.core import Repoman
from repoman.db.database import FILE
from repoman.server.process import calm_collector
from repoman.testing import HttpClient, RepomanFactory
from repoman_docker import plugin

BAR_S = 0.1  # The longest transaction of the task.
BATCH = 20_000  # Rows that are filled in one transaction.
TASK = "repository.purge-deleted"


def columns_of(connection: sqlite3.Connection, table: str, values: dict[str, str]) -> str:
    """An INSERT of these columns, with zeros or empty texts for others that must have a value."""
    given = dict(values)
    for _, name, kind, is_required, default, is_key in connection.execute(
        f"PRAGMA table_info('{table}')"
    ):
        if is_required and default is None and not is_key and name not in given:
            given[name] = "''" if kind == "TEXT" else "0"
    return f'INSERT INTO "{table}" ({", ".join(given)}) SELECT {", ".join(given.values())} FROM n'


def fill(path: Path, repository: str, count: int) -> None:
    """Store so many components."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = 1")
        [(id_,)] = connection.execute("SELECT id FROM repository WHERE name = ?", (repository,))
        [(first,)] = connection.execute("SELECT coalesce(max(id), 0) FROM blob")
        mine, name = {"repository_id": str(id_)}, "printf('team/app-%07d', i)"
        for start in range(1, count + 1, BATCH):
            end = min(start + BATCH - 1, count)
            numbers = (
                f"WITH RECURSIVE n(i) AS (SELECT {start} UNION ALL SELECT i + 1 FROM n "
                f"WHERE i < {end}) "
            )
            number = f"i + {first}"
            rows = {
                "blob": {
                    "id": number, "store": "'default'", "digest": "printf('%064x', i)", "size": "9"
                },
                "component": {
                    **mine, "id": number, "kind": "'image'", "name": name,
                    "namespace": "''", "version": "''",
                },
                "asset": {
                    **mine, "id": number, "component_id": number, "path": name,
                    "kind": "'file'", "blob_id": number, "attributes": "'{}'",
                },
                "reference": {
                    **mine, "asset_id": number, "kind": "'needs'", "path": "'target'",
                    "source": name,
                },
            }  # fmt: skip
            with connection:
                for table, values in rows.items():
                    connection.execute(numbers + columns_of(connection, table, values))


class Watch:
    """How long a thread holds the lock of writers, in seconds: by the wall, of the processor."""

    def __init__(self, repoman: Repoman) -> None:
        self.longest, self.longest_cpu, self.count = 0.0, 0.0, 0
        self.thread: threading.Thread | None = None
        self._began = 0.0, 0.0
        self._lock = repoman.database._write_lock
        repoman.database._write_lock = self  # type: ignore[assignment]

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock, and begin to measure."""
        is_taken = self._lock.acquire(blocking, timeout)
        if is_taken:
            self._began = time.perf_counter(), time.thread_time()
        return is_taken

    def release(self) -> None:
        """Note how long the thread held the lock, and let go of it."""
        if threading.current_thread() is self.thread:
            begin, cpu = self._began
            self.longest = max(self.longest, time.perf_counter() - begin)
            self.longest_cpu = max(self.longest_cpu, time.thread_time() - cpu)
            self.count += 1
        self._lock.release()


def push(client: HttpClient, number: int) -> int:
    """Push a small blob; return the status of the answer."""
    data = str(number).encode()
    digest = hashlib.sha256(data).hexdigest()
    path = f"/v2/app/blobs/uploads/?digest=sha256:{digest}"
    return client.request("POST", path, data=data).status_code


def main() -> None:
    """Fill, delete, push, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--components", type=int, default=300_000)
    count = parser.parse_args().components
    with tempfile.TemporaryDirectory(prefix="repoman-purge-") as directory:
        factory = RepomanFactory(Path(directory))
        repoman = factory({"docker": plugin})
        for name in ("deleted", "other"):
            repoman.repositories.create(name, "docker-hosted", {})
        begin = time.perf_counter()
        fill(Path(directory) / FILE, "deleted", count)
        print(f"filled {count:,} components in {time.perf_counter() - begin:.0f} s")
        is_good = measure(repoman)
        factory.stop()
    sys.exit(0 if is_good else 1)


def measure(repoman: Repoman) -> bool:
    """Return whether the task, and those who push meanwhile, met the bar."""
    calm_collector()
    watch = Watch(repoman)
    begin = time.perf_counter()
    repoman.repositories.delete("deleted")
    deleted = time.perf_counter() - begin
    [task] = [each for each in repoman.tasks.all() if each.type == TASK]
    [run] = repoman.tasks.runs(task)
    runner = repoman.make_runner()
    thread = threading.Thread(target=runner.execute, args=(run,))
    watch.thread = thread
    thread.start()
    waits: list[float] = []
    client, failed = HttpClient(repoman, connector="other"), 0
    while thread.is_alive():
        at = time.perf_counter()
        failed += push(client, len(waits)) != 201
        waits.append(time.perf_counter() - at)
    seconds = time.perf_counter() - begin
    found = repoman.tasks.get_run(run.id)
    waits.sort()
    print(f"deleted after {_ms(deleted)}; {found.result} That took {seconds:.0f} s.")
    wall, cpu = _ms(watch.longest), _ms(watch.longest_cpu)
    print(
        f"{watch.count:,} transactions, the longest {wall} (bar {_ms(BAR_S)}), {cpu} of processor"
    )
    median = waits[len(waits) // 2]
    print(f"{len(waits):,} pushes in this time, {failed} failed; median {_ms(median)}, ", end="")
    print(f"longest {_ms(waits[-1])}")
    return found.state == "ok" and watch.longest <= BAR_S and not failed


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


if __name__ == "__main__":
    main()
