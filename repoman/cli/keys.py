"""Commands about TLS certificates, and about the keys that encrypt secrets in the database."""

import socket

import click

from repoman.cli.common import check_data, cli_origin, with_data, with_repoman
from repoman.config import Settings
from repoman.core import Repoman
from repoman.events.origin import acting_as
from repoman.http.router import registered_formats
from repoman.printable import pluralize
from repoman.security.certificates import CertificateFiles, create_certificate, describe_certificate

VALIDITY_DAYS = 825  # The longest validity that all clients accept.


@click.group()
def cert() -> None:
    """Create and show TLS certificates."""


@cert.command()
@click.argument("names", nargs=-1)
@click.option("--days", type=click.IntRange(1, 3650), default=VALIDITY_DAYS, show_default=True)
@with_data
def create(settings: Settings, names: tuple[str, ...], days: int) -> None:
    """Create a certificate for NAMES (host names, addresses), signed by an authority of your own.

    Without NAMES it is for this machine. A running server loads it at once.
    """
    files = CertificateFiles.below(settings.data.absolute() / "tls")
    create_certificate(files, names or _own_names(settings), days)
    _print(describe_certificate(files.certificate))
    click.echo(f"\nClients have to trust {files.authority}. Where to install it:")
    for format_ in registered_formats(Repoman(settings)).values():
        if format_.trust is not None:
            click.echo(f"  {format_.title}: {format_.trust}")


@cert.command()
@with_data
def show(settings: Settings) -> None:
    """Show the configured certificates."""
    data = settings.data.absolute()
    _print(describe_certificate(data / settings.tls.certificate))
    for host in settings.tls.hosts.values():
        _print(describe_certificate(data / host.certificate))


def _own_names(settings: Settings) -> list[str]:
    host = settings.server.host
    own = [] if host in ("*", "::", "0.0.0.0") else [host]  # noqa: S104 - compared, not bound
    return [socket.getfqdn(), socket.gethostname(), "localhost", "127.0.0.1", "::1", *own]


def _print(facts: dict[str, str]) -> None:
    for what, text in facts.items():
        click.echo(f"{what + ':':<13}{text}")


@click.group()
def secret() -> None:
    """Rotate the keys that encrypt secrets in the database, or delete secrets whose key is lost."""


@secret.command()
@with_repoman
def rotate(repoman: Repoman) -> None:
    """Encrypt all secrets with a new key. A running server uses it at once."""
    count = repoman.database.rotate_keys()
    click.echo(
        f"Encrypted {pluralize(count, 'secret')} with a new key in {repoman.database.keyring.path}."
    )


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
    click.echo(f"Deleted {pluralize(count, 'secret')}. Restart the server if it is running.")
