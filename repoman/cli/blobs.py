"""Commands about blobs."""

import os

import click

from repoman.cli.common import LOWEST_PRIORITY, with_repoman
from repoman.core import Repoman
from repoman.verification import verify_all


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
    os.nice(LOWEST_PRIORITY)
    stores = repoman.blob_stores
    bad, told = verify_all(stores, [store] if store else stores.names(), click.echo)
    click.echo(told, err=True)
    if bad:
        click.get_current_context().exit(1)
