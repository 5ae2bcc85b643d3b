"""Options and helpers that commands share: where the settings and the data are."""

import json
import os
import pwd
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from stat import S_IMODE
from typing import Any

import click

from repoman.cli.ownership import act_as_owner
from repoman.config import Settings, load_settings
from repoman.core import Repoman
from repoman.db.database import FILE
from repoman.durable import NewFile, replace_files
from repoman.errors import Invalid, NotFound, Unavailable
from repoman.events.origin import Origin, acting_as
from repoman.sections import Text

STDIN_MAX_BYTES = 1 << 20  # The longest value that a command reads from standard input.
FILE_MODE = 0o666  # Permissions of a file for everybody, less those that the umask takes.
LONE_BYTES = re.compile("[\ud800-\udfff]")  # What Python makes of bytes that are not UTF-8.
LOWEST_PRIORITY = 19  # The niceness of long work beside a server.
PATH = click.Path(path_type=Path)
MOMENT = click.DateTime(
    ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"]
)
"""A day or a time, to the minute or the second; without a time zone, which is UTC."""
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print all details as JSON.")


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--config`` and ``--data``, and the settings they lead to."""

    @click.option(
        "--config",
        type=PATH,
        help=(
            "Configuration file. Default: $REPOMAN_CONFIG, then "
            "/etc/repoman/repoman.toml, then the shipped file."
        ),
    )
    @click.option(
        "--data", type=PATH, help="Data directory. Default: $REPOMAN_DATA, then the configured one."
    )
    @wraps(command)
    def run(config: Path | None, data: Path | None, **options: Any) -> None:
        command(settings=load_settings(config, data), **options)

    return run


def with_data(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the settings, and have it run as the owner of the data directory."""

    @with_settings
    @wraps(command)
    def run(settings: Settings, **options: Any) -> None:
        act_as_owner(settings.data.absolute())
        command(settings=settings, **options)

    return run


def check_data(settings: Settings) -> None:
    """Return if there is a data directory to work on (else NotFound)."""
    if not (settings.data / FILE).exists():
        raise NotFound(
            f"There is no data in {settings.data.absolute()}. Name the data directory with --data "
            "or in REPOMAN_DATA, or create it with 'repoman init'."
        )


def with_repoman(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the services on an existing data directory; a server may run beside it."""

    @with_data
    @wraps(command)
    def run(settings: Settings, **options: Any) -> None:
        _check_texts(options)
        check_data(settings)
        with Repoman(settings) as repoman, acting_as(cli_origin()):
            command(repoman=repoman, **options)

    return run


def write_file(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Write a file that somebody has asked for, whole or not at all.

    What is there and no file, such as a pipe, is written to as it is. A file keeps its permissions,
    but those that ``mode`` lacks.

    Raises:
        Unavailable: it cannot be written.
    """
    try:
        target = path.resolve()  # A link stays.
        if path.exists() and not target.is_file():
            path.write_bytes(data)
        else:
            kept = S_IMODE(target.stat().st_mode) if target.exists() else mode
            replace_files(NewFile(target, data, kept & mode))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Unavailable(f"{path} cannot be written: {reason}.") from error


def _check_texts(options: Mapping[str, Any]) -> None:
    """Return if what was typed is text, which can be stored (Invalid); paths may be any bytes."""
    for name, value in options.items():
        texts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(each, str) and LONE_BYTES.search(each) for each in texts):
            raise Invalid(f"{name}: is not UTF-8 text.")


def cli_origin() -> Origin:
    """Return who acts by a command, for the audit log."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user need not be in its list
        user = str(os.getuid())
    return Origin("cli", source="command", attributes={"user": user})


def print_details(values: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what a command shows of one thing: as JSON, or a line ``key = value`` for each."""
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    for key, value in values.items():
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")


def render_time(seconds: float) -> str:
    """Return a time, in seconds since the epoch, to the minute."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def parse_assignments(assignments: tuple[str, ...], form: str = "KEY=VALUE") -> dict[str, Text]:
    """Return the values of assignments by key.

    Raises:
        Invalid: one does not have the form.
    """
    values: dict[str, Text] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not (key and equals):
            raise Invalid(f"{assignment}: write it as {form}.")
        values[key] = Text(text)
    return values


def read_stdin() -> str:
    """Return all of standard input, without one newline at its end.

    Raises:
        Invalid: it is not UTF-8, or too long.
    """
    given = sys.stdin.buffer.read(STDIN_MAX_BYTES + 1)
    if len(given) > STDIN_MAX_BYTES:
        raise Invalid(f"Standard input holds more than {STDIN_MAX_BYTES} bytes.")
    try:
        return given.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise Invalid("Standard input is not UTF-8 text.") from error


def read_values(names: tuple[str, ...]) -> dict[str, Text]:
    """Return standard input as the value of one name, or a line of it for each of several.

    Raises:
        Invalid: there are more or fewer lines than names.
    """
    if len(names) < 2:
        return {name: Text(read_stdin()) for name in names}
    lines = read_stdin().split("\n")
    if len(lines) != len(names):
        raise Invalid(
            f"Standard input has {len(lines)} lines for {len(names)} values: with several --stdin, "
            "each value is one line. Set a value with several lines in a separate command."
        )
    return {name: Text(line.removesuffix("\r")) for name, line in zip(names, lines, strict=True)}
