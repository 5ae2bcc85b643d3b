"""Commands about the audit log."""

import json
from datetime import UTC, datetime

import click

from repoman.cli.common import with_repoman
from repoman.core import Repoman


@click.group()
def audit() -> None:
    """Read the audit log."""


@audit.command("list")
@click.option("--since", type=click.DateTime(), help="Nothing before this time (UTC).")
@click.option("--actor", help="Only what this user did.")
@click.option("--domain", help="Only events of this domain: login, content.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@with_repoman
def list_(
    repoman: Repoman,
    since: datetime | None,
    actor: str | None,
    domain: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List events, the newest first."""
    given = {"actor": actor, "domain": domain}
    filters = {key: value for key, value in given.items() if value is not None}
    begin = since.replace(tzinfo=UTC).timestamp() if since else 0.0
    for row in repoman.audit.search(filters, begin, limit):
        if as_json:
            click.echo(json.dumps(row))
            continue
        at = datetime.fromtimestamp(row["at"], UTC).isoformat(timespec="seconds")
        what = f"{row['domain']}.{row['type']} {row['repository'] or '-'} {row['target'] or '-'}"
        outcome = "ok" if row["is_success"] else "failed"
        click.echo(f"{at} {row['actor'] or '-'} {row['address'] or '-'} {what} {outcome}")
