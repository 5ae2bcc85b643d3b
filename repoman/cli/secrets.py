"""Commands about the keys that encrypt secrets in the database."""

import click

from repoman.cli.common import check_data, cli_origin, with_data, with_repoman
from repoman.config import Settings
from repoman.core import Repoman
from repoman.events.origin import acting_as


@click.group()
def secret() -> None:
    """Rotate the keys that encrypt secrets in the database, or delete secrets whose key is lost."""


@secret.command()
@with_repoman
def rotate(repoman: Repoman) -> None:
    """Encrypt all secrets with a new key. A running server uses it at once."""
    count = repoman.database.rotate_keys()
    click.echo(f"Encrypted {count} secrets with a new key in {repoman.database.keyring.path}.")


@secret.command()
@click.confirmation_option(prompt="Delete all secrets that no key in the key file can decrypt?")
@with_data
def forget(settings: Settings) -> None:
    """Delete the secrets that no key in the key file can decrypt, after the key file was lost."""
    check_data(settings)
    database = Repoman(settings).database
    with acting_as(cli_origin()):
        count = database.open(forget=True)
    database.close()
    click.echo(f"Deleted {count} secrets. Restart the server if it is running.")
