"""The protocol that every Docker repository implements, whatever its type.

A repository consists of seven services. Routes parse and render; they call these methods and do not
know the type behind them. All methods are thread safe. Names are checked image names; failures are
:class:`RegistryFailure` or other errors of the core.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from repoman.plugin import (
    AuditEntry,
    BlobUpload,
    Content,
    RepomanError,
    StoredBlob,
    Upload,
    UploadSink,
)
from repoman_docker.merge import Budget, Names
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.reference import Digest, Tag
from repoman_docker.search import ImageSearch
from repoman_docker.sections import DockerSection

Entry = TypeVar("Entry")

CheckMove = Callable[[Tag], None]  # raises if the actor is not allowed to move a tag
CheckDelete = Callable[[Tag], None]  # … or to delete it
# Deletes manifests, perhaps so that they can come back; takes paths, and what is audited of them.
Discard = Callable[[Iterable[str], Mapping[str, AuditEntry]], int]
Visible = Callable[[str], bool]  # whether the actor may see an image name


def everything(_: str) -> bool:
    """Return True for every image name."""
    return True


class RegistryFailure(RepomanError):
    """An error of the registry API, as a service raises it: the core handles it as its own.

    Args:
        error: the code, message, status and headers of the response.
    """

    def __init__(self, error: RegistryError) -> None:
        super().__init__(error.message)
        self.error = error

    @property
    def code(self) -> ErrorCode:
        """The code of the error; of the most important one if there are several."""
        return self.error.code


def failure(
    code: ErrorCode, message: str | None = None, detail: object = None, status: int | None = None
) -> RegistryFailure:
    """Return a new error of the registry API; see :class:`RegistryError` for the arguments."""
    return RegistryFailure(RegistryError(code, message, detail, status))


@contextmanager
def registry_failures() -> Iterator[None]:
    """Convert a RegistryError of the block, such as that of a parser, into a RegistryFailure."""
    try:
        yield
    except RegistryError as error:
        raise RegistryFailure(error) from error


class Listed(list[Entry]):
    """A part of a list, with its source.

    Attributes:
        headers: state the source; empty if there is only one.
        warnings: sentences on what may be out of date or missing.
        is_cacheable: whether it stays the same until the next write; not if a remote was asked.
    """

    def __init__(
        self,
        entries: Iterable[Entry] = (),
        headers: Mapping[str, str] | None = None,
        warnings: Iterable[str] = (),
        *,
        is_cacheable: bool = False,
    ) -> None:
        super().__init__(entries)
        self.headers: Mapping[str, str] = headers or {}
        self.warnings = tuple(warnings)
        self.is_cacheable = is_cacheable


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """The result of a push of a manifest: its digest, and its subject."""

    digest: Digest
    subject: Digest | None


@dataclass(frozen=True, slots=True)
class V1Image:
    """An image of the API V1: one layer, with all layers below it.

    Attributes:
        id: 64 hexadecimal digits; the same id means the same image.
        json: the exact bytes.
        ancestry: the ids from this image down to the lowest.
        name: an image name that has it.
        layer: a blob of that image name.
        diff_id: the digest of the uncompressed layer.
        checksum: the sha256 of JSON and layer, as sent by the engine that pushed them, in hex;
            empty if none was sent.
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
        """Return a blob of an image for a client that may be about to push it."""

    def delete(self, name: str, digest: Digest) -> None:
        """Remove a blob from an image (BLOB_UNKNOWN, UNSUPPORTED while a manifest needs it)."""

    def mount(
        self, name: str, digest: Digest, source: str | None, is_visible: Visible = everything
    ) -> bool:
        """Mount a blob of another image, and return whether that succeeded.

        The other image is ``source``, or any image, but it must be visible.
        """

    def stored(self, name: str, digest: Digest) -> StoredBlob | None:
        """Return a blob of an image in the blob store; None: it is not stored here."""

    def link(self, name: str, digest: Digest, blob: StoredBlob) -> None:
        """Link a stored blob to an image (Unavailable: it is not in this blob store)."""

    def obtain(self, name: str, digest: Digest) -> bool:
        """Get a blob that a pushed manifest lacks from the members that serve pulls of the image.

        Only a group has such members; returns whether one had the blob. A blob that is not cached
        yet is fetched, which may take long.

        Raises:
            RepomanError: a remote failed.
        """


