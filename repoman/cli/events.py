"""Commands about content events."""

import json
from dataclasses import asdict
from datetime import UTC, datetime

import click

from repoman.cli.common import MOMENT, with_repoman
from repoman.core import Repoman
from repoman.events.event import ContentEvent
from repoman.events.event_records import MAX_ID


@click.group()
def event() -> None:
    """Read the content events: what was stored, replaced and deleted."""


@event.command("list")
@click.option("--repository", help="Only events in this repository.")
@click.option("--actor", help="Only events of this user.")
@click.option("--source", help="Only events from this source: request, command, …")
@click.option("--kind", help="Only events of assets of this kind.")
@click.option("--path", help="Only events of the asset with this stored path.")
@click.option("--since", type=MOMENT, help="Only events at or after this time (UTC).")
@click.option("--oldest-first", is_flag=True, help="Begin with the oldest event.")
@click.option(
    "--after", type=click.IntRange(0, MAX_ID), help="Continue after the event with this id."
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@with_repoman
def list_(
    repoman: Repoman,
    since: datetime | None,
    oldest_first: bool,
    after: int | None,
    limit: int,
    as_json: bool,
    **given: str | None,
) -> None:
    """List content events, the newest first."""
    found, following = repoman.events.search(
        {key: value for key, value in given.items() if value},
        since=since.replace(tzinfo=UTC).timestamp() if since else 0.0,
        after=after,
        limit=limit,
        is_descending=not oldest_first,
    )
    for each in found:
        click.echo(json.dumps(asdict(each)) if as_json else _line_of(each))
    if following is not None:
        click.echo(f"There may be more: --after {following}", err=True)


def _line_of(event: ContentEvent) -> str:
    at = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="seconds")
    digest = event.new_digest or event.old_digest or "-"
    return f"{at} {event.actor} {event.change} {event.repository} {event.path or '-'} {digest}"
