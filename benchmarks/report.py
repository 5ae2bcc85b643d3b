"""What a run says: lines while it goes on, and ``docs/benchmarks.md`` with its plot at the end."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.chart import draw
from benchmarks.measure import TIMES, Row

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PLOT = PAGE.with_suffix(".svg")
BEGIN = "<!-- Below, until the next comment: written by make bench. -->"
END = "<!-- Above: written by make bench. What follows is written by hand. -->"


def print_row(row: Row) -> None:
    """Show a line as soon as it is known."""
    print(f"{row.what} | {row.against}\n    {row.ours} | {row.theirs}\n    {_verdict(row)}")


def write_page(rows: Sequence[Row], facts: Iterable[tuple[str, str]]) -> None:
    """Replace the table of the page, and the plot; what others wrote around it stays."""
    text = (
        PAGE.read_text(encoding="utf-8") if PAGE.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    )
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} lacks the comments between which the table goes.")
    PAGE.write_text(f"{before}{BEGIN}\n\n{_body(rows, facts)}\n{END}{after}", encoding="utf-8")
    PLOT.write_text(draw(rows), encoding="utf-8")


def _body(rows: Sequence[Row], facts: Iterable[tuple[str, str]]) -> str:
    lines = [f"![Ratios and their bars]({PLOT.name})", ""]
    lines += ["| what | beside | repoman | the other | ratio | bar | met |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.against} | {_rate(row.ours)} | {_rate(row.theirs)} "
        f"| {_value(row)} | {_bar(row)} | {_met(row)} |"
        for row in rows
    ]
    lines += [
        "",
        "What it took:",
        "",
        "| what | repoman | beside | the other |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row.what} | {_rest(row.ours)} | {row.against} | {_rest(row.theirs)} |"
        for row in rows
        if _rest(row.ours)
    ]
    lines += ["", "| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts), ""]
    return "\n".join(lines)


def _rate(figure: str) -> str:
    return figure.partition(", ")[0]


def _rest(figure: str) -> str:
    return figure.partition(", ")[2]


def _verdict(row: Row) -> str:
    bar = _bar(row)
    return f"{_value(row)} (bar {bar}: {'met' if row.is_met else 'MISSED'})" if bar else _value(row)


def _value(row: Row) -> str:
    return f"{row.value:.2f} {TIMES}" if row.unit == TIMES else f"{row.value:.0f} {row.unit}"


def _bar(row: Row) -> str:
    if row.least is not None:
        return f"≥ {row.least:g} {row.unit}"
    return f"≤ {row.most:g} {row.unit}" if row.most is not None else ""


def _met(row: Row) -> str:
    return {True: "yes", False: "no", None: ""}[row.is_met]
