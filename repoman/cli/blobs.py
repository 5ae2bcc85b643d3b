"""Commands about blobs."""

import os

import click

from repoman.blobs.store import CANONICAL
from repoman.cli.common import with_repoman
from repoman.core import Repoman
from repoman.verification import verify as verify_store

LOWEST_PRIORITY = 19


@click.group()
def blob() -> None:
    """Check the stored blobs."""


@blob.command()
@click.argument("store", required=False)
@with_repoman
def verify(repoman: Repoman, store: str | None) -> None:
    """Read all blobs of STORE, or of all stores, and compare them with their digests.

    The server may be running. Damaged and missing blobs are listed; the exit status is then 1.
    """
    os.nice(LOWEST_PRIORITY)  # what serves goes first
    stores = repoman.blob_stores
    count = bad = 0
    for name in [store] if store else stores.names():
        for found in verify_store(stores, name):
            count += 1
            if found.problem:
                bad += 1
                click.echo(f"{CANONICAL}:{found.digest} in {name} {found.problem}")
                for repository, path in found.places:
                    click.echo(f"    {repository}: {path}")
    click.echo(f"Read {count} blobs; {bad} of them are damaged or missing.", err=True)
    if bad:
        click.get_current_context().exit(1)
