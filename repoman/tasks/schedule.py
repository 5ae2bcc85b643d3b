"""Schedules: when a task runs. Fire times are computed by the triggers of APScheduler.

A schedule is written as words: ``manual``, ``once 2027-03-01T02:00``, ``hourly 17``, ``daily
03:00``, ``weekly mon,thu 03:00``, ``monthly 1,last 03:00`` or ``cron 0 0 3 ? * MON-FRI``.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from repoman.errors import Invalid
from repoman.sections import Section, parse_section
from repoman.tasks.cron import LAST_DAY, WEEKDAYS, Trigger, parse_cron

# The search for a fire time ends here; for an impossible date it would go on until the year 9999.
LAST_DATE = datetime(2100, 1, 1, tzinfo=UTC)
CRON_MAX_CHARS = 200  # The longest cron expression.
_OFFSET = re.compile(r"([+-])(0\d|1[0-4]):([0-5]\d)")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class Frequency(StrEnum):
    """How often a task runs."""

    MANUAL = "manual"
    ONCE = "once"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    CRON = "cron"


class Schedule(Section):
    """When a task runs, in a time zone."""

    frequency: Frequency = Frequency.MANUAL
    at: str = Field(
        "",
        description="Date and time (once), minute (hourly), or time of day (daily to monthly).",
    )
    days: tuple[str, ...] = Field(
        (), description="Days of the week (weekly), or days of the month and 'last' (monthly)."
    )
    cron: str = Field(
        "",
        max_length=CRON_MAX_CHARS,
        description="Cron expression: 5 fields, or 6 or 7 beginning with the seconds.",
    )
    time_zone: str = Field("UTC", description="Time zone, such as Europe/Berlin or +02:00.")
    start: float | None = Field(
        None, ge=0, description="Before this time it does not run, in seconds since the epoch."
    )

    @model_validator(mode="after")
    def _check(self) -> "Schedule":
        self.zone  # noqa: B018 - raises ValueError
        if self._once is not None and self._once >= LAST_DATE:
            raise ValueError(f"once needs a date before the year {LAST_DATE.year}")
        if self._once is None and self._trigger is not None:
            now = datetime.now(UTC)
            if self._trigger.get_next_fire_time(None, now) is None:
                raise ValueError("there is no such date")
        return self

    @cached_property
    def zone(self) -> tzinfo:
        """The time zone (ValueError: this machine does not know it)."""
        if found := _OFFSET.fullmatch(self.time_zone):
            offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
            return timezone(offset if found[1] == "+" else -offset)
        try:
            return ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"{self.time_zone!r} is not the name of a time zone, such as Europe/Berlin"
            ) from error

    @cached_property
    def _once(self) -> datetime | None:
        if self.frequency is not Frequency.ONCE:
            return None
        try:
            at = datetime.fromisoformat(self.at)
        except ValueError as error:
            raise ValueError("once needs a date and time, such as 2027-03-01T02:00") from error
        return at if at.tzinfo else at.replace(tzinfo=self.zone)

    @cached_property
    def _trigger(self) -> Any:
        """The trigger of APScheduler; None if the task does not recur."""
        if self.frequency in (Frequency.MANUAL, Frequency.ONCE):
            return None
        fields = _FIELDS[self.frequency](self)
        return Trigger(timezone=self.zone, end_date=LAST_DATE, **fields)

    def next_after(self, at: float) -> float | None:
        """Return the next fire time after ``at``, in seconds since the epoch; None: there is none.

        Raises:
            Invalid: this machine no longer knows the time zone.
        """
        try:
            if self._once is not None:
                once = self._once.timestamp()
                return once if once > at else None
            if self._trigger is None:
                return None
            after = datetime.fromtimestamp(max(at + 0.001, self.start or 0.0), self.zone)
        except ValueError as error:
            raise Invalid(f"schedule: {error}.", field="schedule") from error
        found = self._trigger.get_next_fire_time(None, after)
        return None if found is None else float(found.timestamp())

    def list_next(self, at: float, count: int) -> list[float]:
        """Return at most ``count`` fire times after ``at``, in seconds since the epoch."""
        found: list[float] = []
        while len(found) < count and (following := self.next_after(at)) is not None:
            found.append(following)
            at = following
        return found

    def __str__(self) -> str:
        """Return the schedule as text, as :func:`parse_schedule` reads it."""
        words = [self.frequency.value, ",".join(self.days), self.at, self.cron]
        return " ".join(filter(None, words))


MANUAL = Schedule()


def parse_schedule(text: str, time_zone: str = "UTC") -> Schedule:
    """Return the schedule that a text describes.

    Raises:
        Invalid: it cannot be understood.
    """
    frequency, _, rest = text.strip().partition(" ")
    values: dict[str, Any] = {"frequency": frequency.lower(), "time_zone": time_zone}
    rest = rest.strip()
    if frequency.lower() == Frequency.CRON:
        values["cron"] = rest
    elif frequency.lower() in (Frequency.WEEKLY, Frequency.MONTHLY):
        days, _, values["at"] = rest.rpartition(" ")
        values["days"] = [each.strip().lower() for each in days.split(",") if each.strip()]
    else:
        values["at"] = rest
    return make_schedule(values)


def make_schedule(values: Mapping[str, Any]) -> Schedule:
    """Return a schedule of plain values (Invalid)."""
    return parse_section(Schedule, values, "schedule")


# --- Fields of the triggers ----------------------------------------------------------------------


def _hourly(schedule: Schedule) -> dict[str, str]:
    minute = schedule.at or "0"
    if not (minute.isascii() and minute.isdigit() and int(minute) < 60):
        raise ValueError("hourly needs a minute from 0 to 59")
    return {"minute": minute}


def _daily(schedule: Schedule) -> dict[str, str]:
    found = _CLOCK.fullmatch(schedule.at)
    if found is None:
        raise ValueError(f"{schedule.frequency} needs a time of day, such as 03:00")
    return {"hour": found[1], "minute": found[2]}


def _weekly(schedule: Schedule) -> dict[str, str]:
    if not schedule.days or not set(schedule.days) <= set(WEEKDAYS):
        raise ValueError(f"weekly needs days of the week: {', '.join(WEEKDAYS)}")
    return {"day_of_week": ",".join(schedule.days), **_daily(schedule)}


def _monthly(schedule: Schedule) -> dict[str, str]:
    known = {*map(str, range(1, 32)), LAST_DAY}
    if not schedule.days or not set(schedule.days) <= known:
        raise ValueError(f"monthly needs days of the month: 1 to 31, or {LAST_DAY!r}")
    return {"day": ",".join(schedule.days), **_daily(schedule)}


def _cron(schedule: Schedule) -> dict[str, str]:
    return parse_cron(schedule.cron)


_FIELDS: Mapping[Frequency, Callable[[Schedule], dict[str, str]]] = {
    Frequency.HOURLY: _hourly,
    Frequency.DAILY: _daily,
    Frequency.WEEKLY: _weekly,
    Frequency.MONTHLY: _monthly,
    Frequency.CRON: _cron,
}
