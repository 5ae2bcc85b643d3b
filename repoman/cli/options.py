"""Commands about options: what an administrator changes while the server runs."""

import json

import click

from repoman.cli.common import (
    AS_JSON,
    parse_assignments,
    print_details,
    read_values,
    with_repoman,
)
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.security.options import REALM_OPTIONS


@click.group()
def option() -> None:
    """List, show and change options. A running server applies changes within seconds."""


@option.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the sections with their values.")
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the sections of options."""
    names = repoman.options.names()
    if as_json:
        click.echo(json.dumps({name: repoman.options.describe(name) for name in names}, indent=2))
        return
    for name in names:
        click.echo(name)


@option.command()
@click.argument("name")
@AS_JSON
@with_repoman
def show(repoman: Repoman, name: str, as_json: bool) -> None:
    """Show the current values of the section NAME, with secrets masked."""
    print_details(repoman.options.describe(name), as_json=as_json)


@option.command("set")
@click.argument("name")
@click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--stdin",
    "secrets",
    multiple=True,
    metavar="KEY",
    help="Take the value from standard input. If given several times, one line per value.",
)
@with_repoman
def set_(
    repoman: Repoman, name: str, assignments: tuple[str, ...], secrets: tuple[str, ...]
) -> None:
    """Change keys of the section NAME; the other keys stay as they are.

    A list of names is a,b; other lists and tables are JSON.
    """
    values = {**parse_assignments(assignments), **read_values(secrets)}
    if not values:
        raise Invalid("There is nothing to change: give KEY=VALUE.")
    repoman.options.update(name, values)
    click.echo(f"Updated the options {name}.")
    if name == REALM_OPTIONS:
        _warn_of_unknown_realms(repoman)


@option.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_repoman
def reset(repoman: Repoman, name: str, yes: bool) -> None:
    """Reset the section NAME to its defaults, secrets too."""
    if not yes:
        click.confirm(f"Reset the options {name}?", abort=True)
    repoman.options.reset(name)
    click.echo(f"Reset the options {name}.")


@click.group()
def email() -> None:
    """Test the mail server; change it with 'repoman option set email'."""


@email.command()
@click.argument("address")
@with_repoman
def test(repoman: Repoman, address: str) -> None:
    """Send a test message to ADDRESS. Works before e-mail is enabled."""
    repoman.mailer.verify(address)
    click.echo(f"Sent a test message to {address}.")


@click.group()
def realm() -> None:
    """List the realms; 'repoman option set realms active=…' changes which of them are active."""


@realm.command("list")
@AS_JSON
@with_repoman
def list_realms(repoman: Repoman, as_json: bool) -> None:
    """List the available realms: name, id in the REST API, whether it is active, and title."""
    realms = repoman.security.realms
    active = realms.active()
    found = [
        {"name": each.name, "id": each.id, "active": each.id in active, "title": each.title}
        for each in realms.available()
    ]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for each in found:
        state = "active" if each["active"] else "-"
        click.echo(f"{each['name']:<10} {each['id']:<24} {state:<6} {each['title']}")


def _warn_of_unknown_realms(repoman: Repoman) -> None:
    realms = repoman.security.realms
    if unknown := realms.unknown():
        click.echo(
            f"There is no realm {', '.join(unknown)}, so nobody can log in with it. "
            f"Available realms: {', '.join(realms.names())}.",
            err=True,
        )
