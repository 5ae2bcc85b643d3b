"""Commands about repositories. A running server applies the changes within seconds."""

import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from repoman.cli.common import parse_assignments, read_values, with_repoman
from repoman.cli.connectors import addresses_of, check_connectors, list_problems, report_all
from repoman.cli.moves import move
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.proxy.cache_records import CacheRecords
from repoman.proxy.remote_health import Condition, RemoteState, render_status
from repoman.repositories.connectors import ConnectorReport
from repoman.repositories.model import Repository, RepositoryConfig, Step

Reports = Mapping[str, list[ConnectorReport]]

SET = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="A setting. Can be repeated. A list of names is a,b; other lists and tables are JSON.",
)
STDIN = click.option(
    "--stdin",
    "secrets",
    multiple=True,
    metavar="SECTION.KEY",
    help=(
        "A setting whose value is read from standard input. If given several times, one "
        "line per value."
    ),
)
ONLINE = click.option(
    "--online/--offline", default=None, help="Whether the repository accepts requests."
)


@click.group()
def repo() -> None:
    """List, create, change, move and delete repositories."""


repo.add_command(move)


@repo.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print all settings as JSON.")
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the repositories with their connectors.

    The exit status is 1 if the server could not open one of the connectors.
    """
    repositories = repoman.repositories.all()
    connectors = report_all(repoman)
    if as_json:
        click.echo(json.dumps([_as_json(each, connectors) for each in repositories], indent=2))
    else:
        width = max([4, *(len(each.name) for each in repositories)])
        for each in repositories:
            state, urls = _state_of(each, connectors), " ".join(addresses_of(repoman, each))
            click.echo(f"{each.name:<{width}}  {each.config.recipe:<16} {state:<8} {urls}".rstrip())
    problems = list_problems(repoman)
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        sys.exit(1)


def _state_of(repository: Repository, connectors: Reports) -> str:
    if repository.problem:
        return repository.problem
    if any(each.problem for each in connectors.get(repository.name, [])):
        return "error"
    return "online" if repository.config.is_online else "offline"


@repo.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the repository as JSON.")
@with_repoman
def show(repoman: Repoman, name: str, as_json: bool) -> None:
    """Show the repository NAME with all its settings; secrets are masked."""
    found = _as_json(repoman.repositories.get(name), report_all(repoman))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for key in ("name", "format", "type"):
        click.echo(f"{key}: {found[key]}")
    click.echo(f"online: {'yes' if found['online'] else 'no'}")
    if found["problem"]:
        click.echo(f"problem: {found['problem']}")
    for each in found["connectors"]:
        problem = f" ({each['problem']})" if each["problem"] else ""
        click.echo(f"connector: {each['url']} {each['state']}{problem}")
    for section, values in found["settings"].items():
        for key, value in values.items():
            click.echo(f"{section}.{key} = {json.dumps(value, ensure_ascii=False)}")


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
    """Create the repository NAME from RECIPE (format and type, such as raw-hosted)."""
    settings = _parse(assignments, secrets)
    made = repoman.repositories.create(name, recipe, settings, is_online=online is not False)
    _report("created", repoman, made)


@repo.command("set")
@click.argument("name")
@SET
@STDIN
@ONLINE
@with_repoman
def set_(
    repoman: Repoman,
    name: str,
    assignments: tuple[str, ...],
    secrets: tuple[str, ...],
    online: bool | None,
) -> None:
    """Change settings of the repository NAME; the other settings stay as they are."""
    settings = _parse(assignments, secrets)
    if not settings and online is None:
        raise Invalid("There is nothing to change: give --set SECTION.KEY=VALUE.")
    changed = repoman.repositories.update(name, settings, is_online=online)
    _report("changed", repoman, changed)


@repo.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option(
    "--from-groups", is_flag=True, help="Remove it from the groups that have it as a member."
)
@with_repoman
def delete(repoman: Repoman, name: str, yes: bool, from_groups: bool) -> None:
    """Delete the repository NAME with everything in it."""
    found = repoman.repositories.get(name)
    if not yes:
        click.confirm(f"Delete the repository {found.name} and all its content?", abort=True)
    repoman.repositories.delete(name, leaves_groups=from_groups)
    click.echo(f"Deleted the repository {found.name}.")


@repo.command()
@click.argument("name")
@click.option(
    "--name", "only", metavar="NAME", help="Only content with this name, such as an image."
)
@with_repoman
def invalidate(repoman: Repoman, name: str, only: str | None) -> None:
    """Have the proxy NAME check everything that can change, or was not found, again.

    For a group, its proxies do so.
    """
    repoman.repositories.invalidate(name, only)
    click.echo(
        f"{name} checks {only or 'everything that can change'} on its remote at the next request."
    )


@repo.command()
@click.argument("name")
@with_repoman
def status(repoman: Repoman, name: str) -> None:
    """Show the status of the remote of the proxy NAME, as the server last recorded it."""
    repoman.repositories.remote_of(name)
    config = repoman.repositories.get(name).config
    state = CacheRecords(repoman.database, config.id).find_state()
    if state is None:
        told = render_status(Condition.READY, is_online=config.is_online)
        click.echo(f"{name}: {told}; its remote has not been contacted yet.")
        return
    _tell_state(config, state)


@repo.command()
@click.argument("name")
@with_repoman
def check(repoman: Repoman, name: str) -> None:
    """Check the remote of the proxy NAME now, even if it is blocked after failures.

    A running server uses the result. The exit status is 1 unless the remote is available.
    """
    state = repoman.repositories.check(name)
    _tell_state(repoman.repositories.get(name).config, state)
    if state.condition != Condition.AVAILABLE:
        raise click.exceptions.Exit(1)


@repo.command()
@click.argument("name")
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="Print the trace as JSON.")
@with_repoman
def trace(repoman: Repoman, name: str, path: str, as_json: bool) -> None:
    """Show which member of the group NAME answers for PATH, and why.

    PATH is what content selectors compare. Proxies may contact their remotes, and cache what they
    find.
    """
    steps = repoman.repositories.trace(name, path)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in steps], indent=2))
        return
    _tell_steps(steps)


@repo.command("uploads")
@click.argument("name")
@click.option("--cancel", metavar="ID", help="Cancel the upload with this id instead.")
@click.option("--after", default="", metavar="ID", help="Continue after the upload with this id.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000))
@with_repoman
def uploads_(repoman: Repoman, name: str, cancel: str | None, after: str, limit: int) -> None:
    """List the unfinished uploads to the repository NAME, or cancel one of them."""
    repository = repoman.repositories.get(name)
    if cancel is not None:
        gone = repoman.open_uploads.cancel(repository, cancel, None).upload
        click.echo(f"The upload of {gone.actor} to {gone.scope} was cancelled.")
        return
    page = repoman.open_uploads.list(repository, None, after=after, limit=limit)
    for each in page.uploads:
        last = "never" if each.written_at is None else _render_time(each.written_at)
        click.echo(f"{each.upload.id} {each.upload.actor} {each.upload.scope} last byte: {last}")
    if page.next:
        click.echo(f"There may be more: --after {page.next}", err=True)


def _tell_steps(steps: Iterable[Step], indent: str = "") -> None:
    for each in steps:
        reason = f": {each.reason}" if each.reason else ""
        click.echo(f"{indent}{each.member}: {each.outcome}{reason}")
        _tell_steps(each.steps, f"{indent}    ")


def _tell_state(config: RepositoryConfig, state: RemoteState) -> None:
    told = render_status(state.condition, is_online=config.is_online)
    click.echo(f"{config.name}: {told} (recorded at {_render_time(state.at)})")
    if state.reason:
        click.echo(state.reason)
    if state.blocked_until is not None and state.blocked_until > time.time():
        click.echo(f"blocked until: {_render_time(state.blocked_until)}")
    for key, value in (state.budget or {}).items():
        click.echo(f"{key}: {value}")


def _render_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _report(what: str, repoman: Repoman, repository: Repository) -> None:
    click.echo(f"The repository {repository.name} was {what}.")
    for url in addresses_of(repoman, repository):
        click.echo(f"{repository.name} {url}")
    check_connectors(repoman, {repository.name})


def _as_json(repository: Repository, connectors: Reports) -> dict[str, Any]:
    config = repository.config
    return {
        "name": config.name,
        "format": config.format,
        "type": config.type,
        "online": config.is_online,
        "problem": repository.problem,
        "connectors": [
            {"url": each.url, "state": each.state, "problem": each.problem}
            for each in connectors.get(repository.name, [])
        ],
        "settings": config.settings(),
    }


def _parse(assignments: tuple[str, ...], secrets: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    given = parse_assignments(assignments, "SECTION.KEY=VALUE")
    settings: dict[str, dict[str, Any]] = {}
    for path, value in {**given, **read_values(secrets)}.items():
        section, dot, key = path.partition(".")
        if not (dot and section and key):
            raise Invalid(f"{path}: write a setting as SECTION.KEY.")
        settings.setdefault(section, {})[key] = value
    return settings
