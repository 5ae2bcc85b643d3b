"""Commands about plugins: which are installed, and a new one to begin with."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

import click

from repoman.cli.common import AS_JSON, PATH, with_settings
from repoman.config import Settings
from repoman.core import Repoman
from repoman.errors import Conflict, Invalid, Unavailable
from repoman.hookspecs import API_VERSION
from repoman.plugins import InstalledPlugin
from repoman.printable import pluralize

TEMPLATE = files("repoman.cli") / "templates" / "format"
SUFFIX = ".txt"  # Of the files of the template, which are no modules.
# A name is part of those of a module, a class, a distribution and of recipes.
_NAME = re.compile(r"[a-z][a-z0-9]{0,29}", re.ASCII)


@click.command()
@AS_JSON
@with_settings
def plugins(settings: Settings, as_json: bool) -> None:
    """List the installed plugins: their versions, what they bring, and what is wrong with them."""
    manager = Repoman(settings).plugins
    manager.try_start()
    found = manager.installed()
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    for each in found:
        click.echo(f"{each.name:<20} {each.distribution} {each.version} {_brings(each)}")


def _brings(plugin: InstalledPlugin) -> str:
    """Return what a plugin brings, or why it does not."""
    if plugin.problem:
        return f"left out: {plugin.problem}"
    api = f"API {plugin.api}, " if plugin.api else ""
    formats = "".join(f", format {each}" for each in plugin.formats)
    return f"{api}{pluralize(len(plugin.hooks), 'hook')}{formats}"


@click.group()
def plugin() -> None:
    """Write plugins."""


@plugin.command()
@click.argument("name")
@click.option("--directory", type=PATH, default=Path(), help="Where to put it. Default: here.")
@with_settings
def new(settings: Settings, name: str, directory: Path) -> None:
    """Write the package of a new format NAME, which works, with its tests, to repoman-NAME."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} cannot be the name of a format: it has to begin with a lower-case letter "
            "and to consist of lower-case letters and digits, at most 30."
        )
    for each in Repoman(settings).plugins.installed():
        if name in (each.name, *each.formats):
            raise Conflict(f"The plugin {each.name} of {each.distribution} is called {name!r}.")
    target = directory / f"repoman-{name}"
    write_package(name, target)
    click.echo(f"Wrote {target}. To use it:")
    place = target if target.is_absolute() else f"./{target}"  # or pip takes it for a name
    click.echo(f"  pip install --editable {place}")
    click.echo("  (restart the server)")
    click.echo(f"  repoman repo create {name}-hosted my-{name}")


def write_package(name: str, target: Path) -> None:
    """Write the package of a new format into a directory that does not exist, whole or not at all.

    Raises:
        Conflict: there is something already.
        Unavailable: it cannot be written.
    """
    if target.exists():
        raise Conflict(f"{target} exists; choose another --directory.")
    values = {"name": name, "title": name.capitalize(), "api": API_VERSION}
    try:
        with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as beside:
            made = Path(beside) / target.name
            for path, text in _template(TEMPLATE, Path()):
                file = made / str(path).replace("NAME", name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(Template(text).substitute(values), encoding="utf-8")
            shutil.move(made, target)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Unavailable(f"{target} cannot be written: {reason}.") from error


def _template(directory: Traversable, place: Path) -> Iterator[tuple[Path, str]]:
    """Return the files of the template: paths of what they become, and texts."""
    for each in directory.iterdir():
        if each.is_dir():
            yield from _template(each, place / each.name)
        elif each.name.endswith(SUFFIX):
            yield place / each.name.removesuffix(SUFFIX), each.read_text(encoding="utf-8")
