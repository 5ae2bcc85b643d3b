"""Cron expressions as Unix, Spring and Quartz have them, as fields of a trigger of APScheduler."""

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date
from typing import Any

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.cron.expressions import AllExpression
from apscheduler.triggers.cron.fields import DayOfMonthField

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
LAST_DAY = "last"
SATURDAY, SUNDAY = 5, 6  # Numbers of days as of `date.weekday`.
# The fields of a cron expression by their number: those of Unix, of Spring and of Quartz.
_FIELDS = {
    5: ("minute", "hour", "day", "month", "day_of_week"),
    6: ("second", "minute", "hour", "day", "month", "day_of_week"),
    7: ("second", "minute", "hour", "day", "month", "day_of_week", "year"),
}
# The values of the fields in which a range may wrap around, such as the hours 22-4.
_CYCLES = {
    "second": range(60),
    "minute": range(60),
    "hour": range(24),
    "day": range(1, 32),
    "month": range(1, 13),
}
_MONTH = re.compile("|".join(MONTHS))
_RANGE = re.compile(r"(\d{1,2})-(\d{1,2})(?:/(\d{1,2}))?", re.ASCII)
_WEEKDAY_PART = re.compile(r"(\w+)(?:-(\w+))?(?:/(\d+))?")
_ORDINALS = ("1st", "2nd", "3rd", "4th", "5th")


class NearDay(AllExpression):  # type: ignore[misc]
    """A day of the month counted from its end (``l-3``), or the weekday next to a day (``15w``)."""

    value_re = re.compile(
        r"(?:(?P<day>\d{1,2})(?=w)|l(?:-(?P<before>\d{1,2}))?)(?P<weekday>w)?$", re.ASCII
    )

    def __init__(self, day: str | None, before: str | None, weekday: str | None) -> None:
        super().__init__(None)
        self._day = int(day) if day else None
        self._before = int(before or 0)
        self._is_weekday = weekday is not None

    def validate_range(self, field_name: str) -> None:
        """Return if a month may have this day (ValueError)."""
        days = _CYCLES["day"]
        if (self._day is not None and self._day not in days) or self._before >= len(days):
            raise ValueError("a month has no such day")

    def get_next_value(self, at: date, field: Any) -> int | None:
        """Return the day in the month of a date, unless it is over or not in this month."""
        last = monthrange(at.year, at.month)[1]
        day = last - self._before if self._day is None else min(self._day, last)
        if self._is_weekday and day >= 1:
            day = _nearest_weekday(at.replace(day=day), last)
        return day if day >= max(1, at.day) else None

    def __str__(self) -> str:
        """Return the expression."""
        day = self._day or (f"l-{self._before}" if self._before else "l")
        return f"{day}{'w' if self._is_weekday else ''}"


def _nearest_weekday(at: date, last: int) -> int:
    """Return the day from Monday to Friday that is next to a date, in the same month."""
    if at.weekday() == SATURDAY:
        return at.day - 1 if at.day > 1 else at.day + 2
    if at.weekday() == SUNDAY:
        return at.day + 1 if at.day < last else at.day - 2
    return at.day


class _DayField(DayOfMonthField):  # type: ignore[misc]
    COMPILERS = [NearDay, *DayOfMonthField.COMPILERS]  # noqa: RUF012 - as that of its base


class Trigger(CronTrigger):  # type: ignore[misc]
    """The trigger of APScheduler, which knows the days of Quartz as well."""

    __slots__ = ()
    FIELDS_MAP = {**CronTrigger.FIELDS_MAP, "day": _DayField}  # noqa: RUF012 - likewise


def parse_cron(text: str) -> dict[str, str]:
    """Return the fields of a trigger for a cron expression.

    Raises:
        ValueError: the expression is not valid.
    """
    words = text.lower().split()
    names = _FIELDS.get(len(words))
    if names is None:
        raise ValueError("a cron expression has 5 fields, or 6 or 7 beginning with the seconds")
    fields = {name: "*" if word == "?" else word for name, word in zip(names, words, strict=True)}
    if fields["day"] != "*" and fields["day_of_week"] != "*":
        raise ValueError("give the day of the month or the day of the week, and ? for the other")
    fields["month"] = _MONTH.sub(lambda found: str(MONTHS.index(found[0]) + 1), fields["month"])
    for name, cycle in _CYCLES.items():
        if name in fields:
            fields[name] = ",".join(_unwrap(part, cycle) for part in fields[name].split(","))
    sunday = 0 if len(words) == 5 else 1
    fields |= _weekday_fields(fields["day_of_week"], sunday)
    try:
        Trigger(timezone=UTC, **fields)
    except (ValueError, TypeError) as error:
        raise ValueError(f"the cron expression is not valid: {error}") from error
    return fields


def _unwrap(part: str, cycle: range) -> str:
    """Return a part of a list without a range that wraps around: 22-4/2 is 22, 0, 2, 4."""
    found = _RANGE.fullmatch(part)
    if found is None:
        return part
    first, last, step = int(found[1]), int(found[2]), int(found[3] or 1)
    if first <= last or first not in cycle or last not in cycle or not step:
        return part
    numbers = range(first, last + len(cycle) + 1, step)
    return ",".join(str((each - cycle[0]) % len(cycle) + cycle[0]) for each in numbers)


def _weekday_fields(text: str, sunday: int) -> dict[str, str]:
    """Return the fields for a day of the week of cron; ``sunday`` is the number of that day."""
    if text == "*":
        return {}
    if (nth := re.fullmatch(r"(\w+)#([1-5])", text)) is not None:
        day = WEEKDAYS[_weekday(nth[1], sunday)]
        return {"day_of_week": "*", "day": f"{_ORDINALS[int(nth[2]) - 1]} {day}"}
    if (last := re.fullmatch(r"([0-7]|[a-z]{3})l", text)) is not None:
        return {"day_of_week": "*", "day": f"last {WEEKDAYS[_weekday(last[1], sunday)]}"}
    days = {day for part in text.split(",") for day in _expand(part, sunday)}
    return {"day_of_week": ",".join(WEEKDAYS[day] for day in sorted(days))}


def _expand(part: str, sunday: int) -> Iterator[int]:
    """Yield the days of one part of a list: a day, or a range that may wrap around the week.

    A day with a step, such as 2/2, begins a range that ends with Saturday.
    """
    found = _WEEKDAY_PART.fullmatch(part.replace("*", f"{sunday}-{sunday + 6}"))
    if found is None or (found[3] is not None and int(found[3]) == 0):
        raise ValueError(f"{part!r} is not a day of the week")
    first = _weekday(found[1], sunday)
    end = found[2] or (found[3] and "sat") or found[1]
    last = _weekday(end, sunday)
    for number in range(0, (last - first) % 7 + 1, int(found[3] or 1)):
        yield (first + number) % 7


def _weekday(word: str, sunday: int) -> int:
    """Return the number of a day of the week, beginning with 0 for Monday."""
    if word in WEEKDAYS:
        return WEEKDAYS.index(word)
    most = sunday + 6 + (sunday == 0)  # Unix knows Sunday as 0 and as 7
    if not (word.isascii() and word.isdigit() and sunday <= int(word) <= most):
        raise ValueError(f"{word!r} is not a day of the week")
    return (int(word) - sunday - 1) % 7
