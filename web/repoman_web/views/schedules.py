"""Schedules as forms have them, with a field for each part, and as people read them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from pydantic import Field

from repoman.plugin import Frequency, Invalid, Schedule, Section, make_schedule
from repoman_web.views.rendering import NBSP

UTC = "UTC"
WEEKDAYS = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}
FREQUENCIES = {
    "manual": "By hand",
    "once": "Once",
    "hourly": "Hourly",
    "daily": "Daily",
    "weekly": "Weekly",
    "monthly": "Monthly",
    "cron": "Cron",
}
# The field that has the time of a frequency, and the one that is wrong if the whole is.
TIMES = {
    Frequency.ONCE: "date",
    Frequency.HOURLY: "minute",
    Frequency.DAILY: "time",
    Frequency.WEEKLY: "time",
    Frequency.MONTHLY: "time",
}
CULPRITS = {
    **TIMES,
    Frequency.WEEKLY: "weekdays",
    Frequency.MONTHLY: "days",
    Frequency.CRON: "cron",
}
EACH_STEP = re.compile(r"\*/(?P<step>[1-9]\d?)( \*){4,5}")  # Each so many minutes or seconds.
CRON_FIELDS_WITH_SECONDS = 6
AT_TIMES = (Frequency.DAILY, Frequency.WEEKLY, Frequency.MONTHLY)  # Those at a time of day.


class ScheduleFields(Section):
    """When the task runs. A run that is missed while the server is down is made up for once."""

    frequency: Frequency = Frequency.MANUAL
    date: str = Field("", title="Date and time", max_length=40)
    minute: str = Field(
        "", title="Minute", max_length=2, description="The minute of each hour, 0 to 59."
    )
    time: str = Field("", title="Time", max_length=8, description="Such as 03:00.")
    weekdays: tuple[str, ...] = Field((), title="Days of the week")
    days: str = Field(
        "", title="Days of the month", max_length=200, description="Such as 1, 15, last."
    )
    cron: str = Field(
        "",
        title="Expression",
        max_length=200,
        description="Such as 0 3 * * mon-fri; with 6 or 7 fields, the first one has the seconds.",
    )
    time_zone: str = Field(
        UTC, title="Time zone", max_length=100, description="Such as Europe/Berlin or +02:00."
    )


def fields_of(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as the plain values of a form."""
    found = ScheduleFields(frequency=schedule.frequency, time_zone=schedule.time_zone)
    values = {**found.model_dump(mode="json"), "cron": schedule.cron}
    if schedule.frequency in TIMES:
        at = schedule.at.rjust(5, "0") if schedule.frequency in AT_TIMES else schedule.at
        values[TIMES[schedule.frequency]] = at
    if schedule.frequency is Frequency.WEEKLY:
        values["weekdays"] = list(schedule.days)
    if schedule.frequency is Frequency.MONTHLY:
        values["days"] = ", ".join(schedule.days)
    return values


def schedule_of(values: Mapping[str, Any]) -> Schedule:
    """Return the schedule of a form; only the fields of its frequency count.

    Raises:
        Invalid: it is not complete, or never comes; the field is one of the section ``schedule``.
    """
    frequency = Frequency(values.get("frequency") or Frequency.MANUAL)
    zone = {"time_zone": values.get("time_zone") or UTC}
    found: dict[str, Any] = {"frequency": frequency, **zone}
    if frequency in TIMES:
        found["at"] = values.get(TIMES[frequency], "")
    if frequency is Frequency.WEEKLY:
        found["days"] = values.get("weekdays", [])
    if frequency is Frequency.MONTHLY:
        found["days"] = re.findall(r"[^\s,]+", values.get("days", "").lower())
    if frequency is Frequency.CRON:
        found["cron"] = values.get("cron", "")
    _checked(zone, "time_zone")
    if frequency in AT_TIMES:
        _checked({"frequency": Frequency.DAILY, "at": found["at"]}, "time")
    return _checked(found, CULPRITS.get(frequency, "frequency"))


@contextmanager
def told_of(schedule: Schedule) -> Iterator[None]:
    """Have errors of a service about a schedule be about a field of the form."""
    try:
        yield
    except Invalid as error:
        if error.field != "schedule":
            raise
        raise _about(CULPRITS.get(schedule.frequency, "frequency"), error) from error


def _checked(values: Mapping[str, Any], field: str) -> Schedule:
    try:
        return make_schedule(values)
    except Invalid as error:
        raise _about(field, error) from error


def _about(field: str, error: Invalid) -> Invalid:
    text = re.sub(r"^schedule(\.\w+)*: ", "", str(error))
    return Invalid(text, field=f"schedule.{field}")


def tell_schedule(schedule: Schedule) -> str:
    """Return a schedule in a few words: ``weekly, Sunday 04:00``."""
    at = schedule.at
    told = {
        Frequency.MANUAL: "by hand",
        Frequency.ONCE: f"once, {at.replace('T', ' ')}",
        Frequency.HOURLY: f"hourly, at minute {at or '0'}",
        Frequency.DAILY: f"daily, {at}",
        Frequency.WEEKLY: f"weekly, {', '.join(_weekday(each) for each in schedule.days)} {at}",
        Frequency.MONTHLY: f"monthly, {', '.join(map(_day, schedule.days))}, {at}",
        Frequency.CRON: _cron(schedule.cron),
    }[schedule.frequency]
    is_local = schedule.time_zone != UTC and schedule.frequency is not Frequency.MANUAL
    return f"{told} {schedule.time_zone}" if is_local else told


def tell_time(seconds: float, schedule: Schedule) -> str:
    """Return a time, in seconds since the epoch, by the clock of a schedule."""
    local = datetime.fromtimestamp(seconds, schedule.zone)
    return f"{local:%a %d %b %Y, %H:%M}"


def _cron(expression: str) -> str:
    """Return a cron expression, or in words what is as often in each minute or hour."""
    found = EACH_STEP.fullmatch(expression)
    if found is None or 60 % int(found["step"]):
        return f"cron {expression}"
    unit = "s" if len(expression.split()) == CRON_FIELDS_WITH_SECONDS else "min"
    return f"every {found['step']}{NBSP}{unit}"


def _weekday(day: str) -> str:
    return WEEKDAYS.get(day, day)


def _day(day: str) -> str:
    return "last day" if day == "last" else f"day {day}"
