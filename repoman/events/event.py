"""What a content event is: one change of one asset."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Coordinate:
    """Identifies a component within its repository."""

    kind: str
    name: str
    version: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """The entry of the audit log for a change, in the words of the format.

    Attributes:
        type: what was done (``push``).
        target: what it was done to (``app:1.0``).
        attributes: further details; never a secret.
    """

    type: str
    target: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContentEvent:
    """A change of one asset that was committed.

    An asset without an ``old_digest`` is new, one without a ``new_digest`` is gone; where both are
    the same, it was stored again, perhaps with other attributes. The deletion of a repository with
    all its assets is a single event, without a path and without digests.

    Attributes:
        id: events have ascending ids in the order of their commits; some numbers may be missing.
        repository_id: of the repository, which may have been deleted since; never given again.
        repository: its name at that time.
        at: seconds since the epoch.
        actor: the name of the user; ``system`` is the program itself.
        requested: the name of the repository to which the request came, such as a group; or empty.
        source: what made the change: ``request``, ``command``, or a part or task of the program.
        kind: of the asset, in the words of the format.
        component: what the asset belongs to, if anything.
        old_digest: the SHA-256 of the former bytes, in hex.
        new_digest: the SHA-256 of the present bytes, in hex.
        audit: the entry for the audit log; None: no entry, because another event has it.
        attributes: further details about the actor.
    """

    id: int
    repository_id: int
    repository: str
    at: float
    actor: str
    realm: str
    address: str
    connector: str
    requested: str
    source: str
    kind: str
    path: str
    component: Coordinate | None
    old_digest: str | None
    new_digest: str | None
    audit: AuditEntry | None
    attributes: Mapping[str, str]

    @property
    def is_created(self) -> bool:
        """Whether there was no such asset before."""
        return self.old_digest is None and self.new_digest is not None

    @property
    def is_deleted(self) -> bool:
        """Whether the asset is gone, or the repository with all of them."""
        return self.new_digest is None

    @property
    def change(self) -> str:
        """What happened to the asset: created, updated or deleted."""
        if self.is_deleted:
            return "deleted"
        return "created" if self.is_created else "updated"
