"""Upload sessions: a body that arrives in several requests, and may go on after a restart.

The row in the database says that the session exists; its bytes, and so its offset, are the file of
the blob store's writer. In memory there are only the hashes of those bytes and the lock that lets
one request at a time write.

Whatever fails between the first byte and the answer ends the session, its bytes and its row, and
the client starts over: a failed write, sync, close, rename or look at the free space, a full disk,
a blob that is stored but cannot be recorded. What the disk refused once it may seem to accept the
next time, without having the bytes; see :mod:`repoman.blobs.file_writer`. A body that the client
cuts off and a chunk out of order end nothing.
"""

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from repoman.blobs.store import BlobStore, BlobWriter, StoredBlob
from repoman.db.database import Database
from repoman.db.topics import SECURITY
from repoman.errors import Conflict, NotFound, RangeInvalid, RepomanError
from repoman.quotas import SpaceLimits
from repoman.upload_records import add_upload, delete_upload, find_upload, list_begun

LISTED_SESSIONS = 100  # Sessions that are read at a time to find idle ones.

KNOWN_S = 0.5
"""For so long a session is not looked for again: what other processes do is noticed as late."""

LIVE_MAX = 10_000
"""So many sessions of a repository are in memory; beyond it, the oldest that nobody uses go."""

LOCK_WAIT_S = 0.05  # Letting go of a session takes less, what a request writes mostly more.

UNKNOWN = "This upload does not exist, is finished or has expired."

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upload:
    """A session: ``scope`` is what the format files it under, ``actor`` who began it.

    ``store`` is the blob store that has its bytes.
    """

    id: str
    scope: str
    actor: str
    started_at: float
    store: str


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far a session is.

    Attributes:
        size: bytes so far; None if no request has written since the start of this process.
        written_at: when its last byte came, in seconds since the epoch; None: none has come.
        is_active: whether a request is writing to it.
    """

    upload: Upload
    size: int | None
    written_at: float | None
    is_active: bool


class UploadSink:
    """Takes one request's bytes for a session; holds the session until it is closed.

    It is the :class:`repoman.http.body.BodySink` of an upload. Any error of its methods ends the
    session when it is closed, as does an error after :meth:`commit`.
    """

    def __init__(self, live: "_Live", release: Callable[["_Live"], None]) -> None:
        self._live = live
        self._release = release
        self._ending = _Ending(live)
        self._start = live.writer.size
        self._is_open = True
        self._is_committed = False

    @property
    def offset(self) -> int:
        """Bytes of the session so far, over all requests."""
        return self._live.writer.size

    @property
    def received(self) -> int:
        """Bytes that this request brought."""
        return self.offset - self._start

    @property
    def size(self) -> int:
        """The same as ``offset``: the bytes that would be committed."""
        return self.offset

    def check_room(self, size: int) -> None:
        """Refuse what certainly does not fit.

        Raises:
            StorageFull: there is not enough disk space for ``size`` more bytes.
            Unavailable: the blob store cannot be used.
        """
        with self._ending:
            self._live.writer.check_room(size)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes to the session.

        Raises:
            StorageFull, Unavailable: they cannot be stored.
        """
        with self._ending:
            self._live.writer.write(data)

    def hexdigest(self, algorithm: str) -> str:
        """Return the digest of the session's bytes, in hex (Unavailable)."""
        with self._ending:
            return self._live.writer.hexdigest(algorithm)

    def commit(self) -> StoredBlob:
        """Make the session's bytes a blob, durably.

        Raises:
            StorageFull, Unavailable: they cannot be made durable.
            NotFound: they were dropped, with the repository.
        """
        with self._ending:
            blob = self._live.writer.commit()
        self._is_committed = True
        return blob

    def cancel(self) -> None:
        """Drop the session's bytes."""
        self._live.writer.cancel()

    def close(self) -> None:
        """Let the next request have the session; what was written stays, unless something failed.

        Safe to call again. Raises no error: nobody waits for an answer; ``with`` does raise it.
        """
        try:
            self._close()
        except RepomanError as error:
            _log.warning("The upload %s was cancelled: %s", self._live.id, error)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            try:
                with self._ending:
                    self._live.writer.pause()
            finally:
                self._release(self._live)

    def __enter__(self) -> "UploadSink":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._is_committed:
            self._live.has_failed = True
        self._close()


