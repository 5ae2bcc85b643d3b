"""Deleted manifests: while a deletion can be undone, they are kept, but nobody gets them.

What a manifest in the trash refers to is kept with it. The collection empties the trash.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from repoman.plugin import (
    Asset,
    AuditEntry,
    ContentStore,
    trash_path,
    trashed_kind,
)
from repoman_docker.layout import BLOB, COLLECTION, MANIFEST, REQUEST, SUBJECT, manifest_path
from repoman_docker.protocol.reference import Digest

TRASHED_MANIFEST = trashed_kind(MANIFEST)
TRASHED_BLOB = trashed_kind(BLOB)
TRASHED_SUBJECT = trashed_kind(SUBJECT)


class Trash:
    """The deleted manifests of one repository; thread safe.

    Args:
        days: for which they are kept; 0: they are not.
    """

    def __init__(self, content: ContentStore, days: int) -> None:
        self._content = content
        self._days = days

    def discard(
        self, paths: Iterable[str], audit: Mapping[str, AuditEntry] = MappingProxyType({})
    ) -> int:
        """Delete manifests, and return how many; see :meth:`ContentStore.trash_assets`.

        What is attached to them stays as long as they can be restored, and then goes with the
        collection.
        """
        paths = list(paths)
        with self._content.transaction():
            if self._days:
                count = self._content.trash_assets(paths, audit)
                self._content.graph.release_referring(paths, SUBJECT, REQUEST)
            else:
                count = self._content.delete_assets(paths, audit)
                self._content.graph.release_referring(paths, SUBJECT, COLLECTION)
        return count

    def find(self, name: str, digest: Digest) -> Asset | None:
        """Return a manifest in the trash."""
        return self._content.find_asset(trash_path(manifest_path(name, digest)))

    def attached(self, name: str, digest: Digest) -> list[Digest]:
        """Return the manifests in the trash whose subject this one is."""
        found = self._content.referring(manifest_path(name, digest), TRASHED_SUBJECT)
        return [Digest.parse(each.attributes["digest"]) for each in found]

    def forget(self, name: str, digest: Digest) -> None:
        """Remove a manifest from the trash, once it is back."""
        self._content.delete_assets([trash_path(manifest_path(name, digest))])
