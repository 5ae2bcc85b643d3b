"""The protocol that every Docker repository implements, whatever its type.

A repository is seven services. Routes parse and render; they call these methods and do not know the
type behind them. All methods are thread safe. Names are checked image names; failures are
:class:`repoman_docker.protocol.errors.RegistryError` or errors of the core.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from repoman.plugin import BlobInlet, Content, Remote, Trace, Upload, UploadSink
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.reference import Tag
from repoman_docker.search import ImageSearch
from repoman_docker.sections import DockerSection

CheckMove = Callable[[Tag], None]  # raises if somebody has no right to move a tag
CheckDelete = Callable[[Tag], None]  # … or to delete it


Visible = Callable[[str], bool]  # whether somebody may know of an image name

Entry = TypeVar("Entry")


class Listed(list[Entry]):
    """A part of a list, and what there is to say of where it comes from.

    Attributes:
        headers: tell the source; empty where there is but one.
        warnings: sentences on what may be out of date, or is left out.
    """

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        headers: Mapping[str, str] | None = None,
        warnings: Iterable[str] = (),
    ) -> None:
        super().__init__(entries)
        self.headers: Mapping[str, str] = headers or {}
        self.warnings = tuple(warnings)


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """What a push of a manifest came to: its digest, and the subject it names."""

    digest: Digest
    subject: Digest | None


@dataclass(frozen=True, slots=True)
class V1Image:
    """An image as version 1 of the API has them: one layer, with all that is below it.

    Attributes:
        id: 64 hexadecimal digits; whoever has the same id has the same image.
        json: the exact bytes.
        ancestry: the ids from this image down to the lowest.
        name: an image name that has it.
        layer: a blob of that image name.
        diff_id: the digest of the layer without compression.
        checksum: the sha256 of JSON and layer, as the engine that pushed them says it, in hex;
            empty where none did.
    """

    id: str
    json: bytes
    ancestry: tuple[str, ...]
    name: str
    layer: Descriptor
    diff_id: str
    checksum: str = ""


class BlobService(Protocol):
    """The blobs of images."""

    def get(self, name: str, digest: Digest) -> Content:
        """Return a blob of an image (BLOB_UNKNOWN)."""

    def head(self, name: str, digest: Digest) -> Content:
        """Return a blob of an image as a client sees it that may go on to push it."""

    def delete(self, name: str, digest: Digest) -> None:
        """Take a blob out of an image (BLOB_UNKNOWN, UNSUPPORTED while a manifest needs it)."""

    def mount(self, name: str, digest: Digest, source: str | None) -> bool:
        """Give an image a blob of another one, ``source``, or of any; return whether it has it."""


class UploadService(Protocol):
    """Blobs on their way in."""

    def start(self, name: str, actor: str, algorithm: str) -> Upload:
        """Begin a session; ``algorithm`` is what its digest is expected in."""

    def get(self, name: str, upload_id: str, actor: str) -> Upload:
        """Return a session (BLOB_UPLOAD_UNKNOWN)."""

    def offset(self, upload: Upload) -> int:
        """Return how many bytes have arrived."""

    def open(self, upload: Upload, start: int | None) -> UploadSink:
        """Return a sink that appends; ``start`` is where the client goes on (RangeInvalid)."""

    def finish(self, upload: Upload, sink: UploadSink, digest: Digest) -> None:
        """Make the session a blob of its image; ends it in any case (DIGEST_INVALID)."""

    def cancel(self, upload: Upload) -> None:
        """End a session and drop its bytes."""

    def open_inlet(self, name: str, digest: Digest) -> BlobInlet:
        """Return a sink for a blob of an image that comes in one request."""

    def finish_inlet(self, name: str, inlet: BlobInlet, digest: Digest) -> None:
        """Make what the inlet took a blob of an image (DIGEST_INVALID)."""


class ManifestService(Protocol):
    """Manifests and tags."""

    def get(self, name: str, reference: Digest | Tag) -> Content:
        """Return a manifest (MANIFEST_UNKNOWN)."""

    def head(self, name: str, reference: Digest | Tag) -> Content:
        """Return a manifest of which the body is not sent."""

    def check_push(self, name: str) -> None:
        """Return if manifests of an image may be pushed at all (UNSUPPORTED, DENIED)."""

    def put(
        self,
        name: str,
        reference: Digest | Tag,
        tags: tuple[Tag, ...],
        body: bytes,
        content_type: str | None,
        check_move: CheckMove | None = None,
    ) -> StoredManifest:
        """Store a manifest under a tag or its digest, and give it more tags.

        ``check_move`` is called with each tag that is at another manifest now, and raises if it
        must stay there.
        """

    def delete(
        self, name: str, reference: Digest | Tag, check_tag: CheckDelete | None = None
    ) -> None:
        """Remove a tag, or a manifest with all its tags (MANIFEST_UNKNOWN).

        ``check_tag`` is called with each tag that goes with a manifest, and raises if it must stay.
        """


class ListService(Protocol):
    """What there is, in byte order, at most ``limit`` entries after ``after``."""

    def tags(self, name: str, after: str, limit: int) -> Listed[str]:
        """Return tags of an image (NAME_UNKNOWN)."""

    def images(self, after: str, limit: int) -> list[str]:
        """Return image names."""

    def has_image(self, name: str) -> bool:
        """Return whether a manifest of the image is stored here and served; asks no remote."""

    def referrers(self, name: str, subject: Digest, after: str, limit: int) -> Listed[Descriptor]:
        """Return the manifests with this subject, in order of their digests."""


class V1Images(Protocol):
    """What clients of version 1 read; the tags are those of version 2."""

    def tag(self, name: str, tag: Tag) -> str:
        """Return the id of a tag's image (MANIFEST_UNKNOWN: or these clients cannot use it)."""

    def tags(self, name: str, limit: int) -> dict[str, str]:
        """Return the ids of an image's tags, at most ``limit`` (NAME_UNKNOWN); what a proxy has."""

    def find(self, image_id: str, is_visible: Visible) -> V1Image:
        """Return an image that a visible image name has (NotFound)."""


