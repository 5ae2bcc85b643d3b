"""Commands about privileges. A running server applies the changes within seconds."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from repoman.cli.common import AS_JSON, with_repoman
from repoman.core import Repoman
from repoman.security.permissions import PRIVILEGE_TYPES
from repoman.security.privileges import parse_properties


def property_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options for what a privilege is made of."""
    for decorate in (
        click.option(
            "--action",
            "actions",
            multiple=True,
            help="For all types but wildcard: an allowed action, such as read. Can be repeated.",
        ),
        click.option("--script", help="For the type script: the name of the script; default: any."),
        click.option(
            "--selector",
            help="For the type repository-content-selector: the content selector.",
        ),
        click.option("--repository", help="For repository-…: the repository; default: any."),
        click.option("--format", help="For repository-…: the format; default: any."),
        click.option(
            "--domain", help="For the type application: the area it covers, such as users."
        ),
        click.option(
            "--pattern", help="For the type wildcard: the permission, such as nexus:users:read."
        ),
    ):
        command = decorate(command)
    return command


@click.group()
def privilege() -> None:
    """List, create, change and delete privileges."""


@privilege.command("list")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Include the privileges that repositories bring with them.",
)
@AS_JSON
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
@property_options
@with_repoman
def create(repoman: Repoman, kind: str, name: str, description: str, **options: Any) -> None:
    """Create the privilege NAME of a TYPE."""
    repoman.security.privileges.create(name, kind, _given(options), description)
    click.echo(f"Created the privilege {name}.")


@privilege.command("set")
@click.argument("name")
@click.option("--description", help="Description of the privilege.")
@property_options
@with_repoman
def set_(repoman: Repoman, name: str, description: str | None, **options: Any) -> None:
    """Change the privilege NAME: given values are replaced, the rest stays as it is."""
    repoman.security.privileges.change(name, _given(options), description)
    click.echo(f"Updated the privilege {name}.")


@privilege.command()
@click.argument("name")
@AS_JSON
@with_repoman
def show(repoman: Repoman, name: str, as_json: bool) -> None:
    """Show the privilege NAME."""
    found = repoman.security.privileges.get(name)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
        return
    click.echo(f"{found.name}: {found.description or found.type}")
    click.echo(f"type {found.type}")
    for key, value in found.properties.items():
        click.echo(f"{key} {' '.join(value) if isinstance(value, list) else value}")
    click.echo(f"permission {parse_properties(found.type, found.properties).permission()}")


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


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value not in (None, ())}
