"""Commands about the certificates that outgoing connections trust."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from repoman.cli.common import AS_JSON, PATH, print_details, read_stdin, with_repoman
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.trust_store import Certificate, fetch_certificate


@click.group()
def truststore() -> None:
    """List, add and remove certificates that proxies, LDAP and e-mail can trust."""


@truststore.command("list")
@AS_JSON
@with_repoman
def list_(repoman: Repoman, as_json: bool) -> None:
    """List the certificates: fingerprint, end of validity, common name."""
    found = repoman.trust_store.all()
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    for each in found:
        click.echo(_line(each))


@truststore.command()
@click.argument("id", metavar="FINGERPRINT")
@AS_JSON
@with_repoman
def show(repoman: Repoman, id: str, as_json: bool) -> None:
    """Show the certificate with this SHA-1 FINGERPRINT."""
    print_details(asdict(repoman.trust_store.get(id)), as_json=as_json)


@truststore.command()
@click.argument("file", type=PATH)
@with_repoman
def add(repoman: Repoman, file: Path) -> None:
    """Trust the certificate in the PEM file FILE; - is standard input."""
    added = repoman.trust_store.add(_read(file))
    click.echo(f"Added the certificate {added.id} ({added.subject[0] or '-'}).")


@truststore.command()
@click.argument("id", metavar="FINGERPRINT")
@with_repoman
def remove(repoman: Repoman, id: str) -> None:
    """Remove the certificate with this SHA-1 FINGERPRINT."""
    repoman.trust_store.remove(id)
    click.echo(f"Removed the certificate {id.upper()}.")


@truststore.command()
@click.argument("host")
@click.argument("port", type=click.IntRange(1, 65535), default=443)
@with_repoman
def fetch(repoman: Repoman, host: str, port: int) -> None:
    """Print the certificate of the TLS server at HOST and PORT (443), without trusting it."""
    found = fetch_certificate(host, port)
    click.echo(_line(found), err=True)
    click.echo(found.pem, nl=False)


def _line(found: Certificate) -> str:
    end = datetime.fromtimestamp(found.expires_at, UTC)
    return f"{found.id}  {end:%Y-%m-%d}  {found.subject[0] or '-'}"


def _read(file: Path) -> str:
    if str(file) == "-":
        return read_stdin()
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read as a certificate: {error}") from error
