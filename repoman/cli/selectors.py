"""Commands about content selectors; a running server applies the changes within seconds."""

import json
from dataclasses import asdict

import click

from repoman.cli.common import AS_JSON, print_details, with_repoman
from repoman.core import Repoman
from repoman.security.expressions import Subject, parse_expression
from repoman.security.rights_records import SelectorRow


@click.group()
def selector() -> None:
    """List, create, change, test and delete content selectors."""


@selector.command("list")
@AS_JSON
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the content selectors, with their expressions."""
    found = repoman.security.selectors.all()
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    width = max([0, *(len(each.name) for each in found)])
    for each in found:
        click.echo(f"{each.name:<{width}}  {each.expression}")


@selector.command()
@click.argument("name")
@AS_JSON
@with_repoman
def show(repoman: Repoman, name: str, as_json: bool) -> None:
    """Show the content selector NAME."""
    print_details(asdict(repoman.security.selectors.get(name)), as_json=as_json)


@selector.command()
@click.argument("name")
@click.argument("expression")
@click.option("--description", default="", help="Description of the content selector.")
@with_repoman
def create(repoman: Repoman, name: str, expression: str, description: str) -> None:
    """Create the content selector NAME, which selects the content that EXPRESSION matches."""
    repoman.security.selectors.create(SelectorRow(name, expression, description))
    click.echo(f"Created the content selector {name}.")


@selector.command("set")
@click.argument("name")
@click.argument("expression", required=False)
@click.option("--description", help="Description of the content selector.")
@with_repoman
def set_(repoman: Repoman, name: str, expression: str | None, description: str | None) -> None:
    """Change the EXPRESSION or the description of the content selector NAME."""
    repoman.security.selectors.change(name, expression, description)
    click.echo(f"Updated the content selector {name}.")


@selector.command("test")
@click.argument("name")
@click.argument("format", metavar="FORMAT")
@click.argument("path")
@with_repoman
def test(repoman: Repoman, name: str, format: str, path: str) -> None:
    """Test whether the content selector NAME matches PATH in repositories of FORMAT."""
    expression = parse_expression(repoman.security.selectors.get(name).expression)
    click.echo("yes" if expression.holds(Subject(format, path)) else "no")


@selector.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@with_repoman
def delete(repoman: Repoman, name: str, yes: bool) -> None:
    """Delete the content selector NAME and the privileges that use it."""
    if not yes:
        click.confirm(f"Delete the content selector {name} and its privileges?", abort=True)
    repoman.security.selectors.delete(name)
    click.echo(f"Deleted the content selector {name}.")
