"""Commands about the audit log."""

from datetime import UTC, datetime

import click

from repoman.cli.common import MOMENT, with_repoman
from repoman.core import Repoman
from repoman.events.event_records import MAX_ID
from repoman.security.audit_file import render_line

SHOWN = ("actor", "address", "repository", "target")


@click.group()
def audit() -> None:
    """Read the audit log."""


@audit.command("list")
@click.option("--since", type=MOMENT, help="Only events at or after this time (UTC).")
@click.option("--actor", help="Only events of this user.")
@click.option("--domain", help="Only events of this category: login, content, role, …")
@click.option("--type", help="Only events of this type: failed, push, delete, …")
@click.option("--repository", help="Only events that concern this repository.")
@click.option("--address", help="Only events from this address.")
@click.option(
    "--after", type=click.IntRange(1, MAX_ID), help="Continue after the event with this id."
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@with_repoman
def list_(
    repoman: Repoman,
    since: datetime | None,
    limit: int,
    after: int | None,
    as_json: bool,
    **given: str | None,
) -> None:
    """List events, the newest first."""
    filters = {key: value for key, value in given.items() if value is not None}
    begin = since.replace(tzinfo=UTC).timestamp() if since else 0.0
    rows = repoman.audit.search(filters, since=begin, limit=limit, after=after)
    for row in rows:
        if as_json:
            click.echo(render_line(row), nl=False)
            continue
        at = datetime.fromtimestamp(row["at"], UTC).isoformat(timespec="seconds")
        actor, address, repository, target = map(_word, (row[name] for name in SHOWN))
        what = f"{row['domain']}.{row['type']} {repository} {target}"
        outcome = "ok" if row["is_success"] else "failed"
        click.echo(f"{at} {actor} {address} {what} {outcome}")
    if len(rows) == limit:
        click.echo(f"There may be more: --after {rows[-1]['id']}", err=True)


def _word(text: str) -> str:
    """Return a value as one word; in quotation marks where it could pass for several."""
    if not text:
        return "-"
    return text if text.isprintable() and " " not in text else repr(text)
