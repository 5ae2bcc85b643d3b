"""The command line ``repoman``."""

import sys
from itertools import chain

import click

from repoman import __version__
from repoman.cli.audit import audit
from repoman.cli.blob_stores import blobstore
from repoman.cli.blobs import blob
from repoman.cli.cleanup import cleanup
from repoman.cli.content import asset, component, search
from repoman.cli.doctor import doctor
from repoman.cli.email import email
from repoman.cli.events import event
from repoman.cli.keys import cert, secret
from repoman.cli.ldap import ldap
from repoman.cli.options import option
from repoman.cli.privileges import privilege
from repoman.cli.provisioning import apply, export
from repoman.cli.realms import realm
from repoman.cli.repositories import repo
from repoman.cli.rights import rights
from repoman.cli.roles import role
from repoman.cli.routing import routing
from repoman.cli.selectors import selector
from repoman.cli.server import (
    check_config,
    freeze,
    init,
    plugins,
    release,
    serve,
    support_zip,
)
from repoman.cli.task import task
from repoman.cli.tokens import token
from repoman.cli.truststore import truststore
from repoman.cli.usage import usage
from repoman.cli.users import user
from repoman.errors import Conflict, RepomanError
from repoman.plugins import create_plugin_manager, unique
from repoman.printable import printable


class _Commands(click.Group):
    """The commands of the core, and those of plugins, which are loaded only where needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self._of_plugins()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of this name."""
        return super().get_command(ctx, cmd_name) or self._of_plugins().get(cmd_name)

    def _of_plugins(self) -> dict[str, click.Command]:
        found = chain(*create_plugin_manager([]).hook.repoman_register_commands())
        named = unique("command", [(str(each.name), each) for each in found])
        if taken := self.commands.keys() & named:
            raise Conflict(f"A plugin provides the command {min(taken)!r}, which is the core's.")
        return named


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="repoman")
def cli() -> None:
    """Run and administer a repository manager."""


for command in (
    serve,
    init,
    check_config,
    plugins,
    repo,
    user,
    token,
    role,
    privilege,
    selector,
    option,
    realm,
    secret,
    ldap,
    email,
    cert,
    truststore,
    audit,
    event,
    usage,
    blob,
    blobstore,
    routing,
    cleanup,
    component,
    asset,
    search,
    task,
    freeze,
    release,
    support_zip,
    doctor,
    export,
    apply,
):
    cli.add_command(command)
user.add_command(rights)


def main() -> None:
    """Run the command line; an expected failure is one line on standard error and status 1."""
    # What is shown may come from anywhere: descriptions, answers of remotes, names that were tried.
    sys.stdout, sys.stderr = printable(sys.stdout), printable(sys.stderr)
    try:
        cli()
    except RepomanError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
