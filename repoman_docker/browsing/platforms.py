"""The platforms of an index, in one order everywhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from repoman.plugin import AssetKey, StoredAsset
from repoman_docker.browsing.kinds import is_attestation
from repoman_docker.layout import manifest_path
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.manifest import Manifest
from repoman_docker.protocol.reference import Digest

USUAL = ("linux/amd64", "linux/arm64", "linux/arm64/v8")
"""The platforms that come first; the first one that an image has is the one that is shown."""
UNNAMED = "any platform"
"""The platform of an image whose index says none."""


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """An image of an index, for one platform.

    Attributes:
        platform: such as ``linux/arm64``.
        stored: the asset of its manifest; None: only the index tells of it.
    """

    platform: str
    digest: Digest
    stored: StoredAsset | None

    @property
    def size(self) -> int | None:
        """What a client downloads, in bytes; None: it is not stored, so nobody knows."""
        return None if self.stored is None else self.stored.transfer_size


def images_of(index: Manifest) -> list[Descriptor]:
    """Return the children of an index that are images, in the order of their platforms."""
    images = [each for each in index.child_manifests() if not is_attestation(each)]
    return sorted(images, key=lambda each: _rank(platform_of(each)))


def platform_of(child: Descriptor) -> str:
    """Return the platform of a child of an index, as people write it."""
    return str(child.platform or "") or UNNAMED


def child_keys(repository_id: int, name: str, children: Iterable[Descriptor]) -> list[AssetKey]:
    """Return where the manifests of children are stored, if they are."""
    return [(repository_id, manifest_path(name, each.digest)) for each in children]


def platform_images(
    index: Manifest, repository_id: int, name: str, stored: Mapping[AssetKey, StoredAsset]
) -> tuple[PlatformImage, ...]:
    """Return the images of an index, given what is stored of its children."""
    return tuple(
        PlatformImage(
            platform_of(each),
            each.digest,
            stored.get((repository_id, manifest_path(name, each.digest))),
        )
        for each in images_of(index)
    )


def choose(images: Iterable[PlatformImage], platform: str = "") -> PlatformImage | None:
    """Return the image for a platform, or the usual one; None: there is none for it."""
    images = list(images)
    if platform:
        return next((each for each in images if each.platform == platform), None)
    return next((each for each in images if each.stored is not None), None)


def _rank(platform: str) -> tuple[int, bool, bool, str]:
    usual = USUAL.index(platform) if platform in USUAL else len(USUAL)
    return usual, not platform.startswith("linux/"), platform == UNNAMED, platform
