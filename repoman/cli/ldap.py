"""Commands about the directory of users."""

import click

from repoman.cli.common import read_stdin, with_repoman
from repoman.core import Repoman
from repoman.errors import Invalid, RepomanError
from repoman.security.ldap import roles_of
from repoman.security.options import LDAP_OPTIONS, LdapOptions


@click.group()
def ldap() -> None:
    """Test the LDAP configuration; change it with 'repoman option set ldap'."""


@ldap.command()
@click.argument("name", metavar="USER")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--no-password", is_flag=True, help="Look the user up without checking a password.")
@with_repoman
def test(repoman: Repoman, name: str, password_stdin: bool, no_password: bool) -> None:
    """Log in as USER and print each step. Works before the realm is enabled."""
    from repoman.security.directory import Directory  # takes a while: not for all commands

    options = repoman.options.get(LDAP_OPTIONS, LdapOptions)
    if not (options.urls and options.user_base):
        raise Invalid(
            "The options ldap have no urls or no user_base. Set them with 'repoman option "
            "set ldap'."
        )
    if not options.enabled:
        click.echo("The realm is not enabled: nobody can log in with it yet.")
    if not options.start_tls and any(url.startswith("ldap:") for url in options.urls):
        click.echo(
            "Passwords are sent to ldap:// servers in plain text: set start_tls, or use ldaps://."
        )
    directory = Directory(options, click.echo)
    if no_password:
        person = directory.find(name)
    else:
        person = directory.log_in(name, _password(from_stdin=password_stdin))
    if person is None:
        raise RepomanError(f"{name} cannot log in.")
    full_name = f"{person.first_name} {person.last_name}".strip()
    for what, value in (
        ("name", person.name),
        ("full name", full_name),
        ("email", person.email),
        ("groups", ", ".join(person.groups)),
        ("roles", ", ".join(roles_of(person, options))),
    ):
        click.echo(f"{what:<10} {value or '-'}")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return read_stdin()
    return str(click.prompt("Password", hide_input=True))
