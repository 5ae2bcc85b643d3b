"""Commands about local users."""

import click

from repoman.cli.common import read_stdin, render_time, with_repoman
from repoman.cli.roles import check_taken
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.security.actors import LOCAL

FROM_STDIN = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input instead of asking for it.",
)


@click.group()
def user() -> None:
    """List, create, change and delete users."""


@user.command("list")
@with_repoman
def list_(repoman: Repoman) -> None:
    """List the users."""
    for each in repoman.users.all():
        state = "active" if each.is_active else "disabled"
        kind = "robot" if each.realm == LOCAL and not each.has_password else each.realm
        roles = " ".join(dict.fromkeys((*each.roles, *each.external_roles)))
        last = each.last_login_at
        seen = "never logged in" if last is None else f"last login {render_time(last)}"
        click.echo(f"{each.name:<20} {kind:<6} {state:<8} {seen}  {roles}".rstrip())


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="A role of the user. Can be repeated.")
@click.option(
    "--robot",
    is_flag=True,
    help="Create a robot: a user without a password, who logs in with tokens only.",
)
@FROM_STDIN
@with_repoman
def create(
    repoman: Repoman, name: str, roles: tuple[str, ...], robot: bool, password_stdin: bool
) -> None:
    """Create the user NAME."""
    if robot and password_stdin:
        raise Invalid("A robot has no password: leave out --robot or --password-stdin.")
    password = None if robot else _password(from_stdin=password_stdin)
    repoman.users.create(name, password, roles)
    click.echo(f"Created the {'robot' if robot else 'user'} {name}.")


@user.command("set")
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="A role to add. Can be repeated.")
@click.option("--without", multiple=True, help="A role to remove. Can be repeated.")
@click.option("--enable/--disable", "is_active", default=None, help="Whether the user can log in.")
@click.option("--first-name", help="First name.")
@click.option("--last-name", help="Last name.")
@click.option("--email", help="Mail address.")
@with_repoman
def set_(
    repoman: Repoman,
    name: str,
    roles: tuple[str, ...],
    without: tuple[str, ...],
    is_active: bool | None,
    **about: str | None,
) -> None:
    """Change the user NAME: given values are added or replaced, the rest stays as it is."""
    given = {key: value for key, value in about.items() if value is not None}
    with repoman.database.transaction():
        old = repoman.users.get(name).roles
        check_taken(set(old), without, f"user {name}")
        kept = [each for each in (*old, *roles) if each not in without]
        repoman.users.change(name, roles=kept, is_active=is_active, about=given)
    click.echo(f"Updated the user {name}.")


@user.command()
@click.argument("name")
@FROM_STDIN
@with_repoman
def password(repoman: Repoman, name: str, password_stdin: bool) -> None:
    """Change the password of the user NAME."""
    repoman.users.set_password(name, _password(from_stdin=password_stdin))
    click.echo(f"Changed the password of {name}.")


@user.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_repoman
def delete(repoman: Repoman, name: str, yes: bool) -> None:
    """Delete the user NAME."""
    if not yes:
        click.confirm(f"Delete the user {name}?", abort=True)
    repoman.users.delete(name)
    click.echo(f"Deleted the user {name}.")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return read_stdin()
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
