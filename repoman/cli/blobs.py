"""Commands about blobs."""

import os
import time

import click

from repoman.cli.common import LOWEST_PRIORITY, with_repoman
from repoman.compaction import Unwatched
from repoman.core import Repoman

MIB = 1 << 20


class Pausing(Unwatched):
    """Progress that is not reported, with pauses."""

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@click.group()
def blob() -> None:
    """Check the stored blobs."""


@blob.command()
@click.argument("store", required=False)
@click.option(
    "--rate", type=click.IntRange(min=1), metavar="MIB", help="Read at most MIB MiB a second."
)
@click.option("--resume", is_flag=True, help="Continue a verification that did not end.")
@with_repoman
def verify(repoman: Repoman, store: str | None, rate: int | None, resume: bool) -> None:
    """Read all blobs of STORE, or of all stores, and compare them with their digests.

    The server may be running. Damaged and missing blobs are listed; the exit status is then 1.
    Damaged files are put aside, so that a push or the upstream of a proxy replaces them.
    """
    os.nice(LOWEST_PRIORITY)
    names = [store] if store else repoman.blob_stores.names()
    found = repoman.verifier.run(
        names, click.echo, Pausing(), rate and rate * MIB, continues=resume
    )
    click.echo(str(found), err=True)
    if found.bad:
        click.get_current_context().exit(1)
