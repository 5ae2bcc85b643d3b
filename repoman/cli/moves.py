"""The command of ``repo`` that moves a repository to another blob store."""

import json
from dataclasses import asdict

import click

from repoman.cli.common import AS_JSON, with_repoman
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.printable import pluralize
from repoman.repositories.move_records import Move


@click.command()
@click.argument("name")
@click.argument("store", required=False)
@click.option("--pause", is_flag=True, help="Stop the move; what was copied stays.")
@click.option("--resume", is_flag=True, help="Have the move go on, also after a failure.")
@AS_JSON
@with_repoman
def move(
    repoman: Repoman, name: str, store: str | None, pause: bool, resume: bool, as_json: bool
) -> None:
    """Move the repository NAME to the blob store STORE, or show how far that is.

    The repository can be used meanwhile: a task of the server copies its bytes, and new ones go to
    STORE at once. Blobs that other repositories use stay for them.
    """
    if (store is not None) + pause + resume > 1:
        raise Invalid("Give one of STORE, --pause and --resume.")
    if store is not None:
        repoman.moves.begin(name, store)
    elif pause or resume:
        repoman.moves.pause(name, is_paused=pause)
    found = repoman.moves.find(name)
    if as_json:
        click.echo(json.dumps(None if found is None else asdict(found), indent=2))
    elif found is None:
        click.echo(f"{name} has never moved to another blob store.")
    else:
        click.echo(_line_of(found, repoman.moves.count_assets(found)))


def _line_of(found: Move, assets: int) -> str:
    copied = f"{pluralize(found.blobs, 'blob')} copied, {found.size:,} bytes"
    if found.ended_at is not None:
        return f"{found.name} has moved to {found.store}: {copied}."
    state = "The move is paused" if found.is_paused else "The server moves it"
    problem = f" {found.problem}" if found.problem else ""
    return (
        f"{found.name} moves to {found.store}: {found.done:,} of {assets:,} assets, {copied}. "
        f"{state}.{problem}"
    )
