"""Commands about cleanup policies."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import click

from repoman.catalog.contents import render_id
from repoman.cleanup.preview import Decision, Explained, Preview, PreviewQuery
from repoman.cli.common import AS_JSON, print_details, with_repoman
from repoman.core import Repoman
from repoman.printable import pluralize, render_size
from repoman.repositories.cleanup import RELEASE_TYPES
from repoman.repositories.cleanup_records import ALL_FORMATS, PATTERNS, CleanupPolicy

LISTED = 1000  # Components that a preview lists, unless the command says otherwise.

NOTES = click.option("--notes", help="Notes for administrators.")
CRITERIA = (
    click.option(
        "--updated-days",
        "last_updated_days",
        type=int,
        help="Only components that were stored at least so many days ago.",
    ),
    click.option(
        "--downloaded-days",
        "last_downloaded_days",
        type=int,
        help="Only components that were not downloaded for so many days.",
    ),
    click.option(
        "--release-type",
        type=click.Choice(RELEASE_TYPES, case_sensitive=False),
        help="Only releases, or only pre-releases.",
    ),
    click.option("--asset-regex", help="Only components with an asset whose whole path matches."),
    click.option(
        "--name-pattern",
        "name_patterns",
        multiple=True,
        help="Only components with such a name, as in team/*. Can be repeated.",
    ),
    click.option(
        "--version-pattern",
        "version_patterns",
        multiple=True,
        help="Only components with such a version or tag, as in build-*. Can be repeated.",
    ),
    click.option(
        "--keep-name",
        "keep_names",
        multiple=True,
        help="Components with such a name stay. Can be repeated.",
    ),
    click.option(
        "--keep-version",
        "keep_versions",
        multiple=True,
        help="Components with such a version or tag stay. Can be repeated.",
    ),
    click.option("--retain", type=int, help="So many of the newest versions stay."),
    click.option(
        "--sort-by",
        help="date: the newest is what was stored last; version: the highest version (default).",
    ),
)


def _with_criteria(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(CRITERIA):
        command = option(command)
    return command


@click.group()
def cleanup() -> None:
    """List, create, change, try and delete cleanup policies."""


@cleanup.command("list")
@AS_JSON
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the cleanup policies, and how many repositories use them."""
    policies, uses = repoman.cleanup_policies.all(), repoman.cleanup_policies.count_uses()
    if as_json:
        click.echo(json.dumps([_described(each, uses) for each in policies], indent=2))
        return
    width = max([0, *(len(each.name) for each in policies)])
    for each in policies:
        used = f"used by {uses[each.name.lower()]}"
        click.echo(f"{each.name:<{width}}  {each.format}  {_criteria_of(each)}  ({used})")


@cleanup.command()
@click.argument("name")
@AS_JSON
@with_repoman
def show(repoman: Repoman, name: str, as_json: bool) -> None:
    """Show the cleanup policy NAME, and how many repositories use it."""
    policies = repoman.cleanup_policies
    print_details(_described(policies.get(name), policies.count_uses()), as_json=as_json)


@cleanup.command()
@click.argument("name")
@click.option(
    "--format",
    "format_",
    default=ALL_FORMATS,
    show_default=True,
    help="Format of the repositories that can use it; *: any.",
)
@NOTES
@_with_criteria
@with_repoman
def create(repoman: Repoman, name: str, format_: str, **criteria: Any) -> None:
    """Create the cleanup policy NAME."""
    repoman.cleanup_policies.create(CleanupPolicy(name, format_, **criteria))
    click.echo(f"Created the cleanup policy {name}.")


@cleanup.command("set")
@click.argument("name")
@click.option("--format", "format_", help="Format of the repositories that can use it; *: any.")
@NOTES
@_with_criteria
@click.option(
    "--unset",
    multiple=True,
    type=click.Choice(
        [
            *("updated-days", "downloaded-days", "release-type", "asset-regex", "retain"),
            *("sort-by", "name-patterns", "version-patterns", "keep-names", "keep-versions"),
        ]
    ),
    help="A criterion to remove. Can be repeated.",
)
@with_repoman
def set_(
    repoman: Repoman, name: str, format_: str | None, unset: tuple[str, ...], **criteria: Any
) -> None:
    """Change criteria of the cleanup policy NAME; the others stay."""
    given = {**criteria, "format": format_}
    changes = {key: value for key, value in given.items() if value not in (None, ())}
    removed: dict[str, Any] = {
        name: () if name in PATTERNS else None for name in map(_attribute_of, unset)
    }
    with repoman.database.transaction():
        policy = repoman.cleanup_policies.get(name)
        repoman.cleanup_policies.change(name, replace(policy, **changes, **removed))
    click.echo(f"Updated the cleanup policy {policy.name}.")


