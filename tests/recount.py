"""What is kept of the content, counted again from the rows of the content itself."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any


def kept(connection: Any) -> dict[str, Any]:
    """What the tables of sums say."""
    execute = connection.execute
    return {
        "repositories": {
            row[0]: row[1:]
            for row in execute(
                "SELECT repository_id, assets, components, versions, packages, size, own_size "
                "FROM repository_usage"
            )
        },
        "packages": {
            row[:4]: row[4:]
            for row in execute(
                "SELECT repository_id, kind, namespace, name, assets, versions, size, own_size "
                "FROM package"
            )
        },
        "components": dict(execute("SELECT id, size FROM component").fetchall()),
        "stores": {
            row[0]: row[1:]
            for row in execute("SELECT store, blobs, size, reclaimable FROM blob_store_usage")
            if row[1]
        },
        "blob repositories": {
            (row[0], row[1]): row[2] for row in execute("SELECT * FROM blob_repository")
        },
        "blob packages": {
            (row[0], row[1]): row[2] for row in execute("SELECT * FROM blob_package")
        },
    }


def counted(connection: Any) -> dict[str, Any]:
    """The same, as it should be."""
    execute = connection.execute
    sizes = dict(execute("SELECT id, size FROM blob").fetchall())
    assets = execute(
        "SELECT blob_id, repository_id, component_id, package_id, transfer_size FROM asset"
    ).fetchall()
    components = execute("SELECT id, repository_id, version, package_id FROM component").fetchall()
    packages = {
        row[0]: row[1:]
        for row in execute("SELECT id, repository_id, kind, namespace, name FROM package")
    }
    by_repository = Counter((blob, repository) for blob, repository, *_ in assets)
    by_package = Counter(
        (blob, -repository if package is None else package)
        for blob, repository, _, package, _ in assets
    )
    transfers: Mapping[int, int] = Counter()
    for blob, _, component, _, transfer in assets:
        transfers[component] += sizes[blob] if transfer is None else transfer
    stores: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for store, size, released in execute("SELECT store, size, released_at FROM blob"):
        row = stores[store]
        stores[store] = [row[0] + 1, row[1] + size, row[2] + size * (released is not None)]
    repositories = [id_ for (id_,) in execute("SELECT id FROM repository")]
    return {
        "repositories": {
            each: (
                sum(row[1] == each for row in assets),
                sum(row[1] == each for row in components),
                sum(row[1] == each and row[2] != "" for row in components),
                sum(row[0] == each for row in packages.values()),
                *_sizes(each, by_repository, sizes),
            )
            for each in repositories
        },
        "packages": {
            row: (
                sum(asset[3] == id_ for asset in assets),
                sum(component[3] == id_ and component[2] != "" for component in components),
                *_sizes(id_, by_package, sizes),
            )
            for id_, row in packages.items()
        },
        "components": {row[0]: transfers.get(row[0], 0) for row in components},
        "stores": {name: tuple(row) for name, row in stores.items()},
        "blob repositories": dict(by_repository),
        "blob packages": dict(by_package),
    }


def _sizes(owner: int, uses: Mapping[tuple[int, int], int], sizes: Mapping[int, int]) -> Any:
    """The bytes that an owner uses, and those that only this one uses."""
    users = Counter(blob for blob, _ in uses)
    mine = [blob for blob, each in uses if each == owner]
    return (
        sum(sizes[blob] for blob in mine),
        sum(sizes[blob] for blob in mine if users[blob] == 1),
    )
