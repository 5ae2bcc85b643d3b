"""Commands about the server as a whole: serve, init, check-config, plugins."""

import logging

import click

from repoman.cli.common import with_settings
from repoman.config import Settings
from repoman.core import Repoman
from repoman.plugins import installed_plugins
from repoman.server.process import serve as run_server


@click.command()
@with_settings
def serve(settings: Settings) -> None:
    """Run the server until it is told to end."""
    _set_up_logging(settings)
    run_server(settings, _announce)


@click.command()
@with_settings
def init(settings: Settings) -> None:
    """Make the data directory, the first user and the first repositories."""
    with Repoman(settings) as repoman:
        click.echo(f"The data is in {repoman.data}.")


@click.command("check-config")
@with_settings
def check_config(settings: Settings) -> None:
    """Check the configuration and say what it amounts to."""
    click.echo(settings.model_dump_json(indent=2))
    click.echo("The configuration is valid.", err=True)


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


def _set_up_logging(settings: Settings) -> None:
    logging.basicConfig(
        level=settings.log.level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("peewee").setLevel(logging.WARNING)
