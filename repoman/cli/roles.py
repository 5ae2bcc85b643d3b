"""Commands about roles. A running server applies the changes within seconds."""

import json
from dataclasses import asdict, replace

import click

from repoman.cli.common import AS_JSON, with_repoman
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.security.rights_records import Role

NAME = click.option("--name", help="Display name; default: the id.")
DESCRIPTION = click.option("--description", help="Description of the role.")
PRIVILEGES = click.option(
    "--privilege", "privileges", multiple=True, help="A privilege to include. Can be repeated."
)
ROLES = click.option("--role", "roles", multiple=True, help="A role to include. Can be repeated.")


@click.group()
def role() -> None:
    """List, create, change and delete roles."""


@role.command("list")
@AS_JSON
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the roles."""
    roles = repoman.security.roles.all()
    if as_json:
        click.echo(json.dumps([asdict(each) for each in roles], indent=2))
        return
    width = max(len(each.id) for each in roles)
    for each in roles:
        text = each.description or each.name
        kind = "shipped" if repoman.security.roles.is_built_in(each.id) else "custom"
        click.echo(f"{each.id:<{width}}  {kind:<7}  {text}")


@role.command()
@click.argument("role_id", metavar="ROLE")
@AS_JSON
@with_repoman
def show(repoman: Repoman, role_id: str, as_json: bool) -> None:
    """Show the privileges of ROLE and the roles it includes."""
    found = repoman.security.roles.get(role_id)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
        return
    click.echo(f"{found.id}: {found.description or found.name}")
    for each in found.privileges:
        click.echo(f"privilege {each}")
    for each in found.roles:
        click.echo(f"role {each}")


@role.command()
@click.argument("role_id", metavar="ROLE")
@NAME
@DESCRIPTION
@PRIVILEGES
@ROLES
@with_repoman
def create(
    repoman: Repoman,
    role_id: str,
    name: str | None,
    description: str | None,
    privileges: tuple[str, ...],
    roles: tuple[str, ...],
) -> None:
    """Create the role ROLE."""
    made = Role(role_id, name or "", description or "", privileges, roles)
    repoman.security.roles.create(made)
    click.echo(f"Created the role {role_id}.")


@role.command("set")
@click.argument("role_id", metavar="ROLE")
@NAME
@DESCRIPTION
@PRIVILEGES
@ROLES
@click.option("--without", multiple=True, help="A privilege or a role to remove. Can be repeated.")
@with_repoman
def set_(
    repoman: Repoman,
    role_id: str,
    name: str | None,
    description: str | None,
    privileges: tuple[str, ...],
    roles: tuple[str, ...],
    without: tuple[str, ...],
) -> None:
    """Change the role ROLE: given values are added or replaced, the rest stays as it is."""
    with repoman.database.transaction():
        old = repoman.security.roles.get(role_id)
        check_taken({*old.privileges, *old.roles}, without, f"role {role_id}")
        changed = replace(
            old,
            name=old.name if name is None else name,
            description=old.description if description is None else description,
            privileges=_merged(old.privileges, privileges, without),
            roles=_merged(old.roles, roles, without),
        )
        repoman.security.roles.change(changed)
    click.echo(f"Updated the role {role_id}.")


@role.command()
@click.argument("role_id", metavar="ROLE")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_repoman
def delete(repoman: Repoman, role_id: str, yes: bool) -> None:
    """Delete the role ROLE and remove it from all users and roles."""
    if not yes:
        click.confirm(
            f"Delete the role {role_id} and remove it from all users and roles?", abort=True
        )
    repoman.security.roles.delete(role_id)
    click.echo(f"Deleted the role {role_id}.")


def check_taken(there: set[str], without: tuple[str, ...], whose: str) -> None:
    """Return if all that is to be taken away is there (Invalid): else it may be a slip."""
    for each in without:
        if each not in there:
            raise Invalid(f"--without {each}: the {whose} does not have it.")


def _merged(
    old: tuple[str, ...], new: tuple[str, ...], without: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(each for each in dict.fromkeys((*old, *new)) if each not in without)
