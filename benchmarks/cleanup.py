"""Preview cleanup policies in an image with very many tags, and say how long that takes.

Run by hand: ``python -m benchmarks.cleanup [--tags N]``. Each tag has a manifest of its own, which
shares its layers with the others. The rows get into the database past the application. The program
fails if a preview misses the bar.
"""

import argparse
import hashlib
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.__main__ import _roomy
from repoman.core import Repoman
from repoman.db.models import database_proxy
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.repositories.model import Repository
from repoman.testing import RepomanFactory
from repoman_docker import plugin as docker

BAR_S = 2.0  # Processor time of one preview.
LAYERS = 3
MINUTE_S = 60.0
POLICIES = {
    "the newest 40 versions": CleanupPolicy("a", retain=40),
    "the newest 40 by date": CleanupPolicy("b", retain=40, sort_by="date"),
    "ages and patterns": CleanupPolicy(
        "c",
        last_updated_days=3,
        last_downloaded_days=2,
        version_patterns=("1.*",),
        keep_versions=("latest", "1.9*"),
        retain=40,
    ),
}


def fill(repository: Repository, count: int) -> None:
    """Store an image with so many tags, each a minute older than the one before it."""
    insert = _Inserter(repository.config.id)
    layers = [insert.asset("blob", f"blobs/{insert.digest(n)}/app") for n in range(LAYERS)]
    paths = [path for _, path in layers]
    package = insert.package("app")
    for number in range(count):
        version = f"1.{number}"
        digest = insert.digest(f"manifest {number}")
        asset, manifest = insert.asset("manifest", f"manifests/app/{digest}", package)
        insert.references(asset, "blob", manifest, paths)
        key = repository.rules.version_key(version)
        component = insert.component("app", version, package, key, number * MINUTE_S)
        asset, tag = insert.asset("tag", f"tags/app/{version}", package, component, digest)
        insert.references(asset, "tag", tag, [manifest])


class _Inserter:
    """Inserts rows of one repository."""

    def __init__(self, repository: int) -> None:
        self._repository = repository
        self._now = time.time()
        self._blobs: dict[str, int] = {}

    @staticmethod
    def digest(of: object) -> str:
        """Return some digest."""
        return f"sha256:{hashlib.sha256(str(of).encode()).hexdigest()}"

    def package(self, name: str) -> int:
        """Return the id of a new package."""
        return self._insert("package", repository_id=self._repository, kind="image", name=name)

    def component(self, name: str, version: str, package: int, key: str, age_s: float) -> int:
        """Return the id of a new tag, made so many seconds ago."""
        at = self._now - age_s
        return self._insert(
            "component",
            **{"repository_id": self._repository, "kind": "tag", "name": name, "version": version},
            **{"package_id": package, "version_key": key, "created_at": at, "updated_at": at},
            **{"is_prerelease": 0, "description": "", "downloaded_at": 0.0},
        )

    def asset(
        self,
        kind: str,
        path: str,
        package: int | None = None,
        component: int | None = None,
        digest: str = "",
    ) -> tuple[int, str]:
        """Return id and path of a new asset, with bytes of its own if it has no digest."""
        now, digest = self._now, digest or path
        if digest not in self._blobs:
            self._blobs[digest] = self._insert(
                "blob", store="default", digest=digest, size=1000, created_at=now
            )
        id_ = self._insert(
            "asset",
            **{"repository_id": self._repository, "component_id": component, "kind": kind},
            **{"path": path, "package_id": package, "blob_id": self._blobs[digest]},
            **{"media_type": "", "attributes": "{}", "created_at": now, "updated_at": now},
            **{"uploader": "", "uploader_address": ""},
        )
        return id_, path

    def references(self, asset: int, kind: str, source: str, paths: list[str]) -> None:
        """Have an asset refer to paths."""
        for path in paths:
            self._insert(
                "reference",
                **{"repository_id": self._repository, "asset_id": asset, "kind": kind},
                **{"path": path, "source": source},
            )

    def _insert(self, table: str, **values: object) -> int:
        if table in ("package", "component"):
            values["namespace"] = ""
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        query = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        return int(database_proxy.execute_sql(query, tuple(values.values())).lastrowid)


def measure(repoman: Repoman, repository: Repository) -> bool:
    """Preview the policies; return whether all are within the bar."""
    is_met = True
    for name, policy in POLICIES.items():
        begin = time.process_time()
        found = repoman.cleanup_preview.preview(repository, [policy], None)
        took = time.process_time() - begin
        print(f"{name:25} {took:5.2f} s  {found.goes:,} go, {found.kept:,} stay")
        is_met &= took <= BAR_S
    return is_met


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cleanup", description=__doc__)
    parser.add_argument("--tags", type=int, default=100_000)
    parser.add_argument("--directory", type=Path, default=_roomy())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        factory = RepomanFactory(Path(directory))
        repoman = factory({"docker": docker})
        repoman.repositories.create("images", "docker-hosted", {})
        repository = repoman.repositories.get("images")
        with repoman.database.transaction(repository=repository.config.id):
            fill(repository, options.tags)
        is_met = measure(repoman, repository)
        factory.stop()
    sys.exit(0 if is_met else 1)


if __name__ == "__main__":
    main()
