"""The images of one repository for V1 clients; the same for hosted repositories and proxies."""

import logging
from collections.abc import Callable, Iterator
from itertools import chain

from repoman.plugin import Asset, ContentStore, NotFound, RepositoryContext, UpstreamError
from repoman_docker.layout import V1_IMAGE, v1_chain_name, v1_image_path
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import Digest, Tag, parse_tag
from repoman_docker.sections import DockerSection
from repoman_docker.service import (
    BlobService,
    ManifestService,
    RegistryFailure,
    V1Image,
    Visible,
    registry_failures,
)
from repoman_docker.v1.chains import Chains
from repoman_docker.v1.records import BATCH_ASSETS, ImageRecord, chains_with, stored_image

ABSENT = (ErrorCode.MANIFEST_UNKNOWN, ErrorCode.BLOB_UNKNOWN)  # the image does not exist

_log = logging.getLogger(__name__)

ListTags = Callable[[str, str, int], list[str]]


def open_images(
    context: RepositoryContext, manifests: ManifestService, blobs: BlobService, list_tags: ListTags
) -> "StoredImages":
    """Return the V1 images of a repository, given its V2 services."""
    limit = context.config.section("docker", DockerSection).manifest_limit
    chains = Chains(context.content, manifests, blobs, limit)
    return StoredImages(context.content, manifests, chains, list_tags)


class StoredImages:
    """Reads tags and images; the tags are those of V2."""

    def __init__(
        self,
        content: ContentStore,
        manifests: ManifestService,
        chains: Chains,
        list_tags: ListTags,
    ) -> None:
        self._content = content
        self._manifests = manifests
        self._chains = chains
        self._list_tags = list_tags

    def tag(self, name: str, tag: Tag) -> str:
        """See :class:`repoman_docker.service.V1Images`."""
        return self._chains.top(name, self._manifests.get(name, tag))

    def tags(self, name: str, limit: int) -> dict[str, str]:
        """See :class:`repoman_docker.service.V1Images`."""
        found: dict[str, str] = {}
        outage: UpstreamError | None = None
        for text in self._tag_names(name, limit):
            try:
                with registry_failures():
                    tag = parse_tag(text)
                found[text] = self.tag(name, tag)
            except (RegistryFailure, NotFound) as error:
                if isinstance(error, RegistryFailure) and error.code not in ABSENT:
                    raise
            except UpstreamError as error:
                _log.warning("The list of the tags of %s lacks %s: %s", name, text, error)
                outage = outage or error
        if outage is not None and not found:
            raise outage
        return found

    def find(self, image_id: str, is_visible: Visible) -> V1Image:
        """See :class:`repoman_docker.service.V1Images`.

        Derived images come first: their ids cannot be forged, the ids of pushed images can.
        """
        found = chain(self._derived(image_id, is_visible), self._pushed(image_id, is_visible))
        image = next(found, None)
        if image is None:
            raise NotFound("Image not found")
        return image

    def is_taken(self, image_id: str, json: str, diff_id: str = "") -> bool:
        """Return whether another image was pushed with an id, to any image name.

        ``json`` is the sha256 of the JSON, in hex; an empty ``diff_id`` means an unknown layer.
        """
        return any(
            asset.digest != json or diff_id not in ("", record.diff_id)
            for _, asset, record in self._complete(image_id)
        )

    def _derived(self, image_id: str, is_visible: Visible) -> Iterator[V1Image]:
        stored = chains_with(self._content, v1_image_path(image_id), V1_IMAGE)
        places = ((v1_chain_name(each.path), each.path.rpartition("/")[2]) for each in stored)
        for name, digest in chain(places, self._chains.unkept(image_id)):
            if is_visible(name):
                image = self._chains.find(name, Digest.parse(digest), image_id)
                if image is not None:
                    yield image

    def _pushed(self, image_id: str, is_visible: Visible) -> Iterator[V1Image]:
        for name, asset, _ in self._complete(image_id):
            if is_visible(name) and (image := stored_image(self._content, asset, name)):
                yield image

    def _complete(self, image_id: str) -> Iterator[tuple[str, Asset, ImageRecord]]:
        """Yield the images that were pushed with an id, with the image names that have them."""
        prefix = after = v1_image_path(image_id)
        while assets := self._content.list_assets(V1_IMAGE, after, BATCH_ASSETS, prefix):
            for asset in assets:
                record = ImageRecord.of(asset)
                if record.is_complete:
                    yield asset.path.removeprefix(prefix), asset, record
            after = assets[-1].path

    def _tag_names(self, name: str, limit: int) -> Iterator[str]:
        after = ""
        while limit > 0 and (names := self._list_tags(name, after, min(limit, BATCH_ASSETS))):
            yield from names
            after = names[-1]
            limit -= len(names)