class UploadService(Protocol):
    """The uploads of blobs."""

    def start(self, name: str, actor: str, algorithm: str) -> Upload:
        """Begin a session; ``algorithm`` is the expected algorithm of its digest."""

    def get(self, name: str, upload_id: str, actor: str) -> Upload:
        """Return a session (BLOB_UPLOAD_UNKNOWN)."""

    def offset(self, upload: Upload) -> int:
        """Return how many bytes have arrived."""

    def open(self, upload: Upload, start: int | None) -> UploadSink:
        """Return a sink that appends; ``start`` is where the client continues (RangeInvalid)."""

    def finish(self, upload: Upload, sink: UploadSink, digest: Digest) -> None:
        """Turn the session into a blob of its image; ends it in any case (DIGEST_INVALID)."""

    def cancel(self, upload: Upload) -> None:
        """End a session and drop its bytes."""

    def open_blob_upload(self, name: str, digest: Digest) -> BlobUpload:
        """Return a sink for a blob that is uploaded in one request."""

    def finish_blob_upload(self, name: str, upload: BlobUpload, digest: Digest) -> None:
        """Store the uploaded bytes as a blob of an image (DIGEST_INVALID)."""


class ManifestService(Protocol):
    """Manifests and tags."""

    def get(self, name: str, reference: Digest | Tag) -> Content:
        """Return a manifest (MANIFEST_UNKNOWN)."""

    def head(self, name: str, reference: Digest | Tag) -> Content:
        """Return a manifest for a HEAD request, without sending the body."""

    def check_push(self, name: str, reference: Digest | Tag) -> None:
        """Check that a manifest may be pushed at all, before it is read (UNSUPPORTED, DENIED)."""

    def put(
        self,
        name: str,
        reference: Digest | Tag,
        tags: tuple[Tag, ...],
        body: bytes,
        content_type: str | None,
        check_move: CheckMove | None = None,
    ) -> StoredManifest:
        """Store a manifest under a tag or its digest, and set more tags to it.

        ``check_move`` is called with each tag that points to another manifest, and raises if it
        must not be moved.
        """

    def delete(
        self, name: str, reference: Digest | Tag, check_tag: CheckDelete | None = None
    ) -> None:
        """Remove a tag, or a manifest with all its tags (MANIFEST_UNKNOWN).

        ``check_tag`` is called with each tag of a deleted manifest, and raises if it must stay.
        """


class ListService(Protocol):
    """Lists in byte order, with at most ``limit`` entries after ``after``."""

    def tags(self, name: str, after: str, limit: int) -> Listed[str]:
        """Return tags of an image (NAME_UNKNOWN)."""

    def images(self, after: str, limit: int, budget: Budget) -> Names:
        """Return image names; entries that are read but not returned are taken from the budget."""

    def has_image(self, name: str) -> bool:
        """Return whether a manifest of the image is here; contacts no remote.

        A proxy also has an image of which it served a manifest that it could not store.
        """

    def referrers(self, name: str, subject: Digest, after: str, limit: int) -> Listed[Descriptor]:
        """Return the manifests with this subject, ordered by digest."""


class V1Images(Protocol):
    """What V1 clients read; the tags are those of V2."""

    def tag(self, name: str, tag: Tag) -> str:
        """Return the id of a tag's image (MANIFEST_UNKNOWN: or these clients cannot use it)."""

    def tags(self, name: str, limit: int) -> dict[str, str]:
        """Return the ids of at most ``limit`` tags (NAME_UNKNOWN); from the cache of a proxy."""

    def find(self, image_id: str, is_visible: Visible) -> V1Image:
        """Return an image of a visible image name (NotFound)."""


@dataclass(frozen=True, slots=True)
class Pusher:
    """A client that pushes with V1, whose paths of images contain no image name.

    Attributes:
        actor: their :attr:`Actor.owner`.
        may_push: whether they may push to an image name.
        may_read: whether they may read one, and so use its images as parents.
    """

    actor: str
    may_push: Visible
    may_read: Visible


