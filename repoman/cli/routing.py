"""Commands about routing rules; a running server applies the changes within seconds."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from repoman.cli.common import AS_JSON, print_details, with_repoman
from repoman.core import Repoman
from repoman.repositories.routing import merge_rule
from repoman.repositories.routing_records import RoutingMode, RoutingRule

MODES = click.Choice([each.value for each in RoutingMode])


@click.group()
def routing() -> None:
    """List, create, change, test and delete routing rules."""


@routing.command("list")
@AS_JSON
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the routing rules, and how many repositories use them."""
    rules, uses = repoman.routing_rules.all(), repoman.routing_rules.count_uses()
    if as_json:
        click.echo(json.dumps([_described(each, uses) for each in rules], indent=2))
        return
    width = max([0, *(len(each.name) for each in rules)])
    for each in rules:
        used = f"used by {uses[each.name.lower()]}"
        click.echo(f"{each.name:<{width}}  {each.mode} {' '.join(each.matchers)}  ({used})")


@routing.command()
@click.argument("name")
@AS_JSON
@with_repoman
def show(repoman: Repoman, name: str, as_json: bool) -> None:
    """Show the routing rule NAME, and how many repositories use it."""
    rules = repoman.routing_rules
    print_details(_described(rules.get(name), rules.count_uses()), as_json=as_json)


@routing.command()
@click.argument("name")
@click.argument("matchers", nargs=-1, required=True)
@click.option("--mode", type=MODES, default="block", show_default=True, help="What matchers do.")
@click.option("--description", default="", help="Description of the rule.")
@with_repoman
def create(
    repoman: Repoman, name: str, matchers: tuple[str, ...], mode: str, description: str
) -> None:
    """Create the routing rule NAME from MATCHERS, regular expressions on whole paths."""
    repoman.routing_rules.create(RoutingRule(name, RoutingMode(mode), matchers, description))
    click.echo(f"Created the routing rule {name}.")


@routing.command("set")
@click.argument("name")
@click.argument("matchers", nargs=-1)
@click.option("--mode", type=MODES, help="What matchers do.")
@click.option("--description", help="Description of the rule.")
@click.option("--rename", metavar="NEW", help="A new name, which its repositories then use.")
@with_repoman
def set_(
    repoman: Repoman,
    name: str,
    matchers: tuple[str, ...],
    mode: str | None,
    description: str | None,
    rename: str | None,
) -> None:
    """Change the routing rule NAME; MATCHERS replace all that it has."""
    with repoman.database.transaction():
        rule = merge_rule(
            repoman.routing_rules.get(name),
            name=rename,
            matchers=matchers or None,
            mode=None if mode is None else RoutingMode(mode),
            description=description,
        )
        repoman.routing_rules.change(name, rule)
    click.echo(f"Updated the routing rule {rule.name}.")


@routing.command("test")
@click.argument("name")
@click.argument("path")
@with_repoman
def test(repoman: Repoman, name: str, path: str) -> None:
    """Test whether the routing rule NAME allows PATH, such as /com/example/a.txt."""
    click.echo("yes" if repoman.routing_rules.get(name).allows([path]) else "no")


@routing.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_repoman
def delete(repoman: Repoman, name: str, yes: bool) -> None:
    """Delete the routing rule NAME, which no repository uses."""
    if not yes:
        click.confirm(f"Delete the routing rule {name}?", abort=True)
    repoman.routing_rules.delete(name)
    click.echo(f"Deleted the routing rule {name}.")


def _described(rule: RoutingRule, uses: Mapping[str, int]) -> dict[str, Any]:
    return {**asdict(rule), "in_use": uses[rule.name.lower()]}
