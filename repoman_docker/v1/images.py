"""The images of one repository for clients of version 1; the same for hosted ones and proxies."""

from collections.abc import Callable, Iterator

from repoman.plugin import Asset, ContentStore, NotFound, RepositoryContext
from repoman_docker.layout import V1_IMAGE, v1_chain_name, v1_image_path
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.reference import Tag, parse_tag
from repoman_docker.sections import DockerSection
from repoman_docker.service import BlobService, ManifestService, V1Image, Visible
from repoman_docker.v1.chains import Chains
from repoman_docker.v1.reading import read_asset
from repoman_docker.v1.records import ImageRecord

BATCH = 100  # tags or chains read at a time

ListTags = Callable[[str, str, int], list[str]]


def open_images(
    context: RepositoryContext, manifests: ManifestService, blobs: BlobService, list_tags: ListTags
) -> "StoredImages":
    """Return the images of a repository, given what it is for clients of version 2."""
    limit = context.config.section("docker", DockerSection).manifest_limit
    chains = Chains(context.content, manifests, blobs, limit)
    return StoredImages(context.content, manifests, chains, list_tags)


class StoredImages:
    """Reads tags and images; tags are those of version 2."""

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
        for text in self._tag_names(name, limit):
            try:
                found[text] = self.tag(name, parse_tag(text))
            except RegistryError as error:
                if error.code is not ErrorCode.MANIFEST_UNKNOWN:
                    raise
        return found

    def find(self, image_id: str, is_visible: Visible) -> V1Image:
        """See :class:`repoman_docker.service.V1Images`."""
        for asset in self._pushed(image_id):
            record = ImageRecord.of(asset)
            name = asset.path.removeprefix(v1_image_path(image_id))
            if record.is_complete and record.layer is not None and is_visible(name):
                return self._image(image_id, name, asset, record, record.layer)
        for chain in self._chains_with(image_id):
            name = v1_chain_name(chain.path)
            if is_visible(name):
                digest = Digest.parse(chain.path.rpartition("/")[2])
                image = self._chains.find(name, digest, image_id)
                if image is not None:
                    return image
        raise NotFound("Image not found")

    def _image(
        self, image_id: str, name: str, asset: Asset, record: ImageRecord, layer: Descriptor
    ) -> V1Image:
        return V1Image(
            id=image_id,
            json=read_asset(self._content, asset),
            ancestry=record.ancestry,
            name=name,
            layer=layer,
            diff_id=record.diff_id,
            checksum=record.checksum,
        )

    def _pushed(self, image_id: str) -> Iterator[Asset]:
        prefix = after = v1_image_path(image_id)
        while assets := self._content.list_assets(V1_IMAGE, after, BATCH, prefix):
            yield from assets
            after = assets[-1].path

    def _tag_names(self, name: str, limit: int) -> Iterator[str]:
        after = ""
        while limit > 0 and (names := self._list_tags(name, after, min(limit, BATCH))):
            yield from names
            after = names[-1]
            limit -= len(names)

    def _chains_with(self, image_id: str) -> Iterator[Asset]:
        path, after = v1_image_path(image_id), ""
        while chains := self._content.referring(path, V1_IMAGE, after, BATCH):
            yield from chains
            after = chains[-1].path
