"""Hard quotas: how many bytes a repository, and the blob store that it is in, may take.

What counts are the kept sums: the bytes of all blobs of a repository, each once, and those of all
blobs of a store. So a quota costs one statement, however much is stored.

An upload is compared with them before its first byte, as far as its length is known, while it
arrives, and when its bytes become a blob. Only the transaction that writes the row knows whether
the blob was there already, and whether another upload was faster, so it looks as well: the sums
never exceed a quota. Uploads in progress are no blobs yet, and each may take what is left.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from repoman.blobs.store import CANONICAL, BlobTarget, BlobWriter, StoredBlob
from repoman.errors import QuotaExceeded
from repoman.printable import render_size
from repoman.quota_records import find_owners, find_sizes

# Of an upload that is no larger it is not known before its end whether it needs space at all: what
# lists blobs that are stored already is small, and is often stored again.
SMALL_BYTES = 1 << 20
LOOK_BYTES = 1 << 24  # Bytes of an upload after which the sums are looked at again.


def no_quota(_store: str) -> int | None:
    """Return None: the blob store has no hard quota."""


@dataclass(frozen=True, slots=True)
class HardQuota:
    """A hard quota and what is used of it, in bytes; ``title`` says whose it is."""

    title: str
    limit: int
    used: int

    @property
    def left(self) -> int:
        """How many more bytes fit."""
        return max(0, self.limit - self.used)

    def refusal(self, size: int = 0, what: str = "this upload") -> QuotaExceeded:
        """Return the error for an upload of ``size`` bytes, or of any size."""
        needs = f", and {what} needs {render_size(size)}" if size else ""
        return QuotaExceeded(
            f"The {self.title} has used {render_size(self.used)} of its quota of "
            f"{render_size(self.limit)}{needs}. Delete something, or ask an administrator."
        )


class SpaceLimits:
    """The hard quotas that apply to what is stored in one repository; thread safe.

    Args:
        name: of the repository.
        repository_id: its id.
        find_quota: returns the hard quota of a blob store by its name, in bytes; None: it has none.
        what: is refused, in the words of an error.

    Attributes:
        quota: that of the repository, in bytes; None: it has none.
        store: the name of its blob store.
    """

    def __init__(
        self,
        name: str = "",
        repository_id: int = 0,
        find_quota: Callable[[str], int | None] = no_quota,
        what: str = "this upload",
    ) -> None:
        self.quota: int | None = None
        self.store = ""
        self._name = name
        self._repository = repository_id
        self._find_quota = find_quota
        self._what = what

    @property
    def is_limited(self) -> bool:
        """Whether there is a quota at all; cheap."""
        return self.quota is not None or self._find_quota(self.store) is not None

    def guard(self, writer: BlobWriter) -> BlobWriter:
        """Return a writer that takes no more than fits."""
        return GuardedWriter(writer, self) if self.is_limited else writer

    def check_any(self) -> None:
        """Return if at least one byte fits (QuotaExceeded)."""
        if self.is_limited:
            for quota in self._quotas():
                if not quota.left:
                    raise quota.refusal()

    def check_size(self, size: int) -> int:
        """Return up to which size an upload of ``size`` bytes need not be compared again.

        Raises:
            QuotaExceeded: it does not fit.
        """
        if size <= SMALL_BYTES:
            return SMALL_BYTES
        left = size + LOOK_BYTES
        for quota in self._quotas():
            if size > quota.left:
                raise quota.refusal(size, self._what)
            left = min(left, quota.left)
        return left

    def check_blob(self, digest: str, size: int) -> None:
        """Return if a blob is there already, or fits (QuotaExceeded); exact in a transaction."""
        if not self.is_limited:
            return
        quotas = [each for each in self._quotas() if size > each.left]
        if not quotas:
            return
        in_repository, in_store = find_owners(self._repository, self.store, digest)
        for quota in quotas:
            if not (in_store if quota.title == self._store_title else in_repository):
                raise quota.refusal(size, self._what)

    def _quotas(self) -> Iterator[HardQuota]:
        in_repository, in_store = find_sizes(self._repository, self.store)
        if self.quota is not None:
            yield HardQuota(f"repository {self._name}", self.quota, in_repository)
        store_quota = self._find_quota(self.store)
        if store_quota is not None:
            yield HardQuota(self._store_title, store_quota, in_store)

    @property
    def _store_title(self) -> str:
        return f"blob store {self.store}"


class GuardedWriter:
    """A writer that takes no more than the quotas allow; see :class:`BlobWriter`."""

    def __init__(self, writer: BlobWriter, limits: SpaceLimits) -> None:
        self._writer = writer
        self._limits = limits
        self._allowed = SMALL_BYTES  # Up to this size the quotas need no look.

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._writer.size

    def check_room(self, size: int) -> None:
        """Compare with the disk and the quotas."""
        self._writer.check_room(size)
        self._limits.check_size(self.size + size)

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes, if the quotas allow."""
        end = self.size + len(data)
        if end > self._allowed:
            self._allowed = self._limits.check_size(end)
        self._writer.write(data)

    def hexdigest(self, algorithm: str) -> str:
        """Return the digest of what was written, in hex."""
        return self._writer.hexdigest(algorithm)

    def open_reader(self) -> BinaryIO:
        """Open what was written once more."""
        return self._writer.open_reader()

    def commit(self) -> StoredBlob:
        """Make the bytes a blob, unless it is certain already that it is one too many."""
        self._limits.check_blob(self.hexdigest(CANONICAL), self.size)
        return self._writer.commit()

    def pause(self) -> None:
        """Let go of the open file."""
        self._writer.pause()

    def cancel(self) -> None:
        """Drop the bytes."""
        self._writer.cancel()


class GuardedTarget:
    """A blob store as one repository writes to it: within the quotas."""

    def __init__(self, store: BlobTarget, limits: SpaceLimits) -> None:
        self._store = store
        self._limits = limits

    def open_writer(self, writer_id: str, algorithms: tuple[str, ...] = ()) -> BlobWriter:
        """Return the writer with this id, new or from before a restart."""
        return self._limits.guard(self._store.open_writer(writer_id, algorithms))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GuardedTarget) and self._store is other._store

    def __hash__(self) -> int:
        return hash(id(self._store))
