"""Commands about the keys of what is secret in the database."""

import click

from repoman.cli.common import check_data, cli_origin, with_data, with_repoman
from repoman.config import Settings
from repoman.core import Repoman


@click.group()
def secret() -> None:
    """Renew or give up the keys of what is secret in the database."""


@secret.command()
@with_repoman
def rotate(repoman: Repoman) -> None:
    """Seal all secrets by a new key. A running server follows."""
    count = repoman.database.rotate_keys()
    click.echo(f"Encrypted {count} secrets with a new key in {repoman.database.keyring.path}.")


@secret.command()
@click.confirmation_option(prompt="Delete all secrets that no key in the key file can decrypt?")
@with_data
def forget(settings: Settings) -> None:
    """Empty the secrets that no key in the key file opens: for a key file that is lost."""
    check_data(settings)
    repoman = Repoman(settings)
    repoman.audit.find_origin = cli_origin
    database = repoman.database
    count = database.open(forget=True)
    database.close()
    click.echo(f"Deleted {count} secrets. Restart the server if it is running.")
