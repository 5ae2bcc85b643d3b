"""The state of the connectors, as the server records it for the commands."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from repoman.db.database import Database
from repoman.db.models import ConnectorStateRecord, Revision

FOLLOWED = "connectors"  # The revision of the repositories that the states belong to.


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
