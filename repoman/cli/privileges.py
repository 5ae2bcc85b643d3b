"""Commands about privileges. A running server applies the changes within seconds."""

import json
from dataclasses import asdict
from typing import Any

import click

from repoman.cli.common import with_repoman
from repoman.core import Repoman
from repoman.security.permissions import PRIVILEGE_TYPES
from repoman.security.privileges import parse_properties


@click.group()
def privilege() -> None:
    """List, create and delete privileges."""


@privilege.command("list")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Include the privileges that repositories bring with them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all details as JSON.")
@with_repoman
def list_(repoman: Repoman, everything: bool, as_json: bool) -> None:
    """List the privileges, with the permission that each grants."""
    privileges = repoman.security.privileges
    found = [*privileges.all(), *(privileges.of_repositories() if everything else ())]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    width = max(len(each.name) for each in found)
    for each in found:
        permission = parse_properties(each.type, each.properties).permission()
        click.echo(f"{each.name:<{width}}  {permission}")


@privilege.command()
@click.argument("kind", metavar="TYPE", type=click.Choice(list(PRIVILEGE_TYPES)))
@click.argument("name")
@click.option("--description", default="", help="Description of the privilege.")
@click.option("--pattern", help="For the type wildcard: the permission, such as nexus:users:read.")
@click.option("--domain", help="For the type application: the area it covers, such as users.")
@click.option("--format", help="For the types repository-…: the format; default: any.")
@click.option("--repository", help="For the types repository-…: the repository; default: any.")
@click.option("--selector", help="For the type repository-content-selector: the content selector.")
@click.option(
    "--action",
    "actions",
    multiple=True,
    help="For all types but wildcard: an allowed action, such as read. Can be repeated.",
)
@with_repoman
def create(repoman: Repoman, kind: str, name: str, description: str, **options: Any) -> None:
    """Create the privilege NAME of a TYPE."""
    given = {key: value for key, value in options.items() if value not in (None, ())}
    repoman.security.privileges.create(name, kind, given, description)
    click.echo(f"Created the privilege {name}.")


@privilege.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_repoman
def delete(repoman: Repoman, name: str, yes: bool) -> None:
    """Delete the privilege NAME and remove it from all roles."""
    if not yes:
        click.confirm(f"Delete the privilege {name} and remove it from all roles?", abort=True)
    repoman.security.privileges.delete(name)
    click.echo(f"Deleted the privilege {name}.")
