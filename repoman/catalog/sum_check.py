"""Compares the kept sums of space with what is stored, and mends those that are wrong.

Triggers keep the sums, so none should ever be wrong; that is what this shows. Reading takes no lock
and is done in ranges of ids, with pauses. Only the totals of repositories and blob stores need all
ranges as of one moment: these are read from one snapshot of the database, which holds up nobody.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from repoman.catalog import sum_check_records as records
from repoman.db.database import Database
from repoman.threads import Progress

BLOBS_READ = 5_000  # Blobs whose uses are compared together.
COMPONENTS_READ = 2_000  # Components whose sizes are compared together.
PACKAGES_READ = 200  # Packages whose sums are compared together.
MENDED_ROWS = 200  # Sums that are corrected in one transaction.
PAUSE_S = 0.05  # A pause after each range, for others who want to read and write.


@dataclass(frozen=True, slots=True)
class Drift:
    """A sum that is wrong.

    Attributes:
        table: where it is kept, in the row whose ``key`` is ``id``.
        told: what it is the sum of, in words.
        values: columns, and what has to be added to each.
    """

    table: str
    key: str
    id: Any
    told: str
    values: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        """Return what was wrong, in words."""
        drifts = ", ".join(f"{column} {drift:+,}" for column, drift in self.values if drift)
        return f"{self.told}: {drifts}"


class SumCheck:
    """Compares kept sums with the rows that they are kept of.

    Args:
        is_mending: whether it corrects what is wrong.
    """

    def __init__(self, database: Database, *, is_mending: bool = True) -> None:
        self._database = database
        self._is_mending = is_mending

    def run(self, progress: Progress) -> Iterator[Drift]:
        """Compare all sums, and yield those that were wrong.

        Errors as of ``progress``, between two ranges; what was mended before stays so.
        """
        blobs = records.highest_id("blob")
        components, packages = records.highest_id("component"), records.highest_id("package")
        total = 3 * blobs + components + packages
        done = 0
        for table in ("blob_repository", "blob_package"):
            for after, last in _ranges(blobs, BLOBS_READ):
                yield from self._links(table, after, last)
                done += last - after
                self._breathe(progress, done, total)
        for after, last in _ranges(components, COMPONENTS_READ):
            yield from self._mended(_component_drifts(after, last))
            done += last - after
            self._breathe(progress, done, total)
        for after, last in _ranges(packages, PACKAGES_READ):
            yield from self._mended(_package_drifts(after, last))
            done += last - after
            self._breathe(progress, done, total)
        yield from self._mended(self._total_drifts(progress, done, total))

    @staticmethod
    def _breathe(progress: Progress, done: int, total: int) -> None:
        progress.progress(done, total)
        progress.pause(PAUSE_S)

    def _links(self, table: str, after: int, last: int) -> Iterator[Drift]:
        found = records.list_link_drifts(table, after, last)
        for part in _parts(found, MENDED_ROWS):
            if self._is_mending:
                with self._database.transaction():
                    for row in part:
                        records.mend_link(table, *row)
            for blob, owner, drift in part:
                told = f"uses of blob {blob} by {table.removeprefix('blob_')} {owner}"
                yield Drift(table, "blob_id", blob, told, (("assets", drift),))

    def _mended(self, found: Sequence[Drift]) -> Iterator[Drift]:
        for part in _parts(found, MENDED_ROWS):
            if self._is_mending:
                with self._database.transaction():
                    for each in part:
                        records.add(each.table, each.key, each.id, each.values)
            yield from part

    def _total_drifts(self, progress: Progress, done: int, total: int) -> list[Drift]:
        """Return what is wrong of the sums of repositories and blob stores, as of one moment."""
        with records.snapshot():
            kept = records.list_kept("repository_usage", "repository_id", records.REPOSITORY_SUMS)
            stores = records.list_kept("blob_store_usage", "store", records.STORE_SUMS)
            counted = {each: [*records.count_rows(each), 0, 0] for each in kept}
            held: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
            for after, last in _ranges(records.highest_id("blob"), BLOBS_READ):
                for id_, *sums in records.sum_bytes(after, last):
                    if id_ in counted:
                        counted[id_][4:] = _added(counted[id_][4:], sums)
                for name, *sums in records.sum_stores(after, last):
                    held[name] = _added(held[name], sums)
                done += last - after
                progress.progress(min(done, total), total)
            names = records.name_repositories()
        return [
            *_differing(
                "repository_usage",
                "repository_id",
                records.REPOSITORY_SUMS,
                ((f"repository {names.get(each, each)}", each, kept[each]) for each in kept),
                counted,
            ),
            *_differing(
                "blob_store_usage",
                "store",
                records.STORE_SUMS,
                ((f"blob store {each}", each, stores[each]) for each in stores),
                {each: held[each] for each in stores},
            ),
        ]


def _component_drifts(after: int, last: int) -> list[Drift]:
    return [
        Drift("component", "id", id_, f"component {id_}", (("size", drift),))
        for id_, drift in records.list_component_drifts(after, last)
    ]


def _package_drifts(after: int, last: int) -> list[Drift]:
    found = records.list_package_drifts(after, last)
    names = records.name_packages(row[0] for row in found) if found else {}
    return [
        Drift(
            "package",
            "id",
            id_,
            names.get(id_, f"package {id_}"),
            tuple(zip(records.PACKAGE_SUMS, drifts, strict=True)),
        )
        for id_, *drifts in found
    ]


def _differing(
    table: str,
    key: str,
    columns: Sequence[str],
    kept: Iterable[tuple[str, Any, Sequence[int]]],
    counted: dict[Any, list[int]],
) -> Iterator[Drift]:
    for told, id_, sums in kept:
        drifts = [right - now for right, now in zip(counted[id_], sums, strict=True)]
        if any(drifts):
            yield Drift(table, key, id_, told, tuple(zip(columns, drifts, strict=True)))


def _added(sums: Sequence[int], more: Sequence[float]) -> list[int]:
    return [one + int(other) for one, other in zip(sums, more, strict=True)]


def _ranges(last: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of ids up to the last one: after the first number, up to the second."""
    return ((after, min(after + size, last)) for after in range(0, last, size))


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
