"""A blob store as administrators know it: its path, its sums, and its quotas."""

from dataclasses import dataclass
from enum import StrEnum

from repoman.blob_records import StoreRow
from repoman.catalog.model import StoreUsage
from repoman.printable import render_size

FILE = "file"  # The type of the stores that can be created.


class QuotaKind(StrEnum):
    """What a soft quota limits."""

    USED = "used"  # at most so many bytes are used
    REMAINING = "remaining"  # at least so many bytes are free


@dataclass(frozen=True, slots=True)
class Quota:
    """A soft quota: beyond its limit, in bytes, there are warnings, and nothing is refused."""

    kind: QuotaKind
    limit: int

    def __str__(self) -> str:
        return f"{self.kind} {self.limit}"


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """A blob store.

    Attributes:
        path: of its directory, as it was given; empty: it is not of the type file.
        is_configured: whether it is in the settings file.
        quota: the soft quota.
        hard_quota: bytes beyond which nothing more is stored; None: no limit.
    """

    name: str
    type: str
    path: str
    is_configured: bool
    quota: Quota | None
    hard_quota: int | None = None


@dataclass(frozen=True, slots=True)
class StoreState:
    """A blob store, its sums, and its disk.

    Attributes:
        free: bytes that still fit into it; None: it knows no limit.
        problem: why it cannot be used; empty if it can.
        shortage: why its disk takes nothing more, as a sentence; empty if it does.
    """

    info: StoreInfo
    usage: StoreUsage
    free: int | None
    problem: str = ""
    shortage: str = ""

    @property
    def violation(self) -> str:
        """How the soft quota is exceeded, as a sentence; empty if it is not."""
        quota = self.info.quota
        if quota is None or self.problem:
            return ""
        told = f"The soft quota of the blob store {self.info.name} is exceeded:"
        if quota.kind is QuotaKind.USED and self.usage.size > quota.limit:
            return f"{told} {self.usage.size:,} bytes are used, of {quota.limit:,}."
        if quota.kind is QuotaKind.REMAINING and self.free is not None and self.free < quota.limit:
            return f"{told} {self.free:,} bytes are free, less than {quota.limit:,}."
        return ""

    @property
    def refusal(self) -> str:
        """Why nothing more is stored in it, as a sentence; empty if it has room."""
        limit = self.info.hard_quota
        if limit is None or self.usage.size < limit:
            return self.shortage
        return (
            f"The blob store {self.info.name} has used {render_size(self.usage.size)} of its "
            f"quota of {render_size(limit)}. Nothing more is stored in it."
        )


def path_of(row: StoreRow) -> str:
    """Return the path of a created store, as it was given."""
    return str((row.settings or {}).get("path", ""))


def quota_of(row: StoreRow | None) -> Quota | None:
    """Return the soft quota of a store, or None."""
    if row is None or row.quota is None:
        return None
    return Quota(QuotaKind(row.quota["kind"]), int(row.quota["limit"]))
