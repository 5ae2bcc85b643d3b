"""Commands about realms."""

import json

import click

from repoman.cli.common import AS_JSON, with_repoman
from repoman.core import Repoman


@click.group()
def realm() -> None:
    """List the realms; 'repoman option set realms active=…' changes which of them are active."""


@realm.command("list")
@AS_JSON
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the available realms: name, id in the REST API, whether it is active, and title."""
    realms = repoman.security.realms
    active = realms.active()
    found = [
        {"name": each.name, "id": each.id, "active": each.id in active, "title": each.title}
        for each in realms.available()
    ]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for each in found:
        state = "active" if each["active"] else "-"
        click.echo(f"{each['name']:<10} {each['id']:<24} {state:<6} {each['title']}")
