"""The rows of options; values in, values out."""

from typing import Any

from repoman.db.models import OptionRecord


def find_option(name: str) -> dict[str, Any]:
    """Return the stored values of a section; none if nothing is stored."""
    record = OptionRecord.get_or_none(OptionRecord.name == name)
    return {} if record is None else dict(record.value)


def save_option(name: str, value: dict[str, Any]) -> None:
    """Store the values of a section."""
    OptionRecord.insert(name=name, value=value).on_conflict(
        conflict_target=[OptionRecord.name], update={OptionRecord.value: value}
    ).execute()