class V1Pushes(Protocol):
    """The requests of a V1 push, in order; clients announce all images first."""

    def begin(self, name: str, pusher: Pusher, ids: Sequence[str], tags: Mapping[Tag, str]) -> None:
        """Announce a push of images with these ids to an image name; ``tags`` will be set.

        Raises:
            RegistryFailure: DENIED, the repository is read-only, or a tag must not be moved.
        """

    def begun_at(self, name: str, pusher: Pusher) -> float:
        """Return the start time of the last unfinished push to an image name; 0.0: none."""

    def put_json(self, pusher: Pusher, image_id: str, body: bytes) -> None:
        """Store the JSON of an image; an incomplete image starts again.

        Raises:
            Invalid: it is malformed, was not announced, or depends on a missing image.
            Conflict: the image exists.
        """

    def find(self, pusher: Pusher, image_id: str) -> V1Image | None:
        """Return an existing image to a pusher that has announced it; None: not announced.

        Raises:
            NotFound: it must be pushed.
        """

    def open_layer(self, pusher: Pusher, image_id: str) -> BlobUpload:
        """Begin the upload of the layer of an image (NotFound, Conflict)."""

    def put_layer(self, pusher: Pusher, image_id: str, upload: BlobUpload) -> None:
        """Store the uploaded bytes as the layer of an image (Invalid, Conflict)."""

    def finish_image(self, pusher: Pusher, image_id: str, checksum: str) -> None:
        """Complete an image; ``checksum`` may be empty for old engines.

        Raises:
            Invalid: the checksum does not match; the image must be pushed again.
            Conflict: there is no image to complete.
        """

    def put_tag(
        self, name: str, tag: Tag, pusher: Pusher, image_id: str, check_move: CheckMove
    ) -> StoredManifest:
        """Set a tag to an image, for clients of V1 and V2 (NotFound, DENIED)."""

    def finish(self, name: str, pusher: Pusher) -> None:
        """End the pushes whose images have all arrived."""

    def delete_all(self, name: str, check_tag: CheckDelete) -> list[Tag]:
        """Remove all tags of an image name with their manifests, or none; return the tags.

        Raises:
            RegistryFailure: NAME_UNKNOWN, there are no tags; DENIED, the repository is read-only.
            Exception: raised by ``check_tag``, which is called with each tag.
        """


@dataclass(frozen=True, slots=True)
class TagChange:
    """What restoring does to a tag.

    Attributes:
        old: the digest to which it leads now; empty: it was deleted.
        new: the one to which it will lead; empty: it is not known.
        refusal: why it cannot be done, a sentence; empty: it can.
    """

    name: str
    tag: str
    old: str
    new: str
    refusal: str = ""


class TagUndo(Protocol):
    """Brings back tags that were moved or deleted."""

    def find(self, name: str, tag: Tag, at: float | None, digest: Digest | None) -> TagChange:
        """Return what a tag becomes: as it was at a time, at a digest, or before its last change.

        Raises:
            NotFound: the tag has no such past.
            Invalid: the time is not within the days in which tags can be restored.
        """

    def list(self, name: str | None, at: float) -> Iterator[TagChange]:
        """Yield what tags of an image, or of all of them, become to be as at a time.

        In the order of their paths. Tags that are new since then stay as they are.

        Raises:
            Invalid: the time is not within the days in which tags can be restored.
        """

    def restore(self, change: TagChange, check_move: CheckMove) -> None:
        """Set a tag to the manifest that it had, which comes back with all that belongs to it.

        Raises:
            RegistryFailure: DENIED, the deployment policy or a rule refuses it; MANIFEST_UNKNOWN,
                the manifest is gone.
        """


@dataclass(frozen=True, slots=True)
class DockerRepository:
    """A Docker repository: what a recipe of this format builds.

    Attributes:
        drop_incomplete: ends uploads, V1 pushes too, without activity for some seconds, and
            returns how many; takes the present time, those seconds, and what to call between two
            steps. Only for hosted repositories.
        namespaces: the registries that it mirrors, as clients name them in ``ns``; None if that
            does not matter.
        undo: brings back tags; only for hosted repositories.
        delete_unneeded: deletes a manifest that no tag and no index names when it goes, and returns
            whether it went (ReadOnly); None for groups.
        names: returns all names of the same image in this repository, including the given one.
        builds_on: returns whether pushes may use the content of an image name; for a group,
            whether its rules and pins let pulls of the name read from the writable member.
        view: returns the view of it for a registry, or None; only for groups.
        v1_pushes: returns the service for V1 pushes, given the image name if the request has
            one; raises the reason if pushes are not allowed.
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
    drop_incomplete: Callable[[float, float, Callable[[], None]], int] | None = None
    undo: TagUndo | None = None
    delete_unneeded: Callable[[str, Digest], bool] | None = None
    names: Callable[[str], frozenset[str]] = lambda name: frozenset({name})
    builds_on: Visible = everything
    view: "Callable[[str], DockerRepository | None] | None" = None

    def as_mirror_of(self, registry: str) -> "DockerRepository | None":
        """Return the services for a client that means this registry, or None."""
        if self.view is not None:
            return self.view(registry)
        is_meant = self.namespaces is None or registry.lower() in self.namespaces
        return self if is_meant else None
