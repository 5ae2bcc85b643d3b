"""Commands about the server as a whole: serve, init, check-config, plugins."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from typing import Any

import click

from repoman.cli.common import with_data, with_settings
from repoman.config import Settings
from repoman.core import Repoman
from repoman.plugins import installed_plugins
from repoman.printable import PrintableFormatter
from repoman.sections import MASK
from repoman.server.process import serve as run_server

SECRET = re.compile("password|secret|token|key|credential", re.IGNORECASE)


ADOPT = click.option(
    "--adopt",
    is_flag=True,
    help=(
        "Use blob stores that belong to another database. Blobs that this database does "
        "not reference are removed."
    ),
)


@click.command()
@ADOPT
@with_data
def serve(settings: Settings, adopt: bool) -> None:
    """Run the server until it is stopped."""
    with _logging(settings):
        run_server(settings, _announce, adopt=adopt)


@click.command()
@ADOPT
@with_data
def init(settings: Settings, adopt: bool) -> None:
    """Create the data directory, the first user and the first repositories."""
    with Repoman(settings, adopt=adopt) as repoman:
        click.echo(f"The data is in {repoman.data}.")


@click.command("check-config")
@with_settings
def check_config(settings: Settings) -> None:
    """Check the configuration and print the effective settings."""
    click.echo(json.dumps(_shown(settings), indent=2))
    click.echo("The configuration is valid.", err=True)


def _shown(settings: Settings) -> dict[str, Any]:
    """Return the settings with stars for what may be secret.

    Which keys of a blob store or a repository are, plugins know; here their names have to do.
    """
    values: dict[str, Any] = settings.model_dump(mode="json")
    for each in (values["blob_stores"], *values["bootstrap"]["repositories"]):
        _mask(each)
    return values


def _mask(values: dict[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _mask(value)
        elif value and SECRET.search(key):
            values[key] = MASK


@click.command()
@with_settings
def plugins(settings: Settings) -> None:
    """List the installed plugins."""
    for name, distribution, version in installed_plugins(Repoman(settings).plugins):
        click.echo(f"{name:<20} {distribution} {version}")


def _announce(addresses: list[tuple[str, str]]) -> None:
    width = max(12, *(len(name) for name, _ in addresses))
    for name, url in addresses:
        click.echo(f"{name:<{width}} {url}")
    click.echo("repoman is ready")


@contextmanager
def _logging(settings: Settings) -> Iterator[None]:
    """Log to standard error, from a thread of its own: a slow reader there delays no request."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    records: SimpleQueue[logging.LogRecord] = SimpleQueue()
    listener = _Listener(records, handler)
    root = logging.getLogger()
    root.addHandler(_Enqueue(records))
    root.setLevel(settings.log.level)
    logging.getLogger("peewee").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.INFO)  # it logs queries, which may be secret
    listener.start()
    try:
        yield
    finally:
        listener.stop()


class _Listener(QueueListener):
    """Outlives records that cannot be written; there is nowhere else to tell of them."""

    def handle(self, record: logging.LogRecord) -> None:
        with suppress(Exception):
            super().handle(record)


class _Enqueue(QueueHandler):
    """Hands records over as they are; the listener formats them."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record
