"""What a proxy asks of its remote, whatever version of the API that speaks.

All methods raise errors of the core: NotFound, UpstreamRefused (401, 403), UpstreamRateLimited,
UpstreamUnavailable, UpstreamBlocked. Implementations are thread safe.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from repoman.plugin import Body, UpstreamUnavailable
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.manifest import Manifest
from repoman_docker.protocol.reference import Tag

Entry = TypeVar("Entry")


class WrongManifest(UpstreamUnavailable):
    """The remote sent another manifest than the one that was asked for by its digest."""


@dataclass(frozen=True, slots=True)
class RemoteList(Generic[Entry]):
    """A list, and why entries of the remote may be missing in it; empty if it is whole."""

    entries: list[Entry]
    gap: str = ""


@dataclass(frozen=True, slots=True)
class RemoteTag:
    """What a HEAD says of a manifest; ``size`` in bytes."""

    digest: Digest
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """A manifest with its exact bytes, checked."""

    digest: Digest
    body: bytes
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Budget:
    """What a remote says of its limit of pulls: how many, how many are left, in which time.

    Attributes:
        limit: pulls in a window.
        remaining: pulls that are left of them.
        window: its length in seconds; 0 if nothing was said.
        source: whom the remote counts us as: an address or an account.
        seen_at: when it said so, seconds since the epoch.
    """

    limit: int
    remaining: int
    window: int
    source: str
    seen_at: float


class RemoteRegistry(Protocol):
    """A remote registry, in the words of version 2.

    Attributes:
        remote: its address.
    """

    remote: str

    @property
    def budget(self) -> Budget | None:
        """What the remote last said of its limit of pulls; None if it has none."""

    def head_manifest(self, name: str, reference: Digest | Tag) -> RemoteTag | None:
        """Return what a reference names; None if the remote does not say, so that GET must."""

    def get_manifest(self, name: str, reference: Digest | Tag) -> RemoteManifest:
        """Return a manifest.

        One that was asked for by its digest has that (WrongManifest); one that was asked for by a
        tag has the digest of its bytes, whatever the remote says.
        """

    def open_blob(self, name: str, digest: Digest, start: int = 0) -> Body:
        """Return the answer with a blob, from byte ``start`` on if the remote can; to be closed."""

    def blob_size(self, name: str, digest: Digest) -> int | None:
        """Return the size of a blob in bytes; None if the remote does not say."""

    def list_tags(self, name: str) -> RemoteList[str]:
        """Return all tags of an image, in byte order."""

    def list_referrers(self, name: str, subject: Digest) -> RemoteList[Descriptor]:
        """Return the manifests with this subject, in order of their digests."""
