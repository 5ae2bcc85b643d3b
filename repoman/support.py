"""What helps to find out why a server does not work as expected, in one bounded file.

It has no content, no password and no key: secrets are masked, and users are not in it.
"""

import io
import json
import os
import platform
import re
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from typing import Any

from repoman import __version__
from repoman.config import Settings
from repoman.core import Repoman
from repoman.metrics import memory_bytes, render_prometheus, resident_bytes, uptime
from repoman.monitoring import collect_all
from repoman.sections import MASK
from repoman.tasks.service import TaskState
from repoman.threads import describe_threads

REPOSITORIES_MAX = 1_000  # Repositories whose settings are told.
SECRET = re.compile("password|secret|token|key|credential", re.IGNORECASE)

# Names the parts of the file, and what writes each.
PARTS: Mapping[str, Callable[[Repoman], str]]


def make_support_zip(repoman: Repoman, leave_out: frozenset[str] = frozenset()) -> bytes:
    """Return a ZIP file with what an administrator may be asked for.

    ``leave_out`` names parts of :data:`PARTS`. A part that cannot be made tells why.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, write in PARTS.items():
            if name not in leave_out:
                archive.writestr(f"repoman-support/{name}", _try(write, repoman))
    return buffer.getvalue()


def _try(write: Callable[[Repoman], str], repoman: Repoman) -> str:
    try:
        return write(repoman)
    except Exception as error:  # noqa: BLE001 - something does not work: that is why it is made
        return f"This could not be read: {type(error).__name__}: {error}\n"


def system_information(repoman: Repoman) -> dict[str, Any]:
    """Return what the server runs on, as plain values."""
    return {
        "version": __version__,
        "node": repoman.node_id,
        "python": sys.version,
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "memory_bytes": memory_bytes(),
        "resident_bytes": resident_bytes(),
        "uptime_s": round(uptime()),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "data": str(repoman.data),
        "database_bytes": repoman.database.sizes(),
        "plugins": [asdict(each) for each in repoman.plugins.installed()],
        "missing_formats": missing_formats(repoman),
    }


def missing_formats(repoman: Repoman) -> list[str]:
    """Return the formats of repositories that no installed plugin provides, by name."""
    known = {each.format for each in repoman.repositories.list_recipes()}
    return sorted({each.config.format for each in repoman.repositories.all()} - known)


@dataclass(frozen=True, slots=True)
class ChangedSetting:
    """A setting that is not at its default, as text; ``default`` is None where there is none."""

    name: str
    value: str
    default: str | None


def changed_settings(settings: Settings) -> list[ChangedSetting]:
    """Return the settings that differ from their defaults, by name; what may be secret is stars."""
    defaults = dict(_flat(shown_settings(Settings.model_construct())))
    return [
        ChangedSetting(name, value, defaults.get(name))
        for name, value in sorted(_flat(shown_settings(settings)))
        if defaults.get(name) != value
    ]


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of nested tables as JSON, by their names with dots."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", json.dumps(value, ensure_ascii=False)


def shown_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings with stars for what may be secret.

    Which keys of a blob store or a repository are, plugins know; here their names have to do.
    """
    values: dict[str, Any] = settings.model_dump(mode="json")
    values["blob_stores"] = {key: _masked(each) for key, each in values["blob_stores"].items()}
    values["bootstrap"]["repositories"] = _masked(values["bootstrap"]["repositories"])
    return values


def _masked(value: Any) -> Any:
    """Return a value with stars for what keys with telling names hold, however deep it is."""
    if isinstance(value, dict):
        return {
            key: MASK if each and SECRET.search(key) else _masked(each)
            for key, each in value.items()
        }
    return list(map(_masked, value)) if isinstance(value, list) else value


def _json(value: object) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"


def _repositories(repoman: Repoman) -> str:
    found = [
        {
            "name": each.name,
            "format": each.config.format,
            "type": each.config.type,
            "online": each.config.is_online,
            "problem": each.problem,
            "settings": {
                name: section.model_dump(mode="json")
                for name, section in each.config.sections.items()
            },
        }
        for each in repoman.repositories.all()[:REPOSITORIES_MAX]
    ]
    return _json(found)


def _health(repoman: Repoman) -> str:
    healths = (repoman.health, repoman.writing)
    return _json({name: h.problems().get(name, "") for h in healths for name in h.names()})


def _tasks(repoman: Repoman) -> str:
    return "".join(f"{line}\n" for state in repoman.tasks.states() for line in _lines_of(state))


def _lines_of(state: TaskState) -> Iterator[str]:
    task, last = state.task, state.last
    is_on = "enabled" if task.is_enabled else "disabled"
    yield f"{task.name} ({task.type}), {is_on}, {task.schedule}"
    if state.current is not None:
        yield f"    now: {state.current.state} {state.current.message}"
    if last is not None:
        yield f"    last: {last.state} {last.result}"


def _packages(_repoman: Repoman) -> str:
    return "".join(sorted(f"{each.name} {each.version}\n" for each in distributions()))


PARTS = {
    "system.json": lambda repoman: _json(system_information(repoman)),
    "settings.json": lambda repoman: _json(shown_settings(repoman.settings)),
    "repositories.json": _repositories,
    "health.json": _health,
    "tasks.txt": _tasks,
    "metrics.txt": lambda repoman: render_prometheus(collect_all(repoman)),
    "threads.txt": lambda _: "\n".join(describe_threads()),
    "packages.txt": _packages,
    "server.log": lambda repoman: "".join(f"{each}\n" for each in repoman.metrics.log.lines()),
}
