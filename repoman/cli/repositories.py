"""Commands about repositories. They work beside a running server, which follows in a moment."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import click

from repoman.cli.common import parse_value, read_secrets, with_repoman
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.proxy.cache_records import CacheRecords
from repoman.proxy.remote import RemoteState, render_status
from repoman.proxy.status import Condition
from repoman.repositories.model import Repository, RepositoryConfig

SET = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="A setting; may be given several times. Values are JSON, or else text.",
)
STDIN = click.option(
    "--stdin",
    "secrets",
    multiple=True,
    metavar="SECTION.KEY",
    help="A setting whose value is a line of standard input; may be given several times.",
)
ONLINE = click.option("--online/--offline", default=None, help="Whether it serves requests.")


@click.group()
def repo() -> None:
    """List, make, change and delete repositories."""


@repo.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print all settings as JSON.")
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the repositories with their connectors."""
    repositories = repoman.repositories.all()
    if as_json:
        click.echo(json.dumps([_as_json(each) for each in repositories], indent=2))
        return
    width = max([4, *(len(each.name) for each in repositories)])
    for each in repositories:
        connectors = " ".join(c.url for c in repoman.repositories.connectors_of(each))
        state = each.problem or ("online" if each.config.is_online else "offline")
        line = f"{each.name:<{width}}  {each.config.recipe:<16} {state:<8} {connectors}"
        click.echo(line.rstrip())


@repo.command()
@click.argument("recipe")
@click.argument("name")
@SET
@STDIN
@ONLINE
@with_repoman
def create(
    repoman: Repoman,
    recipe: str,
    name: str,
    assignments: tuple[str, ...],
    secrets: tuple[str, ...],
    online: bool | None,
) -> None:
    """Make the repository NAME by RECIPE (format and type, such as raw-hosted)."""
    settings = _parse(assignments, secrets)
    made = repoman.repositories.create(name, recipe, settings, is_online=online is not False)
    _report("made", repoman, made)


@repo.command()
@click.argument("name")
@SET
@STDIN
@ONLINE
@with_repoman
def update(
    repoman: Repoman,
    name: str,
    assignments: tuple[str, ...],
    secrets: tuple[str, ...],
    online: bool | None,
) -> None:
    """Change settings of the repository NAME; the others stay."""
    settings = _parse(assignments, secrets)
    changed = repoman.repositories.update(name, settings, is_online=online)
    _report("changed", repoman, changed)


@repo.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_repoman
def delete(repoman: Repoman, name: str, yes: bool) -> None:
    """Delete the repository NAME with everything in it."""
    found = repoman.repositories.get(name)
    if not yes:
        click.confirm(f"Delete the repository {found.name} and all its content?", abort=True)
    repoman.repositories.delete(name)
    click.echo(f"The repository {found.name} is deleted.")


@repo.command()
@click.argument("name")
@click.option("--name", "only", metavar="NAME", help="Only what has this name, such as an image.")
@with_repoman
def invalidate(repoman: Repoman, name: str, only: str | None) -> None:
    """Have the proxy NAME ask its remote again for what can change, and for what it lacked."""
    repoman.repositories.invalidate(name, only)
    click.echo(f"{name} asks its remote again for {only or 'everything that can change'}.")


@repo.command()
@click.argument("name")
@with_repoman
def status(repoman: Repoman, name: str) -> None:
    """Tell how the remote of the proxy NAME is, as the server last wrote it down."""
    repoman.repositories.remote_of(name)
    config = repoman.repositories.get(name).config
    state = CacheRecords(repoman.database, config.id).find_state()
    if state is None:
        told = render_status(Condition.READY, is_online=config.is_online)
        click.echo(f"{name}: {told}; its remote has not been asked yet.")
        return
    _tell_state(config, state)


@repo.command()
@click.argument("name")
@with_repoman
def check(repoman: Repoman, name: str) -> None:
    """Ask the remote of the proxy NAME now, even if it is blocked after failures.

    A running server does the same. Exits with 1 unless the remote is available.
    """
    state = repoman.repositories.check(name)
    _tell_state(repoman.repositories.get(name).config, state)
    if state.condition != Condition.AVAILABLE:
        raise click.exceptions.Exit(1)


def _tell_state(config: RepositoryConfig, state: RemoteState) -> None:
    told = render_status(state.condition, is_online=config.is_online)
    click.echo(f"{config.name}: {told} (written at {_render_time(state.at)})")
    if state.reason:
        click.echo(state.reason)
    if state.blocked_until is not None and state.blocked_until > time.time():
        click.echo(f"blocked until: {_render_time(state.blocked_until)}")
    for key, value in (state.budget or {}).items():
        click.echo(f"{key}: {value}")


def _render_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _report(what: str, repoman: Repoman, repository: Repository) -> None:
    click.echo(f"The repository {repository.name} is {what}.")
    for connector in repoman.repositories.connectors_of(repository):
        click.echo(f"{repository.name} {connector.url}")


def _as_json(repository: Repository) -> dict[str, Any]:
    config = repository.config
    return {
        "name": config.name,
        "format": config.format,
        "type": config.type,
        "online": config.is_online,
        "problem": repository.problem,
        "settings": config.settings(),
    }


def _parse(assignments: tuple[str, ...], secrets: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    given: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise Invalid(f"--set {assignment}: write it as SECTION.KEY=VALUE.")
        given[path] = parse_value(text)
    settings: dict[str, dict[str, Any]] = {}
    for path, value in {**given, **read_secrets(secrets)}.items():
        section, dot, key = path.partition(".")
        if not (dot and section and key):
            raise Invalid(f"{path}: write a setting as SECTION.KEY.")
        settings.setdefault(section, {})[key] = value
    return settings
