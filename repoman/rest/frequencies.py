"""When tasks run, as clients of Sonatype Nexus Repository 3 write it, and as schedules have it."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from repoman.errors import Invalid
from repoman.rest.resources import Resource, lower_case
from repoman.tasks.cron import LAST_DAY, WEEKDAYS
from repoman.tasks.schedule import LAST_DATE, Frequency, Schedule, make_schedule

LAST_DAY_NUMBER = 999  # The last day of the month, among the days of a month.
DAYS_MAX = 40  # Days that a list may have.
UNIX_FIELDS = 5  # Fields of an expression of crontab, which has no seconds.
DAY_OF_MONTH, DAY_OF_WEEK = 3, 5  # Where Quartz has them among its fields.
_DAY_NUMBER = re.compile(r"(?<![/#\w])\d")  # A day of the week, not a step nor an ordinal.
UTC = "UTC"  # The time zone of a schedule whose client names none.
# The fields that are wrong if a schedule with this frequency is.
CULPRITS = {Frequency.CRON: "cronExpression", Frequency.ONCE: "startDate"}
START_MAX_MS = int(LAST_DATE.timestamp() * 1000)


class FrequencyView(Resource):
    """When a task runs."""

    schedule: Annotated[Frequency, BeforeValidator(lower_case)] = Field(
        description="How often the task runs."
    )
    start_date: int | None = Field(
        None,
        ge=0,
        le=START_MAX_MS,
        description=(
            "The first time, in milliseconds since the epoch; its minute or time of day is that "
            "of all runs. Required for `once`."
        ),
    )
    time_zone_offset: str | None = Field(
        None, max_length=40, description="The time zone, such as `+02:00`. Default: UTC."
    )
    recurring_days: list[int] | None = Field(
        None,
        max_length=DAYS_MAX,
        description=(
            "Days of the week (`weekly`; 1 is Sunday), or days of the month (`monthly`; 999 is "
            "the last day)."
        ),
    )
    cron_expression: str | None = Field(
        None,
        description=(
            "The expression (`cron`) as Quartz has it: 6 or 7 fields, beginning with the seconds. "
            "5 fields, as in crontab, are accepted and given back as Quartz writes them."
        ),
    )


MANUAL_FREQUENCY = FrequencyView(schedule=Frequency.MANUAL)


def schedule_of(given: FrequencyView) -> Schedule:
    """Return the schedule that a client asks for.

    Raises:
        Invalid: it is not complete, or never comes.
    """
    zone = given.time_zone_offset or UTC
    start = None if given.start_date is None else given.start_date / 1000
    values = {"frequency": given.schedule, "time_zone": zone, "start": start}
    local = datetime.fromtimestamp(start or 0.0, _zone_of(zone))
    if start is None:
        local = local.replace(hour=0, minute=0, second=0)
    return make_schedule({**values, **_VALUES[given.schedule](given, local)})


def frequency_of(schedule: Schedule) -> FrequencyView:
    """Return a schedule as the client wrote it, or would have to."""
    days = None
    if schedule.frequency is Frequency.WEEKLY:
        days = [(WEEKDAYS.index(each) + 1) % 7 + 1 for each in schedule.days]
    elif schedule.frequency is Frequency.MONTHLY:
        days = [LAST_DAY_NUMBER if each == LAST_DAY else int(each) for each in schedule.days]
    return FrequencyView(
        schedule=schedule.frequency,
        start_date=None if schedule.start is None else round(schedule.start * 1000),
        time_zone_offset=_offset_of(schedule),
        recurring_days=days,
        cron_expression=_quartz_of(schedule.cron) or None,
    )


def _quartz_of(cron: str) -> str:
    """Return an expression as Quartz writes it: with seconds, and ``?`` for one of the days."""
    words = cron.split()
    if "?" in words or not words:
        return cron
    if len(words) == UNIX_FIELDS:
        words = ["0", *words[:-1], _DAY_NUMBER.sub(_quartz_day, words[-1])]
    day = DAY_OF_MONTH if words[DAY_OF_MONTH] == "*" and words[DAY_OF_WEEK] != "*" else DAY_OF_WEEK
    words[day] = "?"
    return " ".join(words)


def _quartz_day(number: re.Match[str]) -> str:
    """Return a day of the week as a name: crontab begins with 0 for Sunday, Quartz with 1."""
    return WEEKDAYS[(int(number[0]) - 1) % 7].upper()


def _zone_of(name: str) -> tzinfo:
    try:
        return make_schedule({"time_zone": name}).zone
    except Invalid as error:
        raise Invalid(
            "timeZoneOffset: write it as +02:00, or as the name of a time zone.",
            field="timeZoneOffset",
        ) from error


def _offset_of(schedule: Schedule) -> str | None:
    if schedule.time_zone == UTC:
        return None
    if schedule.time_zone[0] in "+-":
        return schedule.time_zone
    offset = f"{datetime.now(schedule.zone):%z}"
    return f"{offset[:3]}:{offset[3:5]}"


def _nothing(_given: FrequencyView, _local: datetime) -> Mapping[str, Any]:
    return {}


def _once(given: FrequencyView, local: datetime) -> Mapping[str, Any]:
    if given.start_date is None:
        raise Invalid("startDate: a task that runs once needs a start date.", field="startDate")
    return {"at": local.isoformat(timespec="milliseconds")}


def _hourly(_given: FrequencyView, local: datetime) -> Mapping[str, Any]:
    return {"at": str(local.minute)}


def _daily(_given: FrequencyView, local: datetime) -> Mapping[str, Any]:
    return {"at": f"{local:%H:%M}"}


def _weekly(given: FrequencyView, local: datetime) -> Mapping[str, Any]:
    days = _days(given, range(1, 8))
    return {"at": f"{local:%H:%M}", "days": [WEEKDAYS[(day - 2) % 7] for day in days]}


def _monthly(given: FrequencyView, local: datetime) -> Mapping[str, Any]:
    days = _days(given, [*range(1, 32), LAST_DAY_NUMBER])
    return {
        "at": f"{local:%H:%M}",
        "days": [LAST_DAY if day == LAST_DAY_NUMBER else str(day) for day in days],
    }


def _cron(given: FrequencyView, _local: datetime) -> Mapping[str, Any]:
    if not given.cron_expression:
        raise Invalid("cronExpression: must not be empty.", field="cronExpression")
    return {"cron": given.cron_expression}


def _days(given: FrequencyView, known: Any) -> list[int]:
    days = given.recurring_days or []
    if not days or any(day not in known for day in days):
        raise Invalid(
            "recurringDays: give days from 1 (Sunday) to 7, or days of the month from 1 to 31 and "
            f"{LAST_DAY_NUMBER} for the last one.",
            field="recurringDays",
        )
    return days


_VALUES: Mapping[Frequency, Callable[[FrequencyView, datetime], Mapping[str, Any]]] = {
    Frequency.MANUAL: _nothing,
    Frequency.ONCE: _once,
    Frequency.HOURLY: _hourly,
    Frequency.DAILY: _daily,
    Frequency.WEEKLY: _weekly,
    Frequency.MONTHLY: _monthly,
    Frequency.CRON: _cron,
}
