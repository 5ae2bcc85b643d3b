"""The blobs of a group: read from all members, written to the writable member."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain

from repoman.plugin import Content, NotFound, StoredBlob, Unavailable, waiting
from repoman_docker.group.members import Member, Members, is_absence, readable
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.service import DockerRepository, Visible, everything
from repoman_docker.v1.reading import pieces_of


class GroupBlobs:
    """Asks the members that store their own bytes first, then those that served the image."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def get(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`."""
        return self._first(name, lambda m: readable(m.blobs.get(name, digest)))

    def head(self, name: str, digest: Digest) -> Content:
        """See :class:`repoman_docker.service.BlobService`.

        If the group has a writable member, only the blobs of that member need no upload.
        """
        if self._members.takes(name):
            return self._members.writable(name).blobs.head(name, digest)
        return self._first(name, lambda m: m.blobs.head(name, digest))

    def delete(self, name: str, digest: Digest) -> None:
        """See :class:`repoman_docker.service.BlobService`."""
        self._members.writable(name).blobs.delete(name, digest)

    def mount(
        self, name: str, digest: Digest, source: str | None, is_visible: Visible = everything
    ) -> bool:
        """See :class:`repoman_docker.service.BlobService`.

        The rules and pins of the group apply to the source as they do to pulls. A blob that another
        member has of ``source`` is linked if both use the same blob store.
        """
        target = self._members.writable(name).blobs
        if target.mount(name, digest, source, self._sources(is_visible)):
            return True
        return source is not None and is_visible(source) and self._link(name, digest, source)

    def stored(self, name: str, digest: Digest) -> StoredBlob | None:
        """See :class:`repoman_docker.service.BlobService`."""
        return next(self._stored(name, digest), None)

    def link(self, name: str, digest: Digest, blob: StoredBlob) -> None:
        """See :class:`repoman_docker.service.BlobService`."""
        self._members.writable(name).blobs.link(name, digest, blob)

    def obtain(self, name: str, digest: Digest) -> bool:
        """See :class:`repoman_docker.service.BlobService`."""
        return self._link(name, digest, name) or self._copy(name, digest)

    # Inside -------------------------------------------------------------------------------------

    def _sources(self, is_visible: Visible) -> Visible:
        if not self._members.has_rules:
            return is_visible
        return lambda image: is_visible(image) and self._members.builds_on(image)

    def _first(self, name: str, ask: Callable[[DockerRepository], Content]) -> Content:
        return self._members.first(self._holders(name), ask)

    def _holders(self, name: str) -> Iterator[Member]:
        """Return the members from which the blobs of an image are read, in order."""
        members = self._members.for_image(name)
        hosted = (each for each in members if each.is_hosted)
        others = (each for each in members if not each.is_hosted and each.has_image(name))
        return chain(hosted, others)

    def _stored(self, name: str, digest: Digest) -> Iterator[StoredBlob]:
        for member in self._holders(name):
            try:
                blob = member.service.blobs.stored(name, digest)
            except RegistryError as error:
                if not is_absence(error):
                    raise
            else:
                if blob is not None:
                    yield blob

    def _link(self, name: str, digest: Digest, source: str) -> bool:
        """Link a blob that a member stores for another image to an image of the writable member."""
        target = self._members.writable(name).blobs
        for blob in self._stored(source, digest) if self._members.reads(source) else ():
            with suppress(Unavailable):  # it is in another blob store
                target.link(name, digest, blob)
                return True
        return False

    def _copy(self, name: str, digest: Digest) -> bool:
        """Copy a blob that another member serves for an image to the writable member."""
        uploads = self._members.writable(name).uploads
        try:
            content = self.get(name, digest)
        except (RegistryError, NotFound) as error:
            if is_absence(error):
                return False
            raise
        with waiting(), uploads.open_inlet(name, digest) as inlet:
            for piece in pieces_of(content):
                inlet.write(piece)
            uploads.finish_inlet(name, inlet, digest)
        return True
