"""The command that shows what takes disk space."""

import json
from dataclasses import asdict
from typing import Any

import click

from repoman.catalog.model import Order, PackageQuery, PageRequest
from repoman.catalog.visibility import EveryViewer
from repoman.cli.common import with_repoman
from repoman.core import Repoman
from repoman.printable import pluralize

PAGE_PACKAGES = 500  # Packages that are read at once.


@click.command()
@click.argument("repository", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the sums as JSON.")
@with_repoman
def usage(repoman: Repoman, repository: str | None, as_json: bool) -> None:
    """Show what the repositories and blob stores take, or the packages of REPOSITORY.

    Sizes are in bytes: of all blobs, each counted once, and of those that nothing else uses.
    """
    if repository is not None:
        rows = _packages(repoman, repoman.repositories.get(repository).name)
        found: Any = rows
    else:
        viewer = EveryViewer(repoman.repositories)
        sums = repoman.catalog.usages(viewer)
        rows = [{"name": name, **asdict(each)} for name, each in sums.items()]
        stores = repoman.catalog.store_usages()
        found = {
            "repositories": rows,
            "blob_stores": [{"name": name, **asdict(each)} for name, each in stores.items()],
        }
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for each in rows:
        assets = pluralize(each["assets"], "asset")
        versions = pluralize(each["versions"], "version")
        click.echo(
            f"{each['name']}: {each['size']} bytes, {each['own_size']} of its own; "
            f"{assets}, {versions}"
        )
    for each in found["blob_stores"] if repository is None else ():
        blobs = pluralize(each["blobs"], "blob")
        click.echo(
            f"blob store {each['name']}: {each['size']} bytes in {blobs}, "
            f"{each['reclaimable']} reclaimable"
        )


def _packages(repoman: Repoman, repository: str) -> list[dict[str, Any]]:
    """Return what the packages of a repository take, the largest first."""
    query = PackageQuery(repositories=(repository,), order=Order.SIZE, is_descending=True)
    viewer, after, found = EveryViewer(repoman.repositories), "", []
    while True:
        page = repoman.catalog.packages(query, PageRequest(PAGE_PACKAGES, after), viewer)
        found += [asdict(each) for each in page.items]
        if page.next is None:
            return found
        after = page.next
