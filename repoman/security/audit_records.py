"""The rows of the audit log."""

from collections.abc import Iterable
from typing import Any

from repoman.db.models import AuditRecord


def insert_events(rows: Iterable[dict[str, Any]]) -> None:
    """Store events; within a transaction."""
    AuditRecord.insert_many(list(rows)).execute()


def delete_before(at: float) -> int:
    """Remove what is older, and return how much that was; within a transaction."""
    return int(AuditRecord.delete().where(AuditRecord.at < at).execute())


def list_events(filters: dict[str, str], since: float, limit: int) -> list[dict[str, Any]]:
    """Return the newest events first whose fields equal the filters."""
    query = AuditRecord.select().where(AuditRecord.at >= since)
    for name, value in filters.items():
        query = query.where(getattr(AuditRecord, name) == value)
    return list(query.order_by(AuditRecord.at.desc()).limit(limit).dicts())