class _Live:
    """What this process knows of a session: the writer with its hashes, and who uses it."""

    def __init__(self, upload: Upload, writer: BlobWriter) -> None:
        self.id = upload.id
        self.upload = upload
        self.known_until = 0.0  # monotonic seconds: until then its row need not be looked for
        self.known_users = -1  # The number of the users' topic then: uploads of deleted ones go.
        self.writer = writer
        self.lock = threading.Lock()
        self.is_over = False  # read and set by the holder of the lock, as is:
        self.has_failed = False

    def known(self, users: int) -> Upload | None:
        """Return the session if its row was there a moment ago, and it has not ended here since.

        ``users`` is the number that the topic of users has.
        """
        is_fresh = users == self.known_users and time.monotonic() < self.known_until
        return self.upload if is_fresh and not self.is_over else None

    def note_known(self, upload: Upload, users: int) -> None:
        """Take note that the row of the session is there."""
        self.upload, self.known_until = upload, time.monotonic() + KNOWN_S
        self.known_users = users

    @property
    def is_left_over(self) -> bool:
        """Whether it failed and could not be removed; not while the request is told why."""
        return self.has_failed and not self.lock.locked()


class _Ending:
    """A context in which an error ends the session; a class, since each request enters several."""

    def __init__(self, live: _Live) -> None:
        self._live = live

    def __enter__(self) -> None:
        """Begin nothing."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._live.has_failed = True


class UploadSessions:
    """The upload sessions of one repository; thread safe."""

    def __init__(
        self,
        database: Database,
        repository_id: int,
        blob_store: str,
        blobs: BlobStore,
        find_store: Callable[[str], BlobStore] | None = None,
        limits: SpaceLimits | None = None,
    ) -> None:
        self._limits = limits or SpaceLimits()
        self._database = database
        self._repository = repository_id
        self._own = (blob_store, blobs)
        self._find_store = find_store
        self._live: dict[str, _Live] = {}

    def begin_in(self, blob_store: str, blobs: BlobStore) -> None:
        """Begin sessions in another blob store from now on; those that are there stay there."""
        self._own = (blob_store, blobs)

    def create(self, scope: str, actor: str, algorithms: tuple[str, ...] = ()) -> Upload:
        """Begin a session; ``algorithms`` are hashed while bytes arrive, besides sha256.

        Raises:
            StorageFull: the disk or a quota is full.
        """
        self._limits.check_any()
        upload = Upload(secrets.token_hex(16), scope, actor, time.time(), self._own[0])
        # A power cut may take the session: its client begins another one.
        with self._database.transaction(is_durable=False):
            self._database.admit()
            add_upload(self._repository, (upload.id, scope, actor, upload.started_at, upload.store))
        self._find_live(upload, algorithms).note_known(upload, self._users())
        return upload

    def get(self, upload_id: str, scope: str, actor: str) -> Upload:
        """Return a session.

        Raises:
            NotFound: there is none with this id in this scope that this actor began.
        """
        live = self._live.get(upload_id)
        found = None if live is None else live.known(self._users())
        if found is None:
            found = self._look_up(upload_id, live)
        if (found.scope, found.actor) != (scope, actor) or (live and live.is_left_over):
            raise NotFound(UNKNOWN)
        return found

    def _look_up(self, upload_id: str, live: _Live | None) -> Upload:
        """Return a session as its row has it, and take note of that in ``live`` (NotFound)."""
        users = self._users()
        row = find_upload(self._repository, upload_id)
        if row is None:
            if live is not None and live.lock.acquire(blocking=False):
                live.is_over = True
                self._release(live)
            raise NotFound(UNKNOWN)
        found = Upload(*row)
        if live is not None:
            live.note_known(found, users)
        return found

    def _users(self) -> int:
        """Return the number of the topic of users, which is another one once any of them goes."""
        return self._database.topics.numbers.get(SECURITY, 0)

    def list_after(self, after: str, limit: int) -> list[UploadProgress]:
        """Return at most ``limit`` sessions with ids after ``after``, in their order."""
        rows = list_begun(self._repository, math.inf, after, limit)
        return [self._progress(Upload(*row)) for row in rows]

    def find(self, upload_id: str) -> UploadProgress:
        """Return a session, whoever began it (NotFound)."""
        row = find_upload(self._repository, upload_id)
        if row is None:
            raise NotFound(UNKNOWN)
        return self._progress(Upload(*row))

    def _progress(self, upload: Upload) -> UploadProgress:
        live = self._live.get(upload.id)
        return UploadProgress(
            upload,
            size=None if live is None else live.writer.size,
            written_at=self._blobs_of(upload).written_at(upload.id),
            is_active=live is not None and live.lock.locked(),
        )

    def offset(self, upload: Upload) -> int:
        """Return how many bytes of the session are stored."""
        return self._find_live(upload).writer.size

    def open_sink(self, upload: Upload, start: int | None = None) -> UploadSink:
        """Return a sink that appends to the session, and hold the session for it.

        ``start`` is where the client believes the session to be; None where it does not say.

        Raises:
            Conflict: another request is writing to the session.
            NotFound: it has ended since it was looked up.
            RangeInvalid: ``start`` is not the session's offset.
            StorageFull: the disk is full.
        """
        self._database.admit()
        return self._hold(upload, start)

    def _hold(self, upload: Upload, start: int | None = None) -> UploadSink:
        live = self._lock(upload)
        sink = UploadSink(live, self._release)
        try:
            if live.has_failed or live.is_over:  # while it was not locked yet
                raise NotFound(UNKNOWN)
            if start is not None and start != sink.offset:
                raise RangeInvalid(
                    f"The next byte expected is {sink.offset}, not {start}.", sink.offset
                )
        except BaseException as error:
            live.is_over = isinstance(error, NotFound)
            sink.close()
            raise
        return sink

    def _lock(self, upload: Upload) -> _Live:
        """Return what is known of a session, for this request alone (Conflict, NotFound)."""
        while True:
            if upload.id not in self._live:  # It may have ended; its row was deleted before that.
                self.get(upload.id, upload.scope, upload.actor)
            live = self._find_live(upload)
            if not live.lock.acquire(timeout=LOCK_WAIT_S):
                raise Conflict("Another request is writing to this upload; try again later.")
            if live.is_over or self._live.get(upload.id) is live:
                return live
            live.lock.release()  # In between it was let go of.

    def forget(self, upload: Upload) -> None:
        """Remove the session's row; call it in the transaction that saves what it became.

        The caller holds the session's sink.

        Raises:
            NotFound: another process has ended it, or taken it from its actor.
        """
        was_there = delete_upload(upload.id, upload.actor)
        self._find_live(upload).is_over = True
        if not was_there:
            raise NotFound(UNKNOWN)

    def cancel(self, upload: Upload) -> None:
        """End the session and drop its bytes.

        Raises:
            Conflict: a request is writing to it.
        """
        with self._hold(upload) as sink:
            self.drop(upload, sink)

    def drop(self, upload: Upload, sink: UploadSink) -> None:
        """End the session that ``sink`` holds and drop its bytes."""
        with self._database.transaction():
            self.forget(upload)
        sink.cancel()

    def end_idle(self, before: float, check_stop: Callable[[], None]) -> int:
        """End the sessions without activity since a time, and return how many those were.

        Activity is the beginning and each byte that arrives; what a request is writing to is left
        alone, however long that takes. ``check_stop`` is called between two sessions.

        Raises:
            RepomanError: the database or the blob store cannot be used; the next call continues.
        """
        count, after = 0, ""
        while uploads := self._list_begun(before, after):
            for upload in uploads:
                check_stop()
                count += self._end_if_idle(upload, before)
            after = uploads[-1].id
        return count

    def _list_begun(self, before: float, after: str) -> list[Upload]:
        return [
            Upload(*row) for row in list_begun(self._repository, before, after, LISTED_SESSIONS)
        ]

    def _end_if_idle(self, upload: Upload, before: float) -> bool:
        if not self._is_idle(upload, before):
            return False
        try:
            with self._hold(upload) as sink:
                if not self._is_idle(upload, before):  # a request came in between
                    return False
                self.drop(upload, sink)
        except (Conflict, NotFound):  # a request writes to it, or it has just ended
            return False
        return True

    def _is_idle(self, upload: Upload, before: float) -> bool:
        written_at = self._blobs_of(upload).written_at(upload.id)
        return written_at is None or written_at < before

    def _find_live(self, upload: Upload, algorithms: tuple[str, ...] = ()) -> _Live:
        live = self._live.get(upload.id)
        if live is None:
            writer = self._blobs_of(upload).open_writer(upload.id, algorithms)
            made = _Live(upload, self._limits.guard(writer))
            live = self._live.setdefault(upload.id, made)  # atomic: one of two racers wins
            if len(self._live) > LIVE_MAX:
                self._let_go()
        return live

    def _let_go(self) -> None:
        """Let go of a part of the sessions; row and file tell of them, as after a restart."""
        for live in list(self._live.values())[: LIVE_MAX // 10]:
            if live.lock.acquire(blocking=False):
                if not live.has_failed and self._live.get(live.id) is live:
                    del self._live[live.id]
                live.lock.release()

    def _blobs_of(self, upload: Upload) -> BlobStore:
        """Return the blob store of a session; another one if the repository moved since."""
        name, blobs = self._own
        if upload.store == name or self._find_store is None:
            return blobs
        return self._find_store(upload.store)

    def _release(self, live: _Live) -> None:
        try:
            if live.has_failed:
                live.is_over = self._give_up(live)
            if live.is_over:
                self._live.pop(live.id, None)
        finally:
            live.lock.release()

    def _give_up(self, live: _Live) -> bool:
        """End a session that failed; return whether nobody can continue it."""
        is_gone = False
        try:
            live.writer.cancel()  # first: the database may need the room
            is_gone = True
        except RepomanError as error:
            _log.warning(
                "The content of the failed upload %s could not be removed: %s", live.id, error
            )
        try:
            with self._database.transaction():
                delete_upload(live.id)
            is_gone = True
        except RepomanError as error:
            _log.warning("The failed upload %s could not be removed: %s", live.id, error)
        return is_gone
