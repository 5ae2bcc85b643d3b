"""Topics: what caches of database reads depend on.

Each table belongs to a topic, and each topic has a number, which moves with every transaction that
writes to its tables. The numbers lie in the table ``revision``, so that other processes see what
has changed. Nobody names topics: those of a write follow from its statements, and those of a cached
value from the statements that read it. So none can be forgotten; a table that is not listed here is
an error.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

CONTENT = "content"  # of all repositories; see :func:`content_topic`
SECURITY = "security"
SESSIONS = "sessions"
OPTIONS = "options"
REPOSITORIES = "repositories"
BLOB_STORES = "blob stores"
SERVED = "served repositories"  # those that this process serves; of no table
NONE = ""  # Nothing that is read from the table is cached.

TOPICS: Mapping[str, str] = {
    "user": SECURITY,
    "role": SECURITY,
    "privilege": SECURITY,
    "content_selector": SECURITY,
    "user_token": SECURITY,
    "session": SESSIONS,
    "option": OPTIONS,
    "certificate": OPTIONS,
    "repository": REPOSITORIES,
    "connector": REPOSITORIES,
    "routing_rule": REPOSITORIES,
    "cleanup_policy": NONE,
    "component": CONTENT,
    "component_index": CONTENT,
    "version_index": CONTENT,
    "asset": CONTENT,
    "reference": CONTENT,
    "package": CONTENT,
    "label": CONTENT,
    "repository_usage": CONTENT,
    "blob_store_usage": CONTENT,
    "blob_repository": CONTENT,
    "blob_package": CONTENT,
    "blob": NONE,
    "blob_checksum": NONE,
    "blob_store": BLOB_STORES,
    "condemned": NONE,
    "damaged_blob": NONE,
    "blob_verification": NONE,
    "repository_move": NONE,
    "version_order": NONE,
    "sample": NONE,
    "pull_day": NONE,
    "content_event": NONE,
    "follower": NONE,
    "audit": NONE,
    "secret": NONE,
    "remote": NONE,
    "connector_state": NONE,
    "upload": NONE,
    "task": NONE,
    "task_run": NONE,
    "task_line": NONE,
    "first_task": NONE,
    "read_only": NONE,
    "doctor_result": NONE,
    "revision": NONE,  # Each row is a topic itself: see ``Database.revision``.
    "migration_backfill": NONE,
    "collection": NONE,
}
UNCHANGING = frozenset({"blob"})
"""The columns of these that are read never change, and a row stays while an asset names it."""
STATEMENTS_MAX = 2_000
"""The tables of so many different statements are remembered."""

_WRITE = re.compile(
    r"\s*(?:WITH\b.*?\)\s*)?"
    r"(?:(?:INSERT|REPLACE)(?:\s+OR\s+\w+)?\s+INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)"
    r'\s+"?(\w+)',
    re.IGNORECASE | re.DOTALL,
)
_READ = re.compile(r'\b(?:FROM|JOIN)\s+"?(\w+)"?(?!\w*\()', re.IGNORECASE)
_NAMED = re.compile(r"\b(\w+)\s*(?:\([\w\s,]*\)\s*)?AS\s*\(", re.IGNORECASE)  # after WITH


def content_topic(repository_id: int) -> str:
    """Return the topic of the content of one repository."""
    return f"content:{repository_id}"


def topic_of(table: str) -> str:
    """Return the topic of a table.

    Raises:
        LookupError: nobody has said what depends on this table.
    """
    try:
        return TOPICS[table]
    except KeyError:
        message = f"The table {table} has no entry in repoman.db.topics.TOPICS."
        raise LookupError(message) from None


@lru_cache(STATEMENTS_MAX)
def written_table(sql: str) -> str | None:
    """Return the table that a statement writes; None if it only reads, or changes no rows."""
    match = _WRITE.match(sql)
    return None if match is None else match[1].lower()


@lru_cache(STATEMENTS_MAX)
def read_tables(sql: str) -> frozenset[str]:
    """Return the tables that a statement reads, but not what it has named itself."""
    named = {name.lower() for name in _NAMED.findall(sql)}
    return frozenset(name.lower() for name in _READ.findall(sql)) - named


class Dependencies(dict[str, int]):
    """What a value was made from: topics, with their numbers before the first look.

    There is one for each request, so it is a dictionary: making one costs no call.

    Attributes:
        is_complete: whether these are all; not where content was read of unknown repositories.
        repository: the id of the repository whose content is read.
    """

    is_complete = True
    repository: int | None = None


# Who reads in this context, and is told of what.
READER: ContextVar[Dependencies | None] = ContextVar("reader", default=None)


def note_failure() -> None:
    """Have nothing kept of what is read in this context: a failure ends without a write."""
    reader = READER.get()
    if reader is not None:
        reader.is_complete = False


class Topics:
    """The numbers of all topics, as far as this process knows; thread safe.

    Attributes:
        moves: how often any of them has moved; cheap to compare.
        numbers: by topic; who is not in it has never moved, and has 0. Only to be read.
    """

    def __init__(self) -> None:
        self.moves = 0
        self.numbers: dict[str, int] = {}
        self._lock = threading.Lock()

    def number(self, topic: str) -> int:
        """Return the number of a topic; 0 if nothing has ever changed."""
        return self.numbers.get(topic, 0)

    def are_current(self, numbers: Mapping[str, int]) -> bool:
        """Return whether no topic has moved since it had these numbers."""
        now = self.numbers
        return all([now.get(topic, 0) == number for topic, number in numbers.items()])

    def publish(self, numbers: Mapping[str, int]) -> None:
        """Take over numbers from the database; those that are known already change nothing."""
        with self._lock:
            newer = {each: n for each, n in numbers.items() if n > self.numbers.get(each, 0)}
            if newer:
                self.numbers.update(newer)
                self.moves += 1

    @contextmanager
    def reading(self, repository: int | None = None) -> Iterator[Dependencies]:
        """Collect what is read in the block, in this thread and those that work for it.

        ``repository`` is the id of the one whose content is read, if it is that of one only.
        """
        dependencies = Dependencies()
        dependencies.repository = repository
        token = READER.set(dependencies)
        try:
            yield dependencies
        finally:
            READER.reset(token)

    def note(self, topic: str) -> None:
        """Have what is read in this context depend on a topic; call it before reading."""
        reader = READER.get()
        if reader is not None:
            reader.setdefault(topic, self.numbers.get(topic, 0))

    def note_all(self, numbers: Mapping[str, int], *, is_complete: bool = True) -> None:
        """Have what is read in this context depend on what a value was made from."""
        reader = READER.get()
        if reader is not None:
            for topic, number in numbers.items():
                reader.setdefault(topic, number)
            reader.is_complete &= is_complete

    def note_statement(self, sql: str) -> None:
        """Note a statement that is about to read."""
        reader = READER.get()
        if reader is None:
            return
        for table in read_tables(sql) - UNCHANGING:
            topic = TOPICS.get(table, NONE)
            if topic == CONTENT and reader.repository is not None:
                self.note(content_topic(reader.repository))
            elif topic in (CONTENT, NONE):
                reader.is_complete = False
            if topic != NONE:
                self.note(topic)
