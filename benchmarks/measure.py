"""Rounds and ratios: what is compared is measured in turns, so that a busy machine harms all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from benchmarks.machine import wait_until_quiet

TIMES = "\N{MULTIPLICATION SIGN}"  # the unit of a ratio
GIB = 1 << 30
MIB = 1 << 20

Sample = tuple[float, ...]  # the rate first, then what the format tells of besides
Measure = Callable[[], Sample]

TRANSFER = "{0:,.0f} MiB/s, {1:.2f} s of CPU per GiB"
REQUESTS = "{0:,.0f}/s, p50 {1:.1f} ms, p99 {2:.1f} ms, {3:,.0f} µs of CPU each"


class Scale(NamedTuple):
    """How much is measured, and how long a round waits for other work on the machine to end."""

    size: int  # bytes of a blob
    rounds: int
    seconds: int  # of a load
    idle: int  # connections
    patience: int  # seconds


FULL = Scale(GIB, rounds=5, seconds=5, idle=2000, patience=20)
QUICK = Scale(64 * MIB, rounds=1, seconds=1, idle=200, patience=0)


class LeftOut(Exception):
    """A case cannot be measured on this machine; the text says what is missing."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        value: what the bar is about: a ratio to ``against``, or, without one, what ``unit`` says.
        least: the bar, where the value must not be lower.
        most: the bar, where it must not be higher.
    """

    what: str
    against: str
    ours: str
    theirs: str
    value: float
    unit: str = TIMES
    least: float | None = None
    most: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the value is where the bar wants it; None without a bar."""
        if self.least is not None:
            return self.value >= self.least
        return self.value <= self.most if self.most is not None else None


@dataclass(frozen=True)
class Rival:
    """Another server, or state of ours, how it is measured, and how much better we have to be."""

    name: str
    measure: Measure
    least: float | None = None


def compare(what: str, form: str, scale: Scale, ours: Measure, *rivals: Rival) -> list[Row]:
    """Measure all in turns, round after round; a row for each rival has the median of the ratios.

    One round more comes first, which does not count: it fills the caches.
    """
    turns = [ours, *(rival.measure for rival in rivals)]
    samples = []
    for _ in range(scale.rounds + 1):
        wait_until_quiet(scale.patience)
        samples.append([measure() for measure in turns])
    mine, *others = zip(*samples[1:], strict=True)
    return [
        Row(
            what,
            rival.name,
            _render(form, mine),
            _render(form, theirs),
            median(one[0] / other[0] for one, other in zip(mine, theirs, strict=True)),
            least=rival.least,
        )
        for rival, theirs in zip(rivals, others, strict=True)
    ]


def _render(form: str, samples: Sequence[Sample]) -> str:
    return form.format(*(median(column) for column in zip(*samples, strict=True)))
