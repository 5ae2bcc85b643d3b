"""Commands about local users."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from repoman.cli.common import AS_JSON, read_stdin, render_time, with_repoman
from repoman.cli.rights import rights
from repoman.cli.roles import check_taken
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.security.actors import LOCAL
from repoman.security.user_records import Status, User

FROM_STDIN = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input instead of asking for it.",
)
STATUS = click.option(
    "--status",
    type=click.Choice([each.value for each in Status]),
    help="Whether the user can log in; changepassword: yes, and the pages ask for a new password.",
)
SHOWN = ("name", "realm", "status", "first_name", "last_name", "email", "roles", "external_roles")


def about_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options for what is known of a user."""
    for decorate in (
        click.option("--email", help="Mail address."),
        click.option("--last-name", help="Last name."),
        click.option("--first-name", help="First name."),
    ):
        command = decorate(command)
    return command


@click.group()
def user() -> None:
    """List, create, change and delete users."""


user.add_command(rights)


@user.command("list")
@AS_JSON
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the users."""
    if as_json:
        click.echo(json.dumps([_described(each) for each in repoman.users.all()], indent=2))
        return
    for each in repoman.users.all():
        kind = "robot" if each.realm == LOCAL and not each.has_password else each.realm
        roles = " ".join(dict.fromkeys((*each.roles, *each.external_roles)))
        last = each.last_login_at
        seen = "never logged in" if last is None else f"last login {render_time(last)}"
        click.echo(f"{each.name:<20} {kind:<6} {each.status:<8} {seen}  {roles}".rstrip())


@user.command()
@click.argument("name")
@AS_JSON
@with_repoman
def show(repoman: Repoman, name: str, as_json: bool) -> None:
    """Show the user NAME."""
    described = _described(repoman.users.get(name))
    if as_json:
        click.echo(json.dumps(described, indent=2))
        return
    for key, value in described.items():
        text = " ".join(value) if isinstance(value, (list, tuple)) else value
        click.echo(f"{key}: {'' if text is None else text}".rstrip())


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="A role of the user. Can be repeated.")
@STATUS
@about_options
@click.option(
    "--robot",
    is_flag=True,
    help="Create a robot: a user without a password, who logs in with tokens only.",
)
@FROM_STDIN
@with_repoman
def create(
    repoman: Repoman,
    name: str,
    roles: tuple[str, ...],
    status: str | None,
    robot: bool,
    password_stdin: bool,
    **about: str | None,
) -> None:
    """Create the user NAME."""
    if robot and password_stdin:
        raise Invalid("A robot has no password: leave out --robot or --password-stdin.")
    password = None if robot else _password(from_stdin=password_stdin)
    repoman.users.create(
        name, password, roles, status=Status(status or Status.ACTIVE), about=_given(about)
    )
    click.echo(f"Created the {'robot' if robot else 'user'} {name}.")


@user.command("set")
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="A role to add. Can be repeated.")
@click.option("--without", multiple=True, help="A role to remove. Can be repeated.")
@click.option(
    "--enable/--disable",
    "is_active",
    default=None,
    help="Short for --status active and --status disabled.",
)
@STATUS
@about_options
@with_repoman
def set_(
    repoman: Repoman,
    name: str,
    roles: tuple[str, ...],
    without: tuple[str, ...],
    is_active: bool | None,
    status: str | None,
    **about: str | None,
) -> None:
    """Change the user NAME: given values are added or replaced, the rest stays as it is."""
    if is_active is not None and status is not None:
        raise Invalid("Give either --status or --enable or --disable.")
    if is_active is not None:
        status = Status.ACTIVE if is_active else Status.DISABLED
    with repoman.database.transaction():
        old = repoman.users.get(name).roles
        check_taken(set(old), without, f"user {name}")
        kept = [each for each in (*old, *roles) if each not in without]
        new = None if status is None else Status(status)
        repoman.users.change(name, roles=kept, status=new, about=_given(about))
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


def _given(about: dict[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in about.items() if value is not None}


def _described(user: User) -> dict[str, Any]:
    """Return what may be told of a user."""
    values = asdict(user)
    last = user.last_login_at
    return {
        **{key: values[key] for key in SHOWN},
        "is_robot": user.realm == LOCAL and not user.has_password,
        "created": render_time(user.created_at),
        "last_login": None if last is None else render_time(last),
    }


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return read_stdin()
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
