"""The rows of repositories and connectors; values in, values out."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from peewee import fn

from repoman.db.database import Database
from repoman.db.models import (
    ConnectorRecord,
    ConnectorStateRecord,
    RemoteRecord,
    RepositoryRecord,
    Revision,
    UploadRecord,
    database_proxy,
)
from repoman.db.usage_models import RepositoryUsageRecord

IDS = "repository ids"  # the counter that holds the last one given
FOLLOWED = "connectors"  # The revision of the repositories that the states of connectors belong to.
# The tables of content, in an order in which no row goes with another one.
CONTENT = ("reference", "asset", "component")

_ROWS = (
    'SELECT "id", "name", "format", "type", "is_online", "settings" FROM "repository" '
    'WHERE "deleted_at" IS NULL ORDER BY "key"'
)
_IS_ALIVE = RepositoryRecord.deleted_at.is_null()
_COUNT = 'SELECT count(*) FROM "{0}" WHERE repository_id = ?'
_DELETE = 'DELETE FROM "{0}" WHERE id IN (SELECT id FROM "{0}" WHERE repository_id = ? LIMIT ?)'


@dataclass(frozen=True, slots=True)
class Row:
    """A repository as it is stored: its settings are not validated yet.

    Attributes:
        stored: the text of the settings in the database, where they were read with others.
    """

    id: int
    name: str
    format: str
    type: str
    is_online: bool
    settings: dict[str, dict[str, Any]]
    stored: str = field(default="", repr=False, compare=False)

    @property
    def blob_store(self) -> str:
        """Return the name of its blob store."""
        return str(self.settings.get("storage", {}).get("blob_store", "default"))

    @property
    def routing_rule(self) -> str:
        """Return the name of its routing rule; empty: it has none."""
        return str(self.settings.get("routing", {}).get("rule", ""))

    @property
    def cleanup_policies(self) -> list[str]:
        """Return the names of its cleanup policies."""
        return list(self.settings.get("cleanup", {}).get("policy_names") or ())

    def with_setting(self, section: str, key: str, value: Any) -> "Row":
        """Return the repository with one changed setting."""
        changed = {**self.settings.get(section, {}), key: value}
        return replace(self, settings={**self.settings, section: changed})


def list_rows(known: Iterable[Row] = ()) -> list[Row]:
    """Return all repositories by name.

    Settings that are those of a row in ``known`` are taken from there, without parsing.
    """
    parsed = {row.id: row for row in known}
    found = database_proxy.execute_sql(_ROWS)
    return [_row_of(parsed.get(id_), id_, *values) for id_, *values in found]


def _row_of(
    known: Row | None, id_: int, name: str, format_: str, type_: str, is_online: int, stored: str
) -> Row:
    if known is not None and known.stored == stored:
        settings = known.settings
    else:
        settings = json.loads(stored)
    return Row(id_, name, format_, type_, bool(is_online), settings, stored)


def find_row(name: str) -> Row | None:
    """Return the repository with this name, in any case of letters, or None."""
    record = RepositoryRecord.get_or_none(_IS_ALIVE & (RepositoryRecord.key == name.lower()))
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


def bury_row(repository_id: int) -> None:
    """Make a repository a tombstone: its name and ports are free, its content is to be removed."""
    ConnectorRecord.delete().where(ConnectorRecord.repository == repository_id).execute()
    RemoteRecord.delete().where(RemoteRecord.repository == repository_id).execute()
    RepositoryRecord.update(
        key=f"deleted {repository_id}",  # not a valid name
        is_online=False,
        settings={},  # there may be secrets in them
        deleted_at=time.time(),
    ).where(RepositoryRecord.id == repository_id).execute()


def list_buried() -> list[tuple[int, str]]:
    """Return id and name of each tombstone, the oldest first."""
    query = RepositoryRecord.select(RepositoryRecord.id, RepositoryRecord.name)
    return list(query.where(~_IS_ALIVE).order_by(RepositoryRecord.deleted_at).tuples())


def count_content(repository_id: int) -> int:
    """Return how many rows of content a repository has."""
    return sum(
        int(database_proxy.execute_sql(_COUNT.format(table), (repository_id,)).fetchone()[0])
        for table in CONTENT
    )


def count_components(repository_id: int | None = None) -> int:
    """Return how many components a repository has, or all; that is kept, not counted."""
    kept = RepositoryUsageRecord.select(fn.sum(RepositoryUsageRecord.components))
    if repository_id is not None:
        kept = kept.where(RepositoryUsageRecord.repository == repository_id)
    return int(kept.scalar() or 0)


def own_size(repository_id: int) -> int:
    """Return how many bytes only this repository needs; that is kept, not summed up."""
    kept = RepositoryUsageRecord.select(RepositoryUsageRecord.own_size)
    return int(kept.where(RepositoryUsageRecord.repository == repository_id).scalar() or 0)


def delete_content(repository_id: int, limit: int) -> int:
    """Remove at most ``limit`` rows of the content of a tombstone; return how many: 0 if none is.

    Within a transaction.
    """
    for table in CONTENT:
        cursor = database_proxy.execute_sql(_DELETE.format(table), (repository_id, limit))
        if cursor.rowcount > 0:
            return int(cursor.rowcount)
    return 0


def list_uploads(repository_id: int, limit: int) -> list[tuple[str, str]]:
    """Return id and blob store of upload sessions of a repository."""
    query = UploadRecord.select(UploadRecord.id, UploadRecord.store)
    mine = UploadRecord.repository == repository_id
    return list(query.where(mine).order_by(UploadRecord.id).limit(limit).tuples())


def delete_uploads(upload_ids: Iterable[str]) -> None:
    """Remove the rows of upload sessions whose bytes are removed."""
    UploadRecord.delete().where(UploadRecord.id.in_(list(upload_ids))).execute()


def delete_row(repository_id: int) -> None:
    """Remove the row of a repository without content."""
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


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """The state of a connector.

    Attributes:
        key: the connector, as the server calls it.
        repository: the name of its repository.
        url: where it listens, or should.
        problem: why it is not open; empty if it is.
    """

    key: str
    repository: str
    url: str
    problem: str


def save_states(database: Database, revision: int, states: Iterable[ConnectorState]) -> None:
    """Store the states of the connectors, as of a revision of the repositories."""
    with database.transaction(touches=(), is_brief=True):
        ConnectorStateRecord.delete().execute()
        for state in states:
            ConnectorStateRecord.insert(**asdict(state)).execute()
        Revision.insert(name=FOLLOWED, value=revision).on_conflict(
            conflict_target=[Revision.name], update={Revision.value: revision}
        ).execute()


def list_states() -> list[ConnectorState]:
    """Return the connectors that the last server wanted, by key."""
    fields = [getattr(ConnectorStateRecord, name) for name in ConnectorState.__slots__]
    query = ConnectorStateRecord.select(*fields).order_by(ConnectorStateRecord.key)
    return [ConnectorState(*row) for row in query.tuples()]
