"""The rows of repositories that move to another blob store; values in, values out.

In plain SQL. Times are seconds since the epoch, sizes are in bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from repoman.content_records import find_blob, keep_blob, note_whole
from repoman.db.models import database_proxy
from repoman.db.sqlite import batches

_COLUMNS = (
    "m.repository_id, r.name, m.store, m.began_at, m.ended_at, m.after, m.done, m.blobs, m.size, "
    "m.problem, m.retry_at, m.is_paused"
)
_SELECT = (
    f"SELECT {_COLUMNS} FROM repository_move m "  # noqa: S608 - constants
    "JOIN repository r ON r.id = m.repository_id WHERE r.deleted_at IS NULL AND "
)
_BEGIN = (
    "INSERT OR REPLACE INTO repository_move (repository_id, store, began_at, again) "
    "VALUES (?, ?, ?, 1)"
)
_SCAN = (
    "SELECT a.id, a.path, b.id, b.store, b.digest, b.size FROM asset a JOIN blob b "
    "ON b.id = a.blob_id WHERE a.repository_id = ? AND a.path > ? ORDER BY a.path LIMIT ?"
)
_COPY_BLOB = (
    "INSERT INTO blob (store, digest, size, created_at) "
    "SELECT ?, digest, size, created_at FROM blob WHERE id = ? RETURNING id"
)
_COPY_CHECKSUMS = (
    "INSERT INTO blob_checksum (blob_id, algorithm, value) "
    "SELECT ?, algorithm, value FROM blob_checksum WHERE blob_id = ? ON CONFLICT DO NOTHING"
)
_STEP = (
    "UPDATE repository_move SET after = ?, done = ?, blobs = blobs + ?, size = size + ? "
    "WHERE repository_id = ?"
)
_PAUSE = "UPDATE repository_move SET is_paused = 1 WHERE repository_id = ?"
_RESUME = (
    "UPDATE repository_move SET is_paused = 0, problem = '', retry_at = 0 WHERE repository_id = ?"
)
_END = (
    "UPDATE repository_move SET ended_at = ?, problem = '', after = '', done = 0 "
    "WHERE repository_id = ? AND again = 0 AND is_paused = 0 AND store = ?"
)


@dataclass(frozen=True, slots=True)
class Move:
    """The move of a repository to the blob store of its settings.

    Attributes:
        name: of the repository.
        store: the blob store that it moves to.
        ended_at: when all was there; None: it goes on.
        after: the path of the last asset that was looked at.
        done: how many assets were looked at.
        blobs: how many were copied, ``size`` their bytes.
        problem: why some could not be moved when that was tried last; empty: nothing is known.
        retry_at: when it is tried again.
    """

    repository_id: int
    name: str
    store: str
    began_at: float
    ended_at: float | None
    after: str
    done: int
    blobs: int
    size: int
    problem: str
    retry_at: float
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Scanned:
    """An asset with its blob."""

    asset: int
    path: str
    blob: int
    store: str
    digest: str
    size: int


def find_move(repository_id: int) -> Move | None:
    """Return the move of a repository, also one that ended; None: it never moved."""
    return _first(_execute(f"{_SELECT} m.repository_id = ?", (repository_id,)))


def find_due(now: float) -> Move | None:
    """Return the oldest move that may go on; None: there is none."""
    sql = (
        f"{_SELECT} m.ended_at IS NULL AND m.is_paused = 0 AND m.retry_at <= ? "
        "ORDER BY m.began_at LIMIT 1"
    )
    return _first(_execute(sql, (now,)))


def list_moving() -> list[Move]:
    """Return the moves that have not ended, the oldest first."""
    rows = _execute(f"{_SELECT} m.ended_at IS NULL ORDER BY m.began_at", ())
    return [_move(row) for row in rows]


def count_assets(repository_id: int) -> int:
    """Return how many assets a repository has, from the kept sums."""
    sql = "SELECT assets FROM repository_usage WHERE repository_id = ?"
    row = _execute(sql, (repository_id,)).fetchone()
    return 0 if row is None else int(row[0])


def begin_move(repository_id: int, store: str, now: float) -> None:
    """Note that blobs of a repository may be in another store than its own, from now on."""
    _execute(_BEGIN, (repository_id, store, now))


def pause_move(repository_id: int, *, is_paused: bool) -> None:
    """Stop a move, or have it go on, as if it had not failed."""
    _execute(_PAUSE if is_paused else _RESUME, (repository_id,))


def begin_pass(repository_id: int) -> None:
    """Begin to look at all assets of a repository."""
    sql = "UPDATE repository_move SET again = 0, after = '', done = 0 WHERE repository_id = ?"
    _execute(sql, (repository_id,))


def end_move(move: Move, now: float) -> bool:
    """End a move; not if it was stopped, or something was stored elsewhere since its pass began."""
    return bool(_execute(_END, (now, move.repository_id, move.store)).rowcount)


def put_off(repository_id: int, problem: str, retry_at: float) -> None:
    """Note why not all could be moved, and when that is tried again."""
    sql = "UPDATE repository_move SET problem = ?, retry_at = ?, again = 1 WHERE repository_id = ?"
    _execute(sql, (problem, retry_at, repository_id))


def scan(repository_id: int, after: str, limit: int) -> list[Scanned]:
    """Return assets with paths after ``after``, in their order."""
    return [Scanned(*row) for row in _execute(_SCAN, (repository_id, after, limit))]


def note_step(move: Move, after: str, done: int, copied: tuple[int, int]) -> None:
    """Note how far a move is, and how many blobs and bytes were copied for this step."""
    _execute(_STEP, (after, done, *copied, move.repository_id))


def take_over(assets: Iterable[Scanned], store: str) -> set[str]:
    """Have assets name the blobs of the same digests in another store, whose bytes are whole.

    Returns the digests that compaction is removing from it: their assets stay as they are.
    """
    by_blob: dict[int, list[Scanned]] = {}
    for each in assets:
        by_blob.setdefault(each.blob, []).append(each)
    refused = set()
    for blob, named in by_blob.items():
        new, is_condemned = find_blob(store, named[0].digest)
        if is_condemned:
            refused.add(named[0].digest)
            continue
        if new is None:
            new = _execute(_COPY_BLOB, (store, blob)).fetchone()[0]
        else:
            keep_blob(new)
        note_whole(store, named[0].digest)
        _execute(_COPY_CHECKSUMS, (new, blob))
        for batch in batches(each.asset for each in named):
            marks = ", ".join("?" * len(batch))
            # An asset that was replaced meanwhile has another blob.
            sql = f"UPDATE asset SET blob_id = ? WHERE blob_id = ? AND id IN ({marks})"  # noqa: S608
            _execute(sql, (new, blob, *batch))
    return refused


def _first(rows: Any) -> Move | None:
    row = rows.fetchone()
    return None if row is None else _move(row)


def _move(row: tuple[Any, ...]) -> Move:
    move = Move(*row)
    return replace(move, is_paused=bool(move.is_paused))


def _execute(sql: str, values: tuple[Any, ...]) -> Any:
    return database_proxy.execute_sql(sql, values)
