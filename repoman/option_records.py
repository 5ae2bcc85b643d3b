"""The rows of options and of the keys that the server made for itself; values in, values out."""

import secrets
from typing import Any

from repoman.db.models import SecretRecord
from repoman.db.settings_models import OptionRecord


def find_option(name: str) -> dict[str, Any]:
    """Return the stored values of a section; none if nothing is stored."""
    record = OptionRecord.get_or_none(OptionRecord.name == name)
    return {} if record is None else dict(record.value)


def save_option(name: str, value: dict[str, Any]) -> None:
    """Store the values of a section."""
    OptionRecord.insert(name=name, value=value).on_conflict(
        conflict_target=[OptionRecord.name], update={OptionRecord.value: value}
    ).execute()


def delete_option(name: str) -> bool:
    """Remove the stored values of a section; return whether there were any."""
    return bool(OptionRecord.delete().where(OptionRecord.name == name).execute())


def find_secret(name: str) -> str | None:
    """Return the secret with this name, or None."""
    record = SecretRecord.get_or_none(SecretRecord.name == name)
    return None if record is None else str(record.value)


def insert_secret(name: str, value: str) -> None:
    """Store a new secret."""
    SecretRecord.insert(name=name, value=value).execute()


def find_or_make_key(name: str) -> str:
    """Return the signing key with this name, made at its first use; within a transaction."""
    key = find_secret(name)
    if key is None:
        key = secrets.token_hex(32)
        insert_secret(name, key)
    return key
