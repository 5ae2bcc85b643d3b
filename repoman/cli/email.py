"""Commands about e-mail."""

import click

from repoman.cli.common import with_repoman
from repoman.core import Repoman


@click.group()
def email() -> None:
    """Test the mail server; change it with 'repoman option set email'."""


@email.command()
@click.argument("address")
@with_repoman
def test(repoman: Repoman, address: str) -> None:
    """Send a test message to ADDRESS. Works before e-mail is enabled."""
    repoman.mailer.verify(address)
    click.echo(f"Sent a test message to {address}.")