@cleanup.command()
@click.argument("repository")
@click.option(
    "--policy",
    "names",
    multiple=True,
    help="A policy to try. Can be repeated; default: those that REPOSITORY uses.",
)
@click.option(
    "--show",
    type=click.Choice(["goes", "kept", "all"]),
    default="goes",
    show_default=True,
    help="Which components to list.",
)
@click.option("--filter", "text", default="", help="Words, each in a name or version.")
@click.option(
    "--limit", type=click.IntRange(1), default=LISTED, show_default=True, help="How many to list."
)
@_with_criteria
@AS_JSON
@with_repoman
def preview(
    repoman: Repoman,
    repository: str,
    names: tuple[str, ...],
    show: str,
    text: str,
    limit: int,
    as_json: bool,
    **criteria: Any,
) -> None:
    """Show what cleanup policies would remove from REPOSITORY now, and why; remove nothing.

    With criteria, it shows what a policy with them would remove; no policy is stored.
    """
    policies = [repoman.cleanup_policies.get(each) for each in names] or None
    if any(value not in (None, ()) for value in criteria.values()):
        if names:
            raise click.UsageError("Try either policies (--policy) or criteria.")
        policies = [CleanupPolicy("", **criteria)]
    decision = None if show == "all" else Decision(show)
    found = repoman.cleanup_preview.preview(
        repoman.contents.repository(repository, None),
        policies,
        None,
        PreviewQuery(decision, text, size=limit),
    )
    if as_json:
        told = {"goes": found.goes, "kept": found.kept, "size": found.size}
        told |= {"freed": found.freed, "is_more_freed": found.is_more_freed}
        told["is_complete"] = found.is_complete
        items = [_explained(each) for each in found.items]
        click.echo(json.dumps({**told, "items": items}, indent=2))
        return
    for each in found.items:
        click.echo(f"{_shown(each)}  {each.reason}")
    click.echo(_summary(found))


@cleanup.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_repoman
def delete(repoman: Repoman, name: str, yes: bool) -> None:
    """Delete the cleanup policy NAME, also from the repositories that use it."""
    if not yes:
        click.confirm(f"Delete the cleanup policy {name}?", abort=True)
    repoman.cleanup_policies.delete(name)
    click.echo(f"Deleted the cleanup policy {name}.")


def _described(policy: CleanupPolicy, uses: Mapping[str, int]) -> dict[str, Any]:
    return {**asdict(policy), "in_use": uses[policy.name.lower()]}


def _shown(component: Explained) -> str:
    return f"{component.shown.name}:{component.shown.version}".rstrip(":")


def _explained(component: Explained) -> dict[str, Any]:
    return {
        "id": render_id(component),
        **asdict(component.shown),
        "size": component.size,
        "decision": component.decision,
        "reason": component.reason,
        "policy": component.policy or None,
    }


def _summary(found: Preview) -> str:
    goes = "goes" if found.goes == 1 else "go"
    stays = "stays" if found.kept == 1 else "stay"
    least = "at least " if found.is_more_freed else ""
    freed = f"{least}{render_size(found.freed)} of {render_size(found.size)} will be freed"
    told = f"{pluralize(found.goes, 'component')} {goes} ({freed}), {found.kept} {stays}"
    if found.next is not None:
        told += "; not all are listed"
    return told + (
        "." if found.is_complete else "; the repository is too large to examine all of it."
    )


def _attribute_of(option: str) -> str:
    name = option.replace("-", "_")
    return f"last_{name}" if name.endswith("days") else name


def _criteria_of(policy: CleanupPolicy) -> str:
    values = asdict(policy)
    keys = [key for key in values if key not in ("name", "format", "notes")]
    given = {key: values[key] for key in keys if values[key] not in (None, ())}
    told = {key: ",".join(each) if key in PATTERNS else each for key, each in given.items()}
    return " ".join(f"{key}={each}" for key, each in told.items()) or "-"
