"""The rows of the audit log."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from peewee import fn

from repoman.db.models import AuditRecord, database_proxy
from repoman.errors import Invalid

# Each push and each login writes one, and the query builder takes five times as long.
_INSERT = (
    'INSERT INTO "audit" (at, domain, type, actor, realm, address, connector, repository, target, '
    "is_success, attributes) VALUES (:at, :domain, :type, :actor, :realm, :address, :connector, "
    ":repository, :target, :is_success, json(:attributes))"
)


def insert_events(rows: Iterable[dict[str, Any]]) -> None:
    """Store events; within a transaction."""
    for row in rows:
        values = {**row, "attributes": json.dumps(row["attributes"])}
        database_proxy.obj.execute_sql(_INSERT, values)


def find_newest() -> float | None:
    """Return when the event that was written last happened; None if there is none."""
    found = AuditRecord.select(AuditRecord.at).order_by(AuditRecord.id.desc()).tuples().first()
    return None if found is None else float(found[0])


def find_oldest() -> float | None:
    """Return the earliest time of any event; None if there is none."""
    oldest = AuditRecord.select(fn.MIN(AuditRecord.at)).scalar()
    return None if oldest is None else float(oldest)


def delete_before(at: float, handled: int, limit: int) -> int:
    """Remove at most ``limit`` rows that are older, and return how many; within a transaction.

    Only those with ids up to ``handled``, which all followers have seen. The newest row stays
    whatever its age, so that ids only go up.
    """
    newest = AuditRecord.select(fn.MAX(AuditRecord.id))
    old = (AuditRecord.at < at) & (AuditRecord.id <= handled) & (AuditRecord.id < newest)
    some = AuditRecord.select(AuditRecord.id).where(old).order_by(AuditRecord.at).limit(limit)
    return int(AuditRecord.delete().where(AuditRecord.id.in_(some)).execute())


def list_events(
    filters: Mapping[str, Any], since: float, limit: int, after: int | None
) -> list[dict[str, Any]]:
    """Return the newest events first whose fields equal the filters (Invalid)."""
    query = AuditRecord.select().where(AuditRecord.at >= since)
    for name, value in filters.items():
        query = query.where(getattr(AuditRecord, name) == value)
    if after is not None:
        last = AuditRecord.get_or_none(AuditRecord.id == after)
        if last is None:
            raise Invalid(
                "continuationToken: this event no longer exists. Start again without the token."
            )
        query = query.where(
            AuditRecord.at <= last.at, (AuditRecord.at < last.at) | (AuditRecord.id < last.id)
        )
    order = (AuditRecord.at.desc(), AuditRecord.id.desc())
    return list(query.order_by(*order).limit(limit).dicts())


def list_after(after: int, limit: int) -> list[dict[str, Any]]:
    """Return at most ``limit`` events with ids after ``after``, the oldest first."""
    query = AuditRecord.select().where(AuditRecord.id > after)
    return list(query.order_by(AuditRecord.id).limit(limit).dicts())
