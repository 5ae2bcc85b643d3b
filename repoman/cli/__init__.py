"""The command line ``repoman``."""

import sys
from importlib import import_module
from itertools import chain

import click

from repoman import __version__
from repoman.errors import Conflict, RepomanError
from repoman.plugins import create_plugin_manager, unique
from repoman.printable import printable

# From the name of a command to its module here, which is imported when the command is asked for.
COMMANDS = {
    "apply": "provisioning",
    "asset": "content",
    "audit": "audit",
    "blob": "blobs",
    "blobstore": "blob_stores",
    "cert": "keys",
    "check-config": "server",
    "cleanup": "cleanup",
    "component": "content",
    "doctor": "doctor",
    "email": "options",
    "event": "events",
    "export": "provisioning",
    "freeze": "server",
    "init": "server",
    "ldap": "ldap",
    "option": "options",
    "plugin": "plugin",
    "plugins": "plugin",
    "privilege": "privileges",
    "realm": "options",
    "release": "server",
    "repo": "repositories",
    "role": "roles",
    "routing": "routing",
    "search": "content",
    "secret": "keys",
    "selector": "selectors",
    "serve": "server",
    "support-zip": "server",
    "space": "space",
    "task": "task",
    "token": "tokens",
    "truststore": "truststore",
    "user": "users",
}


class _Commands(click.Group):
    """The commands of the core, and those of plugins; each is loaded only where needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*COMMANDS, *self._of_plugins()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return self._of_plugins().get(cmd_name)
        module = import_module(f"repoman.cli.{COMMANDS[cmd_name]}")
        found: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return found

    def _of_plugins(self) -> dict[str, click.Command]:
        found = chain(*create_plugin_manager([]).hook.repoman_register_commands())
        named = unique("command", [(str(each.name), each) for each in found])
        if taken := COMMANDS.keys() & named:
            raise Conflict(f"A plugin provides the command {min(taken)!r}, which is the core's.")
        return named


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="repoman")
def cli() -> None:
    """Run and administer a repository manager."""


def main() -> None:
    """Run the command line; an expected failure is one line on standard error and status 1."""
    # What is shown may come from anywhere: descriptions, answers of remotes, names that were tried.
    sys.stdout, sys.stderr = printable(sys.stdout), printable(sys.stderr)
    try:
        cli()
    except RepomanError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
