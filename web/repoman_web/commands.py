"""The commands of the pages: the browser sessions of users."""

import json
from dataclasses import asdict

import click

from repoman.plugin import Repoman, render_time, with_repoman


@click.group()
def session() -> None:
    """List and end browser sessions."""


@session.command("list")
@click.argument("user")
@click.option("--json", "as_json", is_flag=True, help="Print all details as JSON.")
@with_repoman
def list_(repoman: Repoman, user: str, as_json: bool) -> None:
    """List the browser sessions of USER, the most recently used first."""
    repoman.security.users.get(user)
    found = repoman.security.sessions.of_user(user)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    for each in found:
        click.echo(f"{each.id[:16]}  {each.address}  last used {render_time(each.seen_at)}")


@session.command()
@click.argument("user")
@click.argument("id", required=False)
@with_repoman
def end(repoman: Repoman, user: str, id: str | None) -> None:
    """End the browser sessions of USER, or the one whose ID begins as given."""
    repoman.security.users.get(user)
    found = repoman.security.sessions.of_user(user)
    ended = [each for each in found if each.id.startswith(id or "")]
    if id is not None and len(ended) != 1:
        raise click.UsageError(f"{user} has {len(ended)} sessions whose id begins with {id!r}.")
    for each in ended:
        repoman.security.sessions.end_of_user(user, each.id)
    click.echo(f"Ended {len(ended)} sessions of {user}.")
