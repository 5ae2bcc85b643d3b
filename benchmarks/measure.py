"""Rounds and ratios: what is compared is measured in turns, so that a busy machine harms all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

TIMES = "\N{MULTIPLICATION SIGN}"  # the unit of a ratio
Sample = tuple[float, ...]  # the rate first, then what the format tells of besides
Measure = Callable[[], Sample]

TRANSFER = "{0:,.0f} MiB/s, {1:.2f} s of CPU per GiB"
REQUESTS = "{0:,.0f}/s, p50 {1:.1f} ms, p99 {2:.1f} ms, {3:,.0f} µs of CPU each"


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


def compare(what: str, form: str, rounds: int, ours: Measure, *rivals: Rival) -> list[Row]:
    """Measure all in turns, so many rounds; a row for each rival has the median of the ratios.

    One round more comes first, which does not count: it fills the caches.
    """
    turns = [ours, *(rival.measure for rival in rivals)]
    samples = [[measure() for measure in turns] for _ in range(rounds + 1)][1:]
    mine, *others = zip(*samples, strict=True)
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
