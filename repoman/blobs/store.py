"""The contract of a blob store.

A blob is immutable and is known by the sha256 of its bytes. The only way in is a writer: bytes are
written, then committed under their digest or cancelled. A blob is durable before ``commit``
returns, so a database row that names it never points at nothing.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, Protocol

CANONICAL = "sha256"  # the algorithm that addresses blobs


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A stored blob: the sha256 in hex, the size in bytes, and further checksums by algorithm."""

    digest: str
    size: int
    checksums: Mapping[str, str] = field(default_factory=dict, compare=False)


class BlobStat(NamedTuple):
    """A blob as seen without reading it: its size in bytes, and a version of its content."""

    size: int
    version: Hashable


class BlobWriter(Protocol):
    """Takes the bytes of one blob. Used by one thread at a time.

    Its bytes survive a restart: ``BlobStore.open_writer`` with the same id resumes it.
    After an error only ``size``, ``pause`` and ``cancel`` are of use: every further attempt fails.
    """

    @property
    def size(self) -> int:
        """Bytes written so far; true after a restart and after a failed write too."""

    def check_room(self, size: int) -> None:
        """Refuse early if the content cannot fit; a store that does not know refuses nothing.

        Raises:
            StorageFull: there is not enough disk space for ``size`` more bytes.
        """

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes.

        Raises:
            StorageFull, Unavailable: not all bytes could be stored; ``size`` tells how many were.
            NotFound: somebody has dropped the bytes before.
        """

    def hexdigest(self, algorithm: str) -> str:
        """Return the digest, in hex, of everything written so far.

        It is free for sha256 and for algorithms named when the writer was opened; for others, and
        after a restart, the bytes are read once more.
        """

    def open_reader(self) -> BinaryIO:
        """Return what was written, and will be, as an unbuffered file with a descriptor.

        It stays readable after ``commit`` and ``cancel``. May be called before the first byte.

        Raises:
            StorageFull, Unavailable: the bytes cannot be stored at all.
        """

    def commit(self) -> StoredBlob:
        """Make the bytes a blob, durably; a second writer of the same bytes is not a conflict.

        Raises:
            NotFound: somebody has dropped the bytes.
            StorageFull, Unavailable: the bytes cannot be made durable.
        """

    def pause(self) -> None:
        """Let go of the open file, but keep the bytes and what is known of their digest.

        Raises:
            StorageFull, Unavailable: the bytes cannot be kept; not again after another error.
        """

    def cancel(self) -> None:
        """Drop the bytes. Safe to call again, and without effect after ``commit``."""


class BlobTarget(Protocol):
    """Where new blobs are written: a store, perhaps within the limits of a repository.

    Two are equal if they write to the same store.
    """

    def open_writer(self, writer_id: str, algorithms: tuple[str, ...] = ()) -> BlobWriter:
        """Return the writer with this id, new or from before a restart.

        ``algorithms`` are hashed while bytes arrive, besides sha256.
        """


class BlobStore(BlobTarget, Protocol):
    """A place for blobs. All methods may be called from any thread.

    ``str(store)`` says where it is, for administrators. Until :meth:`create` was called, only it,
    :meth:`identity`, :meth:`is_empty` and :meth:`stat` may be used.
    """

    def identity(self) -> str | None:
        """Return what the store was created with; None if it never was. Changes nothing.

        Raises:
            Unavailable: the store cannot be used.
        """

    def create(self, identity: str) -> None:
        """Create missing parts of the store, and give it this identity, durably.

        Raises:
            StorageFull, Unavailable: it cannot be made.
        """

    def is_empty(self) -> bool:
        """Return whether there is no blob, or no store at all. Changes nothing.

        Raises:
            Unavailable: the store cannot be used.
        """

    def free_bytes(self) -> int | None:
        """Return how many more bytes fit into the store; None: it does not know of a limit.

        Raises:
            Unavailable: the store cannot be used at the moment.
        """

    def remove(self) -> None:
        """Remove the store with everything in it; safe to call again. Nobody may be using it.

        Raises:
            Unavailable: it cannot be removed.
        """

    def written_at(self, writer_id: str) -> float | None:
        """Return when the last bytes of a writer arrived, in seconds since the epoch.

        By the clock of the store; None if there are no bytes.

        Raises:
            Unavailable: the store cannot be used at the moment.
        """

    def list_writers(self, written_before: float) -> list[str]:
        """Return the ids of writers whose last bytes arrived before a time; see `written_at`.

        Raises:
            Unavailable: the store cannot be used at the moment.
        """

    def open(self, digest: str) -> BinaryIO:
        """Return the blob's bytes as an unbuffered file with a descriptor.

        Raises:
            NotFound: there is no such blob.
            Unavailable: the store cannot be used at the moment.
        """

    def stat(self, digest: str) -> BlobStat | None:
        """Return size and version of a blob, without reading it; None if there is no such blob.

        Raises:
            Unavailable: the store cannot be used at the moment.
        """

    def lock_exclusively(self) -> AbstractContextManager[None]:
        """Return a context that holds the store for the process that serves.

        Raises:
            Conflict: it is held already, perhaps by this process under another name; on entering.
        """

    def list_digests(self, prefix: str) -> Iterator[str]:
        """Yield the digests of all blobs that begin with two hexadecimal digits."""

    def detach(self, digest: str, writer_id: str, committed_before: float) -> bool:
        """Make a blob the bytes of a new writer, which is to be cancelled; the opposite of commit.

        It is quick, whatever the size; open readers can continue. Returns whether
        there is no such blob now: False if it was last committed after that time, in seconds since
        the epoch, by the clock of the store.
        """

    def quarantine(self, digest: str, found: BlobStat) -> bool:
        """Put a blob aside, whose bytes are not what its digest says; there is no such blob then.

        Open readers can continue. Returns whether that was done: False if it is not any more what
        :meth:`stat` had ``found``, since somebody has committed it again.

        Raises:
            Unavailable: the store cannot be used at the moment.
        """

    def list_quarantined(self) -> set[str]:
        """Return the digests of the blobs that were put aside (Unavailable)."""

    def drop_quarantined(self, digest: str) -> None:
        """Drop what was put aside under a digest; safe to call again (Unavailable)."""

    def temporary_bytes(self) -> int:
        """Return what writers have written and not committed, and what was put aside, in bytes.

        Raises:
            Unavailable: the store cannot be used at the moment.
        """

    def incoming(self) -> tuple[int, int]:
        """Return how many writers have bytes in the store, and how many bytes.

        Raises:
            Unavailable: the store cannot be used at the moment.
        """

    def sweep_writers(self, keep: Collection[str]) -> int:
        """Drop the bytes of all writers but these, and return how many there were.

        Only for the start of a server: nobody may be writing.
        """
