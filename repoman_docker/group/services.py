"""The services of a group: each asks the members and merges their answers."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain

from repoman.plugin import (
    BlobUpload,
    Content,
    GroupSearch,
    Member,
    NotFound,
    StoredBlob,
    Unavailable,
    Upload,
    UploadSink,
    first_found,
    readable,
    waiting,
)
from repoman_docker.group.members import DockerMembers
from repoman_docker.merge import (
    Budget,
    Names,
    merge_names,
    merge_pages,
    merge_referrers,
    read_names,
)
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import Digest, Tag
from repoman_docker.search import SEARCH_TIMEOUT_S, Filter, SearchResult, collect
from repoman_docker.service import (
    BlobService,
    CheckDelete,
    CheckMove,
    DockerRepository,
    Entry,
    Listed,
    ManifestService,
    RegistryFailure,
    StoredManifest,
    V1Image,
    Visible,
    everything,
    failure,
)
from repoman_docker.v1.reading import pieces_of

DockerMember = Member[DockerRepository]
UPLOADS = ("blobs", "uploads", "")  # The part of an image to which clients push its blobs.


class GroupUploads:
    """Forwards uploads to the writable member."""

    def __init__(self, members: DockerMembers) -> None:
        self._members = members

    def start(self, name: str, actor: str, algorithm: str) -> Upload:
        """See :class:`repoman_docker.service.UploadService`."""
        return self._writable(name).uploads.start(name, actor, algorithm)

    def get(self, name: str, upload_id: str, actor: str) -> Upload:
        """See :class:`repoman_docker.service.UploadService`."""
        return self._writable(name).uploads.get(name, upload_id, actor)

    def offset(self, upload: Upload) -> int:
        """See :class:`repoman_docker.service.UploadService`."""
        return self._members.writable().uploads.offset(upload)

    def open(self, upload: Upload, start: int | None) -> UploadSink:
        """See :class:`repoman_docker.service.UploadService`."""
        return self._members.writable().uploads.open(upload, start)

    def finish(self, upload: Upload, sink: UploadSink, digest: Digest) -> None:
        """See :class:`repoman_docker.service.UploadService`."""
        self._members.writable().uploads.finish(upload, sink, digest)

    def cancel(self, upload: Upload) -> None:
        """See :class:`repoman_docker.service.UploadService`."""
        self._members.writable().uploads.cancel(upload)

    def open_blob_upload(self, name: str, digest: Digest) -> BlobUpload:
        """See :class:`repoman_docker.service.UploadService`."""
        return self._writable(name).uploads.open_blob_upload(name, digest)

    def finish_blob_upload(self, name: str, upload: BlobUpload, digest: Digest) -> None:
        """See :class:`repoman_docker.service.UploadService`."""
        self._writable(name).uploads.finish_blob_upload(name, upload, digest)

    def _writable(self, name: str) -> DockerRepository:
        return self._members.writable(name, *UPLOADS)


class GroupManifests:
    """The first member that has a manifest answers; pushes go to the writable member."""

    def __init__(self, members: DockerMembers) -> None:
        self._members = members

    def get(self, name: str, reference: Digest | Tag) -> Content:
        """See :class:`repoman_docker.service.ManifestService`."""
        return self._first(name, reference, lambda m: readable(m.manifests.get(name, reference)))

    def head(self, name: str, reference: Digest | Tag) -> Content:
        """See :class:`repoman_docker.service.ManifestService`."""
        return self._first(name, reference, lambda m: m.manifests.head(name, reference))

    def _first(
        self, name: str, reference: Digest | Tag, ask: Callable[[DockerRepository], Content]
    ) -> Content:
        members = self._members.serving(name, "manifests", reference)
        if isinstance(reference, Digest):
            # All members return the same content: ask first those that need no remote.
            members.sort(key=lambda each: self._members.rank(each, name))
        return self._members.first_content(members, ask)

    def check_push(self, name: str, reference: Digest | Tag) -> None:
        """See :class:`repoman_docker.service.ManifestService`."""
        self._writable(name, reference).check_push(name, reference)

    def put(
        self,
        name: str,
        reference: Digest | Tag,
        tags: tuple[Tag, ...],
        body: bytes,
        content_type: str | None,
        check_move: CheckMove | None = None,
    ) -> StoredManifest:
        """See :class:`repoman_docker.service.ManifestService`."""
        manifests = self._writable(name, reference, *tags)
        return manifests.put(name, reference, tags, body, content_type, check_move)

    def delete(
        self, name: str, reference: Digest | Tag, check_tag: CheckDelete | None = None
    ) -> None:
        """See :class:`repoman_docker.service.ManifestService`."""
        manifests = self._writable(name, reference)
        if not self._members.has_rules:
            manifests.delete(name, reference, check_tag)
            return

        def check(tag: Tag) -> None:
            self._writable(name, tag)
            if check_tag is not None:
                check_tag(tag)

        manifests.delete(name, reference, check)

    def _writable(self, name: str, reference: Digest | Tag, *tags: Tag) -> ManifestService:
        """Return those of the writable member, if the rule allows everything that is written."""
        for each in tags:
            self._members.writable(name, "manifests", each)
        return self._members.writable(name, "manifests", reference).manifests


class GroupImageSearch:
    """The images that the members find, in member order."""

    def __init__(self, members: DockerMembers) -> None:
        self._search = GroupSearch(members)

    def find(
        self, term: str, first: int, is_visible: Filter | None, patience: float = SEARCH_TIMEOUT_S
    ) -> SearchResult:
        """See :class:`repoman_docker.search.ImageSearch`."""
        answers, failed = self._search.collect(
            lambda member, may_show, timeout: member.search.find(term, first, may_show, timeout),
            is_visible,
            patience,
        )
        failed += [name for answer in answers for name in answer.failed]
        hits = [hit for answer in answers for hit in answer.hits]
        # Whether the uncached results of a remote are also in other members is not known.
        more = sum(answer.total - len(answer.hits) for answer in answers)
        names = {each.name for each in hits}
        return collect(hits, tuple(dict.fromkeys(failed)), len(names) + more)


class GroupLists:
    """The merged lists of all members, without duplicates."""

    def __init__(self, members: DockerMembers) -> None:
        self._members = members

    def tags(self, name: str, after: str, limit: int) -> Listed[str]:
        """See :class:`repoman_docker.service.ListService`."""
        if not self._members.serving(name):
            raise failure(
                ErrorCode.NAME_UNKNOWN,
                f"No member of the group answers for {name}.",
                {"name": name},
            )
        return self._merged(
            name,
            lambda member: member.lists.tags(name, after, limit),
            lambda found: merge_names(found, limit),
        )

    def images(self, after: str, limit: int, budget: Budget) -> Names:
        """See :class:`repoman_docker.service.ListService`."""
        pages = self._members.collect(
            self._members.all(), lambda member: self._images(member, after, limit, budget)
        )
        return merge_pages(pages, limit)

    def _images(
        self, member: Member[DockerRepository], after: str, limit: int, budget: Budget
    ) -> Names:
        """Return the names of a member that it may answer for."""
        read = partial(member.service.lists.images, budget=budget)
        if not self._members.has_rules:
            return read(after, limit)
        counts = partial(self._members.serves, member)
        return read_names(read, after, limit, counts, budget)

    def has_image(self, name: str) -> bool:
        """See :class:`repoman_docker.service.ListService`."""
        return any(self._members.has(each, name) for each in self._members.all())

    def referrers(self, name: str, subject: Digest, after: str, limit: int) -> Listed[Descriptor]:
        """See :class:`repoman_docker.service.ListService`."""
        return self._merged(
            name,
            lambda member: member.lists.referrers(name, subject, after, limit),
            lambda found: merge_referrers(found, limit),
            "referrers",
            subject,
        )

    def _merged(
        self,
        name: str,
        ask: Callable[[DockerRepository], Listed[Entry]],
        merge: Callable[[list[Listed[Entry]]], list[Entry]],
        *part: object,
    ) -> Listed[Entry]:
        """Return the lists of the members as one, with all warnings."""
        members = self._members.serving(name, *part)
        found, failures = self._members.gather(members, lambda m: ask(m.service))
        warnings = [*failures, *chain.from_iterable(each.warnings for each in found)]
        # A remote that has no list may have one in a moment; a hosted repository, after a write.
        are_known = len(found) == len(members) or all(each.is_hosted for each in members)
        is_cacheable = are_known and all(each.is_cacheable for each in found)
        return Listed(merge(found), warnings=warnings, is_cacheable=is_cacheable)


class GroupBlobs:
    """Asks the members that store their own bytes first, then those that served the image.

    If none did, a client that pulls has the manifest from before, and all are asked.
    """

    def __init__(self, members: DockerMembers) -> None:
        self._members = members

    def get(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`."""
        return self._read(self._readers(name, digest), name, digest)

    def head(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`.

        If the group has a writable member, only the blobs of that member need no upload.
        """
        if self._members.takes(name, "blobs", digest):
            return self._writable(name, digest).head(name, digest)
        return self._members.first_content(
            self._readers(name, digest), lambda m: m.blobs.head(name, digest)
        )

    def delete(self, name: str, digest: Digest) -> None:
        """See :class:`repoman_docker.service.BlobService`."""
        self._writable(name, digest).delete(name, digest)

    def mount(
        self, name: str, digest: Digest, source: str | None, is_visible: Visible = everything
    ) -> bool:
        """See :class:`repoman_docker.service.BlobService`.

        The rules and pins of the group apply to the source as they do to pulls. A blob that another
        member has of ``source`` is linked if both use the same blob store.
        """
        target = self._members.writable(name, *UPLOADS).blobs
        if target.mount(name, digest, source, self._sources(digest, is_visible)):
            return True
        return source is not None and is_visible(source) and self._link(name, digest, source)

    def stored(self, name: str, digest: Digest) -> StoredBlob | None:
        """See :class:`repoman_docker.service.BlobService`."""
        return next(self._stored(name, digest), None)

    def link(self, name: str, digest: Digest, blob: StoredBlob) -> None:
        """See :class:`repoman_docker.service.BlobService`."""
        self._writable(name, digest).link(name, digest, blob)

    def obtain(self, name: str, digest: Digest) -> bool:
        """See :class:`repoman_docker.service.BlobService`."""
        return self._link(name, digest, name) or self._copy(name, digest)

    # Inside -------------------------------------------------------------------------------------

    def _writable(self, name: str, digest: Digest) -> BlobService:
        return self._members.writable(name, "blobs", digest).blobs

    def _sources(self, digest: Digest, is_visible: Visible) -> Visible:
        if not self._members.has_rules:
            return is_visible
        builds_on = self._members.builds_on
        return lambda image: is_visible(image) and builds_on(image, "blobs", digest)

    def _read(self, members: Iterator[DockerMember], name: str, digest: Digest) -> Content:
        return self._members.first_content(members, lambda m: readable(m.blobs.get(name, digest)))

    def _readers(self, name: str, digest: Digest) -> Iterator[DockerMember]:
        """Yield the members from which a client reads a blob, in order."""
        others = False
        for each in self._holders(name, digest):
            others |= not each.is_hosted
            yield each
        if not others:
            members = self._members.serving(name, "blobs", digest)
            yield from (each for each in members if not each.is_hosted)

    def _holders(self, name: str, digest: Digest) -> Iterator[DockerMember]:
        """Return the members that store their bytes, and those that served the image, in order."""
        members = self._members.serving(name, "blobs", digest)
        hosted = (each for each in members if each.is_hosted)
        others = (each for each in members if not each.is_hosted and self._members.has(each, name))
        return chain(hosted, others)

    def _stored(self, name: str, digest: Digest) -> Iterator[StoredBlob]:
        for member in self._holders(name, digest):
            try:
                blob = member.service.blobs.stored(name, digest)
            except RegistryFailure as error:
                if not self._members.is_absence(error):
                    raise
            else:
                if blob is not None:
                    yield blob

    def _link(self, name: str, digest: Digest, source: str) -> bool:
        """Link a blob that a member stores for another image to an image of the writable member."""
        target = self._writable(name, digest)
        is_read = self._members.reads(source, "blobs", digest)
        for blob in self._stored(source, digest) if is_read else ():
            with suppress(Unavailable):  # it is in another blob store
                target.link(name, digest, blob)
                return True
        return False

    def _copy(self, name: str, digest: Digest) -> bool:
        """Copy a blob that another member serves for an image to the writable member."""
        uploads = self._members.writable(name, *UPLOADS).uploads
        try:
            content = self._read(self._holders(name, digest), name, digest)
        except (RegistryFailure, NotFound) as error:
            if self._members.is_absence(error):
                return False
            raise
        with waiting(), uploads.open_blob_upload(name, digest) as upload:
            for piece in pieces_of(content):
                upload.write(piece)
            uploads.finish_blob_upload(name, upload, digest)
        return True


class GroupV1Images:
    """Returns V1 images: each from the first member that has it."""

    def __init__(self, members: DockerMembers) -> None:
        self._members = members

    def tag(self, name: str, tag: Tag) -> str:
        """See :class:`repoman_docker.service.V1Images`."""
        members = self._members.serving(name, "manifests", tag)
        return self._members.first(members, lambda each: each.v1_images.tag(name, tag))[1]

    def tags(self, name: str, limit: int) -> dict[str, str]:
        """See :class:`repoman_docker.service.V1Images`."""
        members = self._members.serving(name)
        found = self._members.collect(
            members, lambda each: each.service.v1_images.tags(name, limit)
        )
        merged: dict[str, str] = {}
        for tags in reversed(found):
            merged |= tags
        return dict(sorted(merged.items())[:limit])

    def find(self, image_id: str, is_visible: Visible) -> V1Image:
        """See :class:`repoman_docker.service.V1Images`."""
        named = [(each.repository.name, each) for each in self._members.all()]

        def find(member: Member[DockerRepository]) -> V1Image:
            return member.service.v1_images.find(image_id, self._serving(member, is_visible))

        return first_found(named, find)[1]

    def _serving(self, member: Member[DockerRepository], is_visible: Visible) -> Visible:
        return lambda name: is_visible(name) and self._members.serves(member, name)
