"""The services of a group: each asks the members and merges their answers."""

from collections.abc import Callable
from functools import partial
from itertools import chain

from repoman.plugin import BlobInlet, Content, Upload, UploadSink
from repoman_docker.group.members import Member, Members, readable
from repoman_docker.merge import (
    Budget,
    Names,
    merge_names,
    merge_pages,
    merge_referrers,
    read_names,
)
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.reference import Tag
from repoman_docker.service import (
    CheckDelete,
    CheckMove,
    DockerRepository,
    Entry,
    Listed,
    StoredManifest,
)


class GroupUploads:
    """Forwards uploads to the writable member."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def start(self, name: str, actor: str, algorithm: str) -> Upload:
        """See :class:`repoman_docker.service.UploadService`."""
        return self._members.writable(name).uploads.start(name, actor, algorithm)

    def get(self, name: str, upload_id: str, actor: str) -> Upload:
        """See :class:`repoman_docker.service.UploadService`."""
        return self._members.writable(name).uploads.get(name, upload_id, actor)

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

    def open_inlet(self, name: str, digest: Digest) -> BlobInlet:
        """See :class:`repoman_docker.service.UploadService`."""
        return self._members.writable(name).uploads.open_inlet(name, digest)

    def finish_inlet(self, name: str, inlet: BlobInlet, digest: Digest) -> None:
        """See :class:`repoman_docker.service.UploadService`."""
        self._members.writable(name).uploads.finish_inlet(name, inlet, digest)


class GroupManifests:
    """The first member that has a manifest answers; pushes go to the writable member."""

    def __init__(self, members: Members) -> None:
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
        members = self._members.for_image(name)
        if isinstance(reference, Digest):
            # All members return the same content: ask first those that need no remote.
            members.sort(key=lambda each: each.rank(name))
        return self._members.first(members, ask)

    def check_push(self, name: str) -> None:
        """See :class:`repoman_docker.service.ManifestService`."""
        self._members.writable(name).manifests.check_push(name)

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
        manifests = self._members.writable(name).manifests
        return manifests.put(name, reference, tags, body, content_type, check_move)

    def delete(
        self, name: str, reference: Digest | Tag, check_tag: CheckDelete | None = None
    ) -> None:
        """See :class:`repoman_docker.service.ManifestService`."""
        self._members.writable(name).manifests.delete(name, reference, check_tag)


class GroupLists:
    """The merged lists of all members, without duplicates."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def tags(self, name: str, after: str, limit: int) -> Listed[str]:
        """See :class:`repoman_docker.service.ListService`."""
        found, warnings = self._ask(name, lambda m: m.lists.tags(name, after, limit))
        return Listed(merge_names(found, limit), warnings=warnings)

    def images(self, after: str, limit: int, budget: Budget) -> Names:
        """See :class:`repoman_docker.service.ListService`."""
        pages = self._members.collect(
            self._members.all(), lambda member: self._images(member, after, limit, budget)
        )
        return merge_pages(pages, limit)

    def _images(self, member: Member, after: str, limit: int, budget: Budget) -> Names:
        """Return the names of a member that it may answer for."""
        read = partial(member.service.lists.images, budget=budget)
        if not self._members.has_rules:
            return read(after, limit)
        counts = partial(self._members.serves, member)
        return read_names(read, after, limit, counts, budget)

    def has_image(self, name: str) -> bool:
        """See :class:`repoman_docker.service.ListService`."""
        members = self._members.all()
        return any(self._members.serves(each, name) and each.has_image(name) for each in members)

    def referrers(self, name: str, subject: Digest, after: str, limit: int) -> Listed[Descriptor]:
        """See :class:`repoman_docker.service.ListService`."""
        found, warnings = self._ask(name, lambda m: m.lists.referrers(name, subject, after, limit))
        return Listed(merge_referrers(found, limit), warnings=warnings)

    def _ask(
        self, name: str, ask: Callable[[DockerRepository], Listed[Entry]]
    ) -> tuple[list[Listed[Entry]], list[str]]:
        """Return the lists of the members, with their headers and warnings."""
        members = self._members.for_image(name)
        found, failures = self._members.gather(members, lambda m: ask(m.service))
        return found, [*failures, *chain.from_iterable(each.warnings for each in found)]
