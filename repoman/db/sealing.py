"""Encrypted values in the database: finds, checks, re-encrypts or deletes them.

All of it is in JSON: an object with the one key ``$sealed`` stands for each secret text. The
functions are for the holder of the write transaction.
"""

import json
from collections.abc import Iterator
from typing import Any

from repoman.errors import Unavailable
from repoman.keyring import MARK, REMEDY, Keyring, find_sealed, map_sealed

# Table and column of everything that may hold secrets.
COLUMNS = (
    ("secret", "value"),
    ("option", "value"),
    ("repository", "settings"),
    ("task", "settings"),
)


def list_sealed(db: Any) -> list[str]:
    """Return the tokens of all that is sealed."""
    return [token for *_, value in _values(db) for token in find_sealed(value)]


def check_sealed(tokens: list[str], keyring: Keyring) -> None:
    """Return if the keyring opens all these (else Unavailable)."""
    lost = sum(not keyring.opens(each) for each in tokens)
    if lost:
        raise Unavailable(
            f"The keys in {keyring.path} cannot decrypt {lost} of the {len(tokens)} secrets in the "
            f"database. {REMEDY}"
        )


def renew_sealed(db: Any, keyring: Keyring) -> int:
    """Seal everything by the keyring's present key; return how much that was."""
    for table, column, rowid, value in _values(db):
        _store(db, table, column, rowid, keyring.renew(value))
    return len(list_sealed(db))


def forget_sealed(db: Any, keyring: Keyring) -> int:
    """Empty what the keyring does not open, and return how much that was.

    The server's own keys are removed: it makes new ones.
    """
    count = 0
    for table, column, rowid, value in _values(db):
        lost = [token for token in find_sealed(value) if not keyring.opens(token)]
        count += len(lost)
        if lost and table == "secret":
            db.execute_sql("DELETE FROM secret WHERE rowid = ?", (rowid,))
        elif lost:
            _store(db, table, column, rowid, _without(value, set(lost)))
    return count


def _without(value: Any, lost: set[str]) -> Any:
    return map_sealed(value, lambda token: "" if token in lost else {MARK: token})


def _values(db: Any) -> Iterator[tuple[str, str, int, Any]]:
    """Yield table, column, rowid and the parsed value of each row that has something sealed."""
    for table, column in COLUMNS:
        if not db.table_exists(table):  # a database of before, which is about to be migrated
            continue
        query = f'SELECT rowid, "{column}" FROM "{table}"'  # noqa: S608 - names of our own
        for rowid, text in db.execute_sql(query).fetchall():
            value = json.loads(text)
            if any(find_sealed(value)):
                yield table, column, rowid, value


def _store(db: Any, table: str, column: str, rowid: int, value: Any) -> None:
    query = f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?'  # noqa: S608 - as above
    db.execute_sql(query, (json.dumps(value), rowid))