@dataclass(frozen=True, slots=True)
class Pusher:
    """Who pushes by version 1, whose paths of images have no image name.

    Attributes:
        actor: the name.
        may_push: whether they may push to an image name.
        may_read: whether they may read one, and so build upon its images.
    """

    actor: str
    may_push: Visible
    may_read: Visible


class V1Pushes(Protocol):
    """What clients of version 1 write, in their order; they announce all images first."""

    def begin(self, name: str, pusher: Pusher, ids: Sequence[str], tags: Mapping[Tag, str]) -> None:
        """Let images with these ids be sent for an image name; ``tags`` are what will be set.

        Raises:
            RegistryError: DENIED, the repository is read-only, or a tag must not be moved.
        """

    def begun_at(self, name: str, pusher: Pusher) -> float:
        """Return when the last push to an image name began that has not ended; 0.0: none has."""

    def put_json(self, pusher: Pusher, image_id: str, body: bytes) -> None:
        """Take the JSON of an image; it begins anew if it was not complete.

        Raises:
            Invalid: it is broken, was not announced, or depends on an image that is not there.
            Conflict: the image is there.
        """

    def find(self, pusher: Pusher, image_id: str) -> V1Image | None:
        """Return an image that is there already for who has announced it; None: they have not.

        Raises:
            NotFound: it has to be sent.
        """

    def open_layer(self, pusher: Pusher, image_id: str) -> BlobInlet:
        """Return what takes the layer of an image (NotFound, Conflict)."""

    def put_layer(self, pusher: Pusher, image_id: str, inlet: BlobInlet) -> None:
        """Take what the inlet took as the layer of an image (Invalid, Conflict)."""

    def finish_image(self, pusher: Pusher, image_id: str, checksum: str) -> None:
        """Make an image complete; ``checksum`` may be empty where an old engine knows none.

        Raises:
            Invalid: it is another one; the image has to be sent again.
            Conflict: there is nothing to be finished.
        """

    def put_tag(
        self, name: str, tag: Tag, pusher: Pusher, image_id: str, check_move: CheckMove
    ) -> StoredManifest:
        """Set a tag to an image, for clients of both versions (NotFound, DENIED)."""

    def finish(self, name: str, pusher: Pusher) -> None:
        """End the pushes whose images have all come."""

    def delete_all(self, name: str, check_tag: CheckDelete) -> list[Tag]:
        """Remove all tags of an image name with their manifests, or none; return the tags.

        Raises:
            RegistryError: NAME_UNKNOWN, there is none; DENIED, the repository is read-only.
            Exception: what ``check_tag`` raised, which is called with each tag.
        """


@dataclass(frozen=True, slots=True)
class DockerRepository:
    """A Docker repository: what a recipe of this format builds.

    Attributes:
        namespaces: the registries in whose place it answers, as clients name them by ``ns``; None
            where that does not matter.
        names: returns all image names that mean the same image here, with the one that is given.
        view: returns the part of it that answers in the place of a registry, or None; only of
            groups.
        trace: says which members answer for a path; only of groups.
        v1_pushes: returns what takes pushes by version 1, given the image name where the request
            has one; raises the reason where none may.
        remote: only of proxies.
    """

    settings: DockerSection
    blobs: BlobService
    uploads: UploadService
    manifests: ManifestService
    lists: ListService
    search: ImageSearch
    v1_images: V1Images
    v1_pushes: Callable[[str | None], V1Pushes]
    namespaces: frozenset[str] | None = None
    names: Callable[[str], frozenset[str]] = lambda name: frozenset({name})
    view: "Callable[[str], DockerRepository | None] | None" = None
    trace: Trace | None = None
    remote: Remote | None = None

    def as_mirror_of(self, registry: str) -> "DockerRepository | None":
        """Return what answers a client that means this registry; None: nothing here."""
        if self.view is not None:
            return self.view(registry)
        is_meant = self.namespaces is None or registry.lower() in self.namespaces
        return self if is_meant else None
