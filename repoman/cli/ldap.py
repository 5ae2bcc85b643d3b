"""Commands about the directories of users."""

import json
from collections.abc import Callable
from typing import Any

import click

from repoman.cli.common import (
    AS_JSON,
    parse_assignments,
    print_details,
    read_stdin,
    read_values,
    with_repoman,
)
from repoman.core import Repoman
from repoman.errors import Invalid, RepomanError
from repoman.sections import merge, parse_section
from repoman.security.ldap_servers import LdapServer, directory_of
from repoman.security.options import LDAP_OPTIONS, LdapOptions


@click.group()
def ldap() -> None:
    """Test LDAP logins; list, create, change and order further LDAP servers.

    The options of the first directory are changed with 'repoman option set ldap'.
    """


@ldap.command()
@click.argument("name", metavar="USER")
@click.option("--server", help="The LDAP server to ask; default: the options ldap.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--no-password", is_flag=True, help="Look the user up without checking a password.")
@with_repoman
def test(
    repoman: Repoman, name: str, server: str | None, password_stdin: bool, no_password: bool
) -> None:
    """Log in as USER and print each step. Works before the realm is enabled."""
    options = _directory(repoman, server)
    if not options.enabled:
        click.echo("The realm is not enabled: nobody can log in with it yet.")
    if not options.start_tls and any(url.startswith("ldap:") for url in options.urls):
        click.echo(
            "Passwords are sent to ldap:// servers in plain text: set start_tls, or use ldaps://."
        )
    password = "" if no_password else _password(from_stdin=password_stdin)
    if not name or not (password or no_password):
        raise Invalid("A name or password that is empty lets nobody in.")
    trial = repoman.ldap_trials.ask(options, name, password)
    for step in trial.steps:
        click.echo(step)
    if not trial.is_good:
        raise RepomanError(f"{name} cannot log in.")
    for what, value in trial.facts:
        click.echo(f"{what.lower().replace('-', ''):<10} {value or '-'}")


@ldap.command()
@click.option("--server", help="The LDAP server to ask; default: the options ldap.")
@with_repoman
def users(repoman: Repoman, server: str | None) -> None:
    """List the first users of a directory with their groups, to see whether the settings fit."""
    trial = repoman.ldap_trials.list_people(_directory(repoman, server))
    for step in trial.steps:
        click.echo(step, err=True)
    if trial.people is None:
        raise RepomanError("The directory did not list its users.")
    for each in trial.people:
        details = (each.name, each.full_name, each.email, ", ".join(each.group_names))
        click.echo("  ".join(filter(None, details)))


@ldap.command()
@with_repoman
def forget(repoman: Repoman) -> None:
    """Have the server forget what it remembers of users, so that it asks the directories again."""
    repoman.ldap_servers.forget()
    click.echo("The directories will be asked again.")


def _directory(repoman: Repoman, server: str | None) -> LdapOptions:
    if server is not None:
        return directory_of(repoman.ldap_servers.get(server))
    options = repoman.options.get(LDAP_OPTIONS, LdapOptions)
    if not (options.urls and options.user_base):
        raise Invalid(
            "The options ldap have no urls or no user_base. Set them with 'repoman option "
            "set ldap', or name an LDAP server with --server."
        )
    return options


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return read_stdin()
    return str(click.prompt("Password", hide_input=True))


@ldap.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print all settings as JSON.")
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the LDAP servers in the order in which they are asked."""
    found = repoman.ldap_servers.all()
    if as_json:
        click.echo(json.dumps([each.model_dump(mode="json") for each in found], indent=2))
        return
    for each in found:
        click.echo(f"{each.name}  {each.protocol.lower()}://{each.host}:{each.port}")


@ldap.command()
@click.argument("name")
@AS_JSON
@with_repoman
def show(repoman: Repoman, name: str, as_json: bool) -> None:
    """Show the settings of the LDAP server NAME, with secrets masked."""
    print_details(repoman.ldap_servers.get(name).model_dump(mode="json"), as_json=as_json)


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the settings of a server, as they were given."""
    command = click.argument("assignments", nargs=-1, metavar="[KEY=VALUE]...")(command)
    return click.option(
        "--stdin",
        "secrets",
        multiple=True,
        metavar="KEY",
        help="Take the value from standard input. If given several times, one line per value.",
    )(command)


@ldap.command()
@click.argument("name")
@_with_settings
@with_repoman
def create(
    repoman: Repoman, name: str, assignments: tuple[str, ...], secrets: tuple[str, ...]
) -> None:
    """Create the LDAP server NAME, which is asked after the others."""
    values = {**parse_assignments(assignments), **read_values(secrets)}
    repoman.ldap_servers.create(parse_section(LdapServer, {**values, "name": name}))
    click.echo(f"Created the LDAP server {name}.")


@ldap.command("set")
@click.argument("name")
@_with_settings
@with_repoman
def set_(
    repoman: Repoman, name: str, assignments: tuple[str, ...], secrets: tuple[str, ...]
) -> None:
    """Change keys of the LDAP server NAME; the other keys stay as they are."""
    values: dict[str, Any] = {**parse_assignments(assignments), **read_values(secrets)}
    if not values:
        raise Invalid("There is nothing to change: give KEY=VALUE.")
    with repoman.database.transaction():
        present = repoman.ldap_servers.get(name).model_dump()
        changed = parse_section(LdapServer, merge(LdapServer, present, values))
        repoman.ldap_servers.replace(name, changed)
    click.echo(f"Updated the LDAP server {name}.")


@ldap.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_repoman
def order(repoman: Repoman, names: tuple[str, ...]) -> None:
    """Ask the LDAP servers in this order; the others come after them."""
    repoman.ldap_servers.reorder(names)
    click.echo(f"The order is {', '.join(each.name for each in repoman.ldap_servers.all())}.")


@ldap.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_repoman
def delete(repoman: Repoman, name: str, yes: bool) -> None:
    """Delete the LDAP server NAME: its users can no longer log in."""
    if not yes:
        click.confirm(f"Delete the LDAP server {name}?", abort=True)
    repoman.ldap_servers.delete(name)
    click.echo(f"Deleted the LDAP server {name}.")
