"""The rows of the server's own keys."""

import secrets

from repoman.db.models import SecretRecord


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
