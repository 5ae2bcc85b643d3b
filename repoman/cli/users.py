"""Commands about local users."""

import sys
from datetime import UTC, datetime

import click

from repoman.cli.common import with_repoman
from repoman.core import Repoman

FROM_STDIN = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input; do not ask."
)


@click.group()
def user() -> None:
    """List, make, change and delete users."""


@user.command("list")
@with_repoman
def list_(repoman: Repoman) -> None:
    """List the users."""
    for each in repoman.users.all():
        made = datetime.fromtimestamp(each.created_at, UTC).strftime("%Y-%m-%d")
        state = "active" if each.is_active else "disabled"
        click.echo(f"{each.name:<20} {state:<8} since {made}")


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="What the user may do; several times.")
@FROM_STDIN
@with_repoman
def create(repoman: Repoman, name: str, roles: tuple[str, ...], password_stdin: bool) -> None:
    """Make the user NAME."""
    repoman.users.create(name, _password(from_stdin=password_stdin), roles)
    click.echo(f"The user {name} is made.")


@user.command()
@click.argument("name")
@FROM_STDIN
@with_repoman
def password(repoman: Repoman, name: str, password_stdin: bool) -> None:
    """Give the user NAME another password."""
    repoman.users.set_password(name, _password(from_stdin=password_stdin))
    click.echo(f"The password of {name} is changed.")


@user.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_repoman
def delete(repoman: Repoman, name: str, yes: bool) -> None:
    """Delete the user NAME."""
    if not yes:
        click.confirm(f"Delete the user {name}?", abort=True)
    repoman.users.delete(name)
    click.echo(f"The user {name} is deleted.")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
