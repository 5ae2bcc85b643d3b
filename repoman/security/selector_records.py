"""The rows of content selectors; values in, values out."""

from dataclasses import asdict, dataclass
from typing import Any

from repoman.db.models import SelectorRecord


@dataclass(frozen=True, slots=True)
class SelectorRow:
    """A content selector as it is stored: its expression is text."""

    name: str
    expression: str
    description: str = ""


def list_selectors() -> list[SelectorRow]:
    """Return all content selectors by name."""
    return [_row(each) for each in SelectorRecord.select().order_by(SelectorRecord.name)]


def save_selector(row: SelectorRow) -> None:
    """Store a content selector, in place of the one with its name."""
    SelectorRecord.replace(**asdict(row)).execute()


def delete_selector(name: str) -> bool:
    """Remove a content selector; return whether there was one."""
    return bool(SelectorRecord.delete().where(SelectorRecord.name == name).execute())


def _row(record: Any) -> SelectorRow:
    return SelectorRow(record.name, record.expression, record.description)
