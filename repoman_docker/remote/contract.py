"""The interface of a remote registry, whatever version of the API it supports.

All methods raise errors of the core: NotFound, UpstreamRefused (401, 403), UpstreamRateLimited,
UpstreamUnavailable, UpstreamBlocked. Implementations are thread safe.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from repoman.plugin import Body, UpstreamUnavailable
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.manifest import Manifest
from repoman_docker.protocol.reference import Digest, Tag

Entry = TypeVar("Entry")


class WrongManifest(UpstreamUnavailable):
    """The remote sent a manifest other than the one requested by digest."""


@dataclass(frozen=True, slots=True)
class RemoteList(Generic[Entry]):
    """A list, and why entries of the remote may be missing; empty if it is complete."""

    entries: list[Entry]
    gap: str = ""


@dataclass(frozen=True, slots=True)
class RemoteTag:
    """The answer to a HEAD of a manifest; ``size`` in bytes."""

    digest: Digest
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """A manifest with its exact bytes, verified."""

    digest: Digest
    body: bytes
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Budget:
    """The pull limit of a remote.

    Attributes:
        limit: pulls in a window.
        remaining: pulls that remain.
        window: its length in seconds; 0 if not stated.
        source: what the remote counts by: an address or an account.
        seen_at: when the remote stated it, in seconds since the epoch.
    """

    limit: int
    remaining: int
    window: int
    source: str
    seen_at: float


class RemoteRegistry(Protocol):
    """A remote registry, in terms of V2.

    Attributes:
        remote: its address.
    """

    remote: str

    @property
    def budget(self) -> Budget | None:
        """The pull limit of the remote as last stated; None if it has none."""

    def head_manifest(self, name: str, reference: Digest | Tag) -> RemoteTag | None:
        """Return the digest and size of a reference; None if only GET can tell."""

    def get_manifest(self, name: str, reference: Digest | Tag) -> RemoteManifest:
        """Return a manifest.

        A manifest requested by digest has that digest (WrongManifest); one requested by tag has the
        digest of its bytes, whatever the remote states.
        """

    def open_blob(self, name: str, digest: Digest, start: int = 0) -> Body:
        """Return a blob, from byte ``start`` on if supported; the caller closes the response."""

    def blob_size(self, name: str, digest: Digest) -> int | None:
        """Return the size of a blob in bytes; None if the remote does not state it."""

    def list_tags(self, name: str) -> RemoteList[str]:
        """Return all tags of an image, in byte order."""

    def list_referrers(self, name: str, subject: Digest) -> RemoteList[Descriptor]:
        """Return the manifests with this subject, ordered by digest."""
