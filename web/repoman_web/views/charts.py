"""Charts of bytes over days, for the macro that draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import floor, log10

from repoman_web.views.rendering import size

SCALE_STEPS = 3  # Lines of the chart above zero.
ROUND_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0)  # Of each decade.
DAYS_SHOWN = 4  # Texts below the chart, before "today".

Day = tuple[float, float, float]  # Its beginning, all bytes, and a part of them.


@dataclass(frozen=True, slots=True)
class Chart:
    """Bytes over the last days.

    Attributes:
        names: what both lines are.
        rows: the same as a table: day, all bytes, a part of them; the newest first.
    """

    series: list[list[float]]
    top: float
    scale: list[str]
    days: list[str]
    titles: list[str]
    label: str
    names: tuple[str, str]
    rows: list[tuple[str, str, str]]


def growth_chart(days: Sequence[Day], names: tuple[str, str]) -> Chart | None:
    """Return the chart of what there was on each day; None while there are less than two.

    ``names`` are what all bytes are, and what the part of them is.
    """
    if len(days) < 2:
        return None
    whole, part = names
    stored = [float(each[1]) for each in days]
    top = round_up(max(stored))
    marks = [days[len(days) * place // DAYS_SHOWN][0] for place in range(DAYS_SHOWN)]
    first, last = size(stored[0]), size(stored[-1])
    return Chart(
        series=[stored, [float(each[2]) for each in days]],
        top=top,
        scale=[size(top * step / SCALE_STEPS) for step in range(SCALE_STEPS, -1, -1)],
        days=[*dict.fromkeys(_day_of(at) for at in marks), "today"],
        titles=[
            f"{_day_of(at)}: {size(total)} {whole}, {size(some)} {part}" for at, total, some in days
        ],
        label=f"{whole.capitalize()} bytes over {len(days)} days, from {first} to {last}",
        names=names,
        rows=[(_date_of(at), size(total), size(some)) for at, total, some in reversed(days)],
    )


def round_up(value: float) -> float:
    """Return the least of the round numbers of bytes that is above a value and has easy thirds."""
    unit = 1024.0
    while unit * 1024 <= value:
        unit *= 1024
    tens = 10.0 ** floor(log10(max(value / unit, 1.0) / SCALE_STEPS))
    steps = (each * tens * unit * SCALE_STEPS for each in ROUND_STEPS)
    return next(each for each in steps if each > value)


def _day_of(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%d %b}".lstrip("0")


def _date_of(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
