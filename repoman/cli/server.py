"""Commands about the server as a whole: serve, init, check-config."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue

import click

from repoman.cli.common import PATH, with_data, with_repoman, with_settings, write_file
from repoman.config import Settings
from repoman.core import Repoman
from repoman.durable import PRIVATE_FILE_MODE
from repoman.events.origin import current_origin
from repoman.printable import LOG_FORMAT, PrintableFormatter
from repoman.server.process import serve as run_server
from repoman.support import make_support_zip, shown_settings

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
    click.echo(json.dumps(shown_settings(settings), indent=2))
    click.echo("The configuration is valid.", err=True)


@click.command()
@with_repoman
def freeze(repoman: Repoman) -> None:
    """Begin read-only mode: all changes of content and configuration are refused."""
    repoman.database.freeze(current_origin().actor)
    click.echo("The server is in read-only mode. 'repoman release' ends it.")


@click.command()
@with_repoman
def release(repoman: Repoman) -> None:
    """End read-only mode."""
    repoman.database.release()
    click.echo("Everything can be changed again.")


@click.command("support-zip")
@click.argument("file", type=PATH)
@with_repoman
def support_zip(repoman: Repoman, file: Path) -> None:
    """Write what helps to find out why something does not work to FILE, without secrets.

    The log and the threads of a running server are only in the file that its REST API makes.
    """
    write_file(file, make_support_zip(repoman), PRIVATE_FILE_MODE)
    click.echo(f"Wrote {file}.")


def _announce(addresses: list[tuple[str, str]]) -> None:
    width = max(12, *(len(name) for name, _ in addresses))
    for name, url in addresses:
        click.echo(f"{name:<{width}} {url}")
    click.echo("repoman is ready")


@contextmanager
def _logging(settings: Settings) -> Iterator[None]:
    """Log to standard error, from a thread of its own: a slow reader there delays no request."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter(LOG_FORMAT))
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
