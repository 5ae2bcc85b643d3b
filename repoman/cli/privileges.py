"""Commands about privileges. They work beside a running server, which follows in a moment."""

import json
from dataclasses import asdict
from typing import Any

import click

from repoman.cli.common import with_repoman
from repoman.core import Repoman
from repoman.security.privilege_types import PRIVILEGE_TYPES
from repoman.security.privileges import parse_properties


@click.group()
def privilege() -> None:
    """List, make and delete privileges."""


@privilege.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that come with repositories.")
@click.option("--json", "as_json", is_flag=True, help="Print them whole, as JSON.")
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
@click.option("--description", default="", help="What it is for.")
@click.option("--pattern", help="Of wildcard: the permission, such as nexus:users:read.")
@click.option("--domain", help="Of application: what is administered, such as users.")
@click.option("--format", help="Of repository-…: the format; without it, any.")
@click.option("--repository", help="Of repository-…: the repository; without it, any.")
@click.option("--selector", help="Of repository-content-selector: the content selector.")
@click.option(
    "--action",
    "actions",
    multiple=True,
    help="Of all but wildcard: what may be done, such as read; several times.",
)
@with_repoman
def create(repoman: Repoman, kind: str, name: str, description: str, **options: Any) -> None:
    """Make the privilege NAME of a TYPE."""
    given = {key: value for key, value in options.items() if value not in (None, ())}
    repoman.security.privileges.create(name, kind, given, description)
    click.echo(f"The privilege {name} is made.")


@privilege.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_repoman
def delete(repoman: Repoman, name: str, yes: bool) -> None:
    """Delete the privilege NAME, and take it from all roles."""
    if not yes:
        click.confirm(f"Delete the privilege {name}, and take it from all roles?", abort=True)
    repoman.security.privileges.delete(name)
    click.echo(f"The privilege {name} is deleted.")
