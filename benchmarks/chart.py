"""The plot: a bar for each ratio on a logarithmic axis, and a mark where it should reach."""

from collections.abc import Sequence
from html import escape
from math import log10

from benchmarks.measure import TIMES, Row

WIDTH, LEFT, RIGHT = 1000, 470, 80  # room for the names and for the figures
LINE, BAR, TOP = 24, 12, 28
LOW, HIGH = 0.5, 200.0  # ends of the axis
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .small { fill: #57606a }
  .axis { stroke: #d0d7de } .one { stroke: #57606a }
  .met { fill: #1a7f64 } .missed { fill: #c2410c } .none { fill: #8c959f }
  .mark { stroke: #24292f; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 }
    .axis { stroke: #3d444d } .one { stroke: #9198a1 } .mark { stroke: #e6edf3 }
    .met { fill: #3fb68b } .missed { fill: #f0883e } .none { fill: #6e7681 }
  }
"""


def draw(rows: Sequence[Row]) -> str:
    """Return the plot of all rows that are ratios, as SVG."""
    ratios = [row for row in rows if row.unit == TIMES]
    bottom = TOP + LINE * len(ratios)
    parts = [_tick(value, bottom) for value in TICKS]
    parts += [_row(row, TOP + LINE * number) for number, row in enumerate(ratios)]
    parts.append(
        _text(
            LEFT, bottom + 34, "how many times as much as the other; the mark is the bar", "small"
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 44}" role="img">\n'
        f"<title>repoman compared</title>\n<style>{STYLE}</style>\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _row(row: Row, top: int) -> str:
    start, end = sorted((_x(1), _x(row.value)))
    kind = {True: "met", False: "missed", None: "none"}[row.is_met]
    y = top + (LINE - BAR) // 2
    label = f"{row.what} / {row.against}"
    parts = [
        _text(LEFT - 10, y + 10, label, anchor="end"),
        f'<rect x="{start:.1f}" y="{y}" width="{end - start:.1f}" height="{BAR}" class="{kind}"/>',
        _text(max(end, _x(row.least or LOW)) + 8, y + 10, f"{row.value:.2f} {TIMES}"),
    ]
    if row.least is not None:
        parts.append(_line(_x(row.least), y - 4, y + BAR + 4, "mark"))
    return "\n".join(parts)


def _tick(value: float, bottom: int) -> str:
    kind = "one" if value == 1 else "axis"
    label = _text(_x(value), bottom + 16, f"{value:g} {TIMES}", "small", "middle")
    return _line(_x(value), TOP, bottom, kind) + "\n" + label


def _x(value: float) -> float:
    share = log10(min(max(value, LOW), HIGH) / LOW) / log10(HIGH / LOW)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _line(x: float, top: int, bottom: int, kind: str) -> str:
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" class="{kind}"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'
