"""Commands about user tokens."""

import json
import time
from dataclasses import asdict

import click

from repoman.cli.common import render_time, with_repoman
from repoman.core import Repoman
from repoman.security.actors import READING, Action, Limit
from repoman.security.user_token_records import UserToken


@click.group()
def token() -> None:
    """List, create and revoke user tokens, which replace a password."""


@token.command("list")
@click.argument("user", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@with_repoman
def list_(repoman: Repoman, user: str | None, as_json: bool) -> None:
    """List the tokens of USER, or of all users."""
    if user is not None:
        repoman.users.get(user)
    found = repoman.security.user_tokens.of_user(user)
    if as_json:
        click.echo(json.dumps([_as_json(each) for each in found], indent=2))
        return
    for each in found:
        used = f"used {render_time(each.last_used_at)}" if each.last_used_at else "never used"
        click.echo(
            f"{each.user:<20} {each.id}  {each.name:<20} {_end(each)}, {used}  {_scope(each)}"
        )


@token.command()
@click.argument("user")
@click.argument("name")
@click.option(
    "--repository",
    "repositories",
    multiple=True,
    help="A pattern of repository names. Can be repeated.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    help="A pattern of names inside the repositories (acme/*). Can be repeated.",
)
@click.option(
    "--action",
    "actions",
    multiple=True,
    type=click.Choice([each.value for each in Action]),
    help="An allowed action. Can be repeated. Default: everything that the user is allowed to do.",
)
@click.option("--read-only", is_flag=True, help="Short for --action browse --action read.")
@click.option("--days", type=int, help="Lifetime in days; default: the token never expires.")
@with_repoman
def create(
    repoman: Repoman,
    user: str,
    name: str,
    repositories: tuple[str, ...],
    names: tuple[str, ...],
    actions: tuple[str, ...],
    read_only: bool,
    days: int | None,
) -> None:
    """Create the token NAME for USER and print its secret, which is not shown again."""
    allowed = frozenset(map(Action, actions)) | (READING if read_only else frozenset())
    limit = Limit(repositories, names, allowed)
    secret = repoman.security.user_tokens.create(user, name, limit, days)
    click.echo(f"Created the token {name} of {user}. This is its secret:", err=True)
    click.echo(secret)


@token.command()
@click.argument("user")
@click.argument("name")
@with_repoman
def revoke(repoman: Repoman, user: str, name: str) -> None:
    """Revoke the token of USER with this NAME or id."""
    ended = repoman.security.user_tokens.revoke(user, name)
    click.echo(f"Revoked the token {ended.name} of {user}.")


@token.command("revoke-all")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_repoman
def revoke_all(repoman: Repoman, yes: bool) -> None:
    """Revoke all tokens of all users."""
    if not yes:
        click.confirm("Revoke all tokens of all users?", abort=True)
    click.echo(f"Revoked {repoman.security.user_tokens.revoke_all()} tokens.")


def _end(token: UserToken) -> str:
    if token.expires_at is None:
        return "never expires"
    word = "until" if token.expires_at > time.time() else "expired"
    return f"{word} {render_time(token.expires_at)}"


def _scope(token: UserToken) -> str:
    limit = token.limit
    parts = [
        ("repositories", limit.repositories),
        ("names", limit.names),
        ("actions", sorted(limit.actions)),
    ]
    told = [f"{what} {' '.join(values)}" for what, values in parts if values]
    return "; ".join(told) or "everything that the user is allowed to do"


def _as_json(token: UserToken) -> dict[str, object]:
    values = asdict(token)
    del values["digest"]
    limit = token.limit
    values["limit"] = {**values["limit"], "actions": sorted(limit.actions)}
    return values
