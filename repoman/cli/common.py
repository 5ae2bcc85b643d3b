"""What the commands share: where the settings and the data are."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from repoman.config import Settings, load_settings
from repoman.core import Repoman
from repoman.db.database import FILE
from repoman.errors import NotFound

PATH = click.Path(path_type=Path)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--config`` and ``--data``, and the settings they lead to."""

    @click.option("--config", type=PATH, help="Configuration file; without it, the shipped one.")
    @click.option("--data", type=PATH, help="Data directory, in place of the configured one.")
    @wraps(command)
    def run(config: Path | None, data: Path | None, **options: Any) -> None:
        command(settings=load_settings(config, data), **options)

    return run


def with_repoman(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the services on an existing data directory; a server may run beside it."""

    @with_settings
    @wraps(command)
    def run(settings: Settings, **options: Any) -> None:
        if not (settings.data / FILE).exists():
            raise NotFound(
                f"There is no data in {settings.data.absolute()}. "
                "Name its directory with --data, or make it with 'repoman init'."
            )
        with Repoman(settings) as repoman:
            command(repoman=repoman, **options)

    return run
