"""The rows of repositories and connectors; values in, values out."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from peewee import fn

from repoman.db.models import ConnectorRecord, RepositoryRecord, Revision

IDS = "repository ids"  # the counter that holds the last one given


@dataclass(frozen=True, slots=True)
class Row:
    """A repository as it is stored: its settings are not validated yet."""

    id: int
    name: str
    format: str
    type: str
    is_online: bool
    settings: dict[str, dict[str, Any]]


def list_rows() -> list[Row]:
    """Return all repositories by name."""
    return [_row(record) for record in RepositoryRecord.select().order_by(RepositoryRecord.key)]


def find_row(name: str) -> Row | None:
    """Return the repository with this name, in any case of letters, or None."""
    record = RepositoryRecord.get_or_none(RepositoryRecord.key == name.lower())
    return None if record is None else _row(record)


def insert_row(row: Row) -> int:
    """Store a new repository and return its id, which no other one has had.

    So nothing that outlives a repository, such as a download, can end up in another one.
    """
    return int(
        RepositoryRecord.insert(
            id=_new_id(),
            name=row.name,
            key=row.name.lower(),
            format=row.format,
            type=row.type,
            is_online=row.is_online,
            settings=row.settings,
        ).execute()
    )


def _new_id() -> int:
    counted = Revision.select(Revision.value).where(Revision.name == IDS).scalar() or 0
    used = RepositoryRecord.select(fn.max(RepositoryRecord.id)).scalar() or 0
    new = max(counted, used) + 1
    Revision.insert(name=IDS, value=new).on_conflict(
        conflict_target=[Revision.name], update={Revision.value: new}
    ).execute()
    return int(new)


def update_row(row: Row) -> None:
    """Store what can change of a repository: online or not, and its settings."""
    RepositoryRecord.update(
        is_online=row.is_online, settings=row.settings, updated_at=time.time()
    ).where(RepositoryRecord.id == row.id).execute()


def delete_row(repository_id: int) -> None:
    """Remove a repository; its connectors, content and uploads go with it."""
    RepositoryRecord.delete().where(RepositoryRecord.id == repository_id).execute()


def port_owners() -> dict[int, str]:
    """Return the name of the repository each connector port belongs to."""
    query = ConnectorRecord.select(ConnectorRecord.port, RepositoryRecord.name).join(
        RepositoryRecord
    )
    return dict(query.tuples())


def replace_ports(repository_id: int, ports: Iterable[tuple[str, int]]) -> None:
    """Give a repository exactly these connectors, as (scheme, port)."""
    ConnectorRecord.delete().where(ConnectorRecord.repository == repository_id).execute()
    for scheme, port in ports:
        ConnectorRecord.insert(port=port, scheme=scheme, repository=repository_id).execute()


def _row(record: Any) -> Row:
    return Row(
        int(record.id),
        record.name,
        record.format,
        record.type,
        record.is_online,
        record.settings,
    )
