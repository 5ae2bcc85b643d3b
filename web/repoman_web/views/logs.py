"""The last lines of the server log: filtered, followed, downloaded; and its level for a while."""

import time

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from repoman.plugin import (
    LEVELS,
    Invalid,
    LogLine,
    current_repoman,
    done,
    permission_needed,
)

LINES_SHOWN = 300  # The newest ones.
FILTER_MAX_CHARS = 200
LEVEL_MINUTES = 10  # For so long another level lasts.
SHOWN_LEVELS = {"": "All", "WARNING": "Warnings", "ERROR": "Errors"}
TONES = {"WARNING": "is-warn", "ERROR": "is-bad", "CRITICAL": "is-bad"}

logs = Blueprint("logs", "repoman_web", url_prefix="/admin/logs")


@logs.get("")
@permission_needed("logging", "read")
def show() -> str:
    """Return the newest lines that fit, the newest at the end."""
    repoman, (level, text) = current_repoman(), _wanted()
    found = repoman.metrics.log.find(level or "DEBUG", text)
    return render_template(
        "repoman/logs.html",
        lines=[_shown(each) for each in found[-LINES_SHOWN:]],
        found=len(found),
        level=level,
        levels=SHOWN_LEVELS,
        filter_text=text,
        is_still="still" in request.args,
        all_levels=LEVELS,
        usual=repoman.settings.log.level,
        changed=repoman.log_level.changed,
        minutes=LEVEL_MINUTES,
    )


@logs.get("/download")
@permission_needed("logging", "read")
def download() -> Response:
    """Return all lines that fit, as a file."""
    level, text = _wanted()
    found = current_repoman().metrics.log.find(level or "DEBUG", text)
    name = f"repoman-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.log"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return Response("".join(f"{each}\n" for each in found), 200, headers, mimetype="text/plain")


@logs.post("/level")
@permission_needed("logging", "update")
def change_level() -> Response:
    """Log from another level on for a while; empty: from that of the settings again."""
    level = request.form.get("level", "")
    if level and level not in LEVELS:
        raise Invalid(f"level: choose one of {', '.join(LEVELS)}.", field="level")
    current_repoman().change_log_level(level, LEVEL_MINUTES * 60)
    text = "The level of the settings counts again."
    if level:
        text = f"The server logs from {level} on for {LEVEL_MINUTES} minutes."
    return done(text, url_for("logs.show"))


def _wanted() -> tuple[str, str]:
    """Return the level, empty for all, and the text that lines are to have."""
    level = request.args.get("level", "")
    text = request.args.get("filter", "").strip()[:FILTER_MAX_CHARS]
    return level if level in SHOWN_LEVELS else "", text


def _shown(line: LogLine) -> tuple[str, str, str]:
    """Return time, text and tone."""
    at = time.strftime("%H:%M:%S", time.localtime(line.at))
    return at, f"{line.level} {line.logger}: {line.text}", TONES.get(line.level, "")
