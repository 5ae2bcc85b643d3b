"""The server log over REST, its level for a while, and what the server runs on."""

from typing import Any

from pydantic import Field

from repoman.core import Repoman
from repoman.logs import LogLine
from repoman.rest.endpoints import API_ROOT, Area, Call, Permission
from repoman.rest.resources import AnyCase, Query, Resource, Timestamp
from repoman.support import changed_settings, system_information

LINES_LISTED = 500  # Lines that are listed, unless the request says otherwise.
LINES_LISTED_MAX = 5_000
MINUTES = 10  # For so long another level lasts.
MINUTES_MAX = 1_440

READ = Permission("logging", "read")
CHANGE = Permission("logging", "update")

logs = Area(
    "Logs and information",
    "The last lines of the server log, its level for a while, and what the server runs on.",
    root=API_ROOT,
)


class Level(AnyCase):
    """A level of the log."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogQuery(Query):
    """Selects lines of the log."""

    level: Level = Field(Level.DEBUG, description="Only lines of this level or a higher one.")
    text: str = Field("", max_length=200, description="Only lines that contain this text.")
    after: int = Field(0, ge=0, description="Only lines with a number above this one.")
    limit: int = Field(
        LINES_LISTED, ge=1, le=LINES_LISTED_MAX, description="Most lines; the newest ones count."
    )


class LogLineView(Resource):
    """A line of the server log."""

    number: int = Field(description="Counts the lines since the start of the server.")
    at: Timestamp
    level: str
    logger: str
    text: str


class LogLevelView(Resource):
    """From which level on the server logs."""

    level: Level
    until_s: int | None = Field(
        description="Seconds until the level of the settings counts again; null: it does now."
    )


class LogLevelChange(Resource):
    """Another level for a while."""

    level: Level
    minutes: int = Field(MINUTES, ge=1, le=MINUTES_MAX, description="For how long.")


class SettingView(Resource):
    """A setting that differs from its default; both as JSON."""

    name: str
    value: str
    default: str | None


class InformationView(Resource):
    """What the server runs on."""

    system: dict[str, Any]
    settings: list[SettingView] = Field(description="Those that differ from their defaults.")


@logs.get("/logs", READ)
def list_lines(call: Call, query: LogQuery) -> list[LogLineView]:
    """List the last lines of the server log, the oldest first; the access log is apart."""
    found = call.repoman.metrics.log.find(query.level, query.text, query.after)
    return [_view(each) for each in found[-query.limit :]]


@logs.get("/logs/level", READ)
def show_level(call: Call) -> LogLevelView:
    """Show from which level on the server logs."""
    return _level(call.repoman)


@logs.put("/logs/level", CHANGE)
def change_level(call: Call, body: LogLevelChange) -> LogLevelView:
    """Have the server log from another level on, for a while; libraries stay as they are."""
    call.repoman.change_log_level(body.level, body.minutes * 60)
    return _level(call.repoman)


@logs.delete("/logs/level", CHANGE)
def reset_level(call: Call) -> None:
    """Have the level of the settings count again."""
    call.repoman.change_log_level("", 0)


@logs.get("/information", Permission("atlas", "read"))
def show_information(call: Call) -> InformationView:
    """Show what the server runs on, and its settings that differ from their defaults."""
    changed = changed_settings(call.repoman.settings)
    return InformationView(
        system=system_information(call.repoman),
        settings=[SettingView(name=a.name, value=a.value, default=a.default) for a in changed],
    )


def _level(repoman: Repoman) -> LogLevelView:
    changed = repoman.log_level.changed
    if changed is None:
        return LogLevelView(level=Level(repoman.settings.log.level), until_s=None)
    return LogLevelView(level=Level(changed.level), until_s=max(0, round(changed.left)))


def _view(line: LogLine) -> LogLineView:
    return LogLineView(
        number=line.number, at=line.at, level=line.level, logger=line.logger, text=line.text
    )
