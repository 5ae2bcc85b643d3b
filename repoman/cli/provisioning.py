"""Commands that write the configuration of a server to a file, and apply such a file."""

import json
import sys
from pathlib import Path
from typing import IO, Any

import click

from repoman.cli.common import PATH, read_values, with_repoman, write_file
from repoman.cli.connectors import check_connectors
from repoman.core import Repoman
from repoman.errors import Invalid

DIFFERS = 3  # The exit status of a dry run that found differences.
FORMS = ("yaml", "json")


@click.command()
@click.argument("file", type=PATH, default="-")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="Format of the file. Default: json if its name ends with .json, and yaml otherwise.",
)
@click.option("--full", is_flag=True, help="Include settings that have their default values.")
@with_repoman
def export(repoman: Repoman, file: Path, form: str | None, full: bool) -> None:
    """Write the configuration to FILE, or to standard output: all that 'repoman apply' can set.

    Secrets are not written; references to environment variables take their place. Users have no
    passwords and no tokens.
    """
    from repoman.provisioning.documents import render_document  # takes a while
    from repoman.provisioning.plan import Provisioning

    document, skipped = Provisioning(repoman).export(is_full=full)
    text = render_document(document, form or ("json" if file.suffix == ".json" else "yaml"))
    if str(file) == "-":
        click.echo(text, nl=False)
    else:
        write_file(file, text.encode())
    for each in skipped:
        click.echo(f"Not exported: {each}, whose format or type is not installed.", err=True)


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Only show the differences.")
@click.option(
    "--prune",
    is_flag=True,
    help="Delete what FILE does not mention, in the sections that it has.",
)
@click.option(
    "--stdin",
    "names",
    multiple=True,
    metavar="NAME",
    help=(
        "Take the value of {secret: NAME} from standard input instead of the environment. If "
        "given several times, one line per value."
    ),
)
@with_repoman
def apply(
    repoman: Repoman, file: IO[bytes], dry_run: bool, prune: bool, names: tuple[str, ...]
) -> None:
    """Make the configuration what FILE (YAML or JSON; - for standard input) says.

    What FILE does not mention stays as it is; keys that an object in FILE leaves out get their
    default values, but secrets stay. A running server applies the changes within seconds.

    With --dry-run the exit status is 3 if there are differences, and 0 if there are none.
    """
    from repoman.provisioning.documents import FILE_MAX_BYTES, Secrets, parse_document
    from repoman.provisioning.plan import Provisioning

    if names and file.name == "<stdin>":
        raise Invalid("Standard input can be FILE or the source of secrets, not both.")
    document = parse_document(file.read(FILE_MAX_BYTES + 1))
    secrets = Secrets({name: str(value) for name, value in read_values(names).items()})
    applied = Provisioning(repoman, secrets).apply(document, prune=prune, dry_run=dry_run)
    for change in applied.changes:
        click.echo(f"{change.what} {change.kind.noun} {change.name}")
        for path, old, new in change.values():
            click.echo(f"    {path}: {_told(old, new)}")
    for each in applied.skipped:
        click.echo(f"Left alone: {each}, whose format or type is not installed.", err=True)
    if not applied.changes:
        click.echo("There are no differences.")
    if dry_run:
        sys.exit(DIFFERS if applied.changes else 0)
    touched = {each.name for each in applied.changes if each.kind.section == "repositories"}
    if touched:
        check_connectors(repoman, touched)


def _told(old: Any, new: Any) -> str:
    from repoman.provisioning.plan import is_secret

    if is_secret(old, new):
        return "another secret"
    return " -> ".join(json.dumps(each, ensure_ascii=False) for each in (old, new))
