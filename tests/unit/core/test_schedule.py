"""Schedules: written as words, computed in a time zone, and refused where nothing would run."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from repoman.errors import Invalid
from repoman.tasks.schedule import make_schedule, parse_schedule

# A Sunday.
NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)


def following(text, zone="UTC", now=NOW, count=3):
    """The next fire times of a schedule in its time zone."""
    found = parse_schedule(text, zone).list_next(now.timestamp(), count)
    return [f"{datetime.fromtimestamp(each, ZoneInfo(zone)):%a %Y-%m-%d %H:%M}" for each in found]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("hourly", "Sun 2026-11-29 13:00"),
        ("hourly 45", "Sun 2026-11-29 12:45"),
        ("daily 03:05", "Mon 2026-11-30 03:05"),
        ("weekly sat,sun 13:00", "Sun 2026-11-29 13:00"),
        ("monthly 31 01:00", "Thu 2026-12-31 01:00"),
        ("monthly last 01:00", "Mon 2026-11-30 01:00"),
        ("once 2027-03-01T02:00", "Mon 2027-03-01 02:00"),
        ("cron 0 3 * * *", "Mon 2026-11-30 03:00"),
        ("cron 0 3 * * 0", "Sun 2026-12-06 03:00"),  # Unix: Sunday is 0 and 7
        ("cron 0 3 * * 7", "Sun 2026-12-06 03:00"),
        ("cron 0 3 * * 5-1", "Mon 2026-11-30 03:00"),
        ("cron 0 3 * * mon-fri", "Mon 2026-11-30 03:00"),
        ("cron 0 0 1 * * ?", "Mon 2026-11-30 01:00"),
        ("cron 0 0 1 ? * 1", "Sun 2026-12-06 01:00"),  # Quartz: Sunday is 1
        ("cron 0 0 1 ? * MON-FRI", "Mon 2026-11-30 01:00"),
        ("cron 0 0 1 ? * 6#3", "Fri 2026-12-18 01:00"),
        ("cron 0 0 1 ? * 6L", "Fri 2026-12-25 01:00"),
        ("cron 0 0 1 L * ? 2027", "Sun 2027-01-31 01:00"),
        ("cron 0 */20 * * * *", "Sun 2026-11-29 12:40"),
        ("cron 0 0 1 L-3 * ?", "Mon 2026-12-28 01:00"),
        ("cron 0 0 1 L-30 2,3 ?", "Mon 2027-03-01 01:00"),
        ("cron 0 0 1 LW 1 ?", "Fri 2027-01-29 01:00"),
        ("cron 0 0 1 L-1W 2 ?", "Fri 2027-02-26 01:00"),
        ("cron 0 0 1 15W 8 ?", "Mon 2027-08-16 01:00"),  # the 15th is a Sunday
        ("cron 0 0 1 1W 8 ?", "Mon 2027-08-02 01:00"),
        ("cron 0 0 1 1W 5 ?", "Mon 2027-05-03 01:00"),  # the 1st is a Saturday
        ("cron 0 0 1 31W 2 ?", "Fri 2027-02-26 01:00"),  # the 28th is a Sunday
        ("cron 0 0 1 15W,20 12 ?", "Tue 2026-12-15 01:00"),
        ("cron 0 22-4 * * *", "Sun 2026-11-29 22:00"),
        ("cron 0 0 14-12/2 * * ?", "Sun 2026-11-29 14:00"),
        ("cron 0 3 1 NOV-FEB *", "Tue 2026-12-01 03:00"),
        ("cron 0 3 28-2 * *", "Mon 2026-11-30 03:00"),
    ],
)
def test_a_schedule_fires_next(text, first):
    assert following(text, count=1) == [first]


def test_manual_and_past_schedules_never_fire():
    assert following("manual") == following("once 2020-01-01T00:00") == []


def test_a_schedule_fires_in_its_time_zone_whatever_the_season():
    summer = datetime(2026, 7, 1, tzinfo=UTC)
    assert following("daily 03:00", "Europe/Berlin", summer, 1) == ["Wed 2026-07-01 03:00"]
    assert following("daily 03:00", "Europe/Berlin", NOW, 1) == ["Mon 2026-11-30 03:00"]


def test_a_fire_time_follows_the_one_before():
    assert following("daily 03:00") == [
        "Mon 2026-11-30 03:00",
        "Tue 2026-12-01 03:00",
        "Wed 2026-12-02 03:00",
    ]


@pytest.mark.parametrize(
    "text",
    ["manual", "once 2027-03-01T02:00", "hourly 17", "daily 03:00", "weekly mon,thu 03:00",
     "monthly 1,last 03:00", "cron 0 0 1 * * ?"],
)  # fmt: skip
def test_a_schedule_is_written_as_it_is_read(text):
    schedule = parse_schedule(text, "Europe/Berlin")
    assert str(schedule) == text
    assert make_schedule(schedule.model_dump(mode="json")) == schedule


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sometimes", "must be"),
        ("once", "once needs a date and time"),
        ("once 9999-12-31T23:59-14:00", "before the year 2100"),
        ("hourly 60", "a minute from 0 to 59"),
        ("daily 24:00", "a time of day"),
        ("weekly 03:00", "days of the week"),
        ("weekly monday 03:00", "days of the week"),
        ("monthly 0 03:00", "days of the month"),
        ("cron * * *", "5 fields"),
        ("cron 61 * * * *", "not valid"),
        ("cron 0 3 1 * 1", "or the day of the week"),
        ("cron 0 3 * * 9", "not a day of the week"),
        ("cron 0 3 * * 1-5/00", "not a day of the week"),
        ("cron 0 0 30 2 *", "no such date"),
        ("cron 0 0 1 32W * ?", "no such day"),
        ("cron 0 0 1 0W * ?", "no such day"),
        ("cron 0 0 1 L-31 * ?", "no such day"),
        ("cron 0 0 1 W * ?", "not valid"),
        ("cron 0 25-4 * * *", "not valid"),
        ("cron 0 22-4/0 * * *", "not valid"),
        ("cron 0 0 1 * * ? 2001", "no such date"),
    ],
)
def test_a_wrong_schedule_is_refused(text, problem):
    with pytest.raises(Invalid, match=problem):
        parse_schedule(text)


def test_an_unknown_time_zone_is_refused():
    with pytest.raises(Invalid, match="Mars/Olympus"):
        parse_schedule("daily 03:00", "Mars/Olympus")


def test_a_day_with_a_step_begins_a_range_to_saturday():
    schedule = parse_schedule("cron 0 0 1 ? * 3/2")
    days = [datetime.fromtimestamp(at, UTC).strftime("%a") for at in schedule.list_next(0.0, 4)]
    assert days == ["Thu", "Sat", "Tue", "Thu"]


def test_a_range_that_wraps_around_is_its_hours():
    schedule = parse_schedule("cron 0 22-4/3 * * *")
    hours = [datetime.fromtimestamp(at, UTC).hour for at in schedule.list_next(0.0, 4)]
    assert hours == [1, 4, 22, 1]
