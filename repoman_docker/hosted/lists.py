"""The lists of a hosted repository, and its search; an index of the database answers each page."""

from collections.abc import Mapping
from functools import partial

from repoman.plugin import Asset, ContentStore, NotFound, Unavailable
from repoman_docker.layout import IMAGE, SUBJECT, TAG, image, manifest_path
from repoman_docker.merge import Budget, Names
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.manifest import read_manifest
from repoman_docker.protocol.reference import Digest
from repoman_docker.search import (
    SEARCH_MAX_IMAGES,
    SEARCH_TIMEOUT_S,
    Filter,
    ImageHit,
    SearchResult,
    collect,
)
from repoman_docker.service import Listed, failure


class HostedLists:
    """Tags, image names and referrers, in byte order."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._reads = content.open_cache()

    def tags(self, name: str, after: str, limit: int) -> Listed[str]:
        """See :class:`repoman_docker.service.ListService`."""
        found = self._reads.pass_on(lambda: self._content.list_versions(TAG, name, after, limit))
        if not found and not self._reads.pass_on(lambda: self.has_image(name)):
            raise failure(
                ErrorCode.NAME_UNKNOWN,
                f"There is no image {name} in this repository.",
                {"name": name},
            )
        return Listed(found, is_cacheable=True)

    def images(self, after: str, limit: int, budget: Budget) -> Names:
        """See :class:`repoman_docker.service.ListService`; reads only what it returns."""
        found = self._reads.pass_on(lambda: self._content.list_names(IMAGE, after, limit))
        return Names.page(found, limit)

    def has_image(self, name: str) -> bool:
        """See :class:`repoman_docker.service.ListService`."""
        return self._content.has_component(image(name))

    def referrers(self, name: str, subject: Digest, after: str, limit: int) -> Listed[Descriptor]:
        """See :class:`repoman_docker.service.ListService`."""
        path = manifest_path(name, subject)
        start = f"manifests/{name}/{after}"
        found = self._reads.pass_on(lambda: self._content.referring(path, SUBJECT, start, limit))
        return Listed(map(self._descriptor, found), is_cacheable=True)

    def _descriptor(self, asset: Asset) -> Descriptor:
        told = asset.attributes
        return Descriptor(
            media_type=asset.media_type,
            digest=Digest.parse(told["digest"]),
            size=asset.size,
            annotations=told["annotations"],
            artifact_type=told["artifact_type"],
            read_annotations=partial(self._annotations, asset) if "is_abridged" in told else None,
        )

    def _annotations(self, asset: Asset) -> Mapping[str, str]:
        """Return all annotations of a manifest, or the short ones if its bytes are lost."""
        try:
            with self._content.open_asset(asset) as file:
                return read_manifest(file.read(), asset.media_type).annotations
        except (NotFound, Unavailable, RegistryError):
            short: Mapping[str, str] = asset.attributes["annotations"]
            return short


class HostedSearch:
    """Implements :class:`repoman_docker.search.ImageSearch` with the index of the database."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content

    def find(
        self, term: str, first: int, is_visible: Filter | None, patience: float = SEARCH_TIMEOUT_S
    ) -> SearchResult:
        """See :class:`repoman_docker.search.ImageSearch`."""
        found = self._content.search(IMAGE, term, SEARCH_MAX_IMAGES, is_visible)
        return collect(ImageHit(each.name, each.description, is_stored=True) for each in found)
