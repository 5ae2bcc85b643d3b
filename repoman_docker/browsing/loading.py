"""One image: found by a tag or a digest, with its manifest for a platform, its config and blobs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from repoman.plugin import Action, Coordinate, NotFound, RepositoryView, StoredAsset
from repoman_docker.browsing.kinds import LEGACY_SUFFIXES, ArtifactKind, kind_of
from repoman_docker.browsing.platforms import PlatformImage, child_keys, choose, platform_images
from repoman_docker.browsing.reading import READER
from repoman_docker.layout import TAG, blob_path, manifest_path, reference_path, tag_path, tagged
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.image_config import ImageConfig, Step
from repoman_docker.protocol.manifest import Kind, Manifest
from repoman_docker.protocol.reference import Digest, Tag, parse_reference, referrers_tag

PLATFORMS_MAX = 200
"""The platforms of an index whose details are looked up; the others count as not stored."""


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """An image as it is stored.

    Attributes:
        member: the repository that has it, if a group shows it; else that repository itself.
        entry: the asset of the tag or the manifest that was asked for.
        digest: of what that leads to.
        top: the manifest with this digest.
        platforms: of an index, in their order; none for a single image.
        chosen: that of them whose details these are; None: there is none that is stored.
        image: the asset of the manifest whose details these are; None: it is not stored.
        manifest: that manifest; empty if it is not stored.
        blobs: its config and layers as far as they are stored, by digest.
        nearby: other things of the same image name that may be stored, by path.
    """

    name: str
    reference: str
    repository_id: int
    member: str
    entry: StoredAsset
    digest: Digest
    top: Manifest
    kind: ArtifactKind
    platforms: tuple[PlatformImage, ...]
    chosen: PlatformImage | None
    image: StoredAsset | None
    manifest: Manifest
    config: ImageConfig
    blobs: Mapping[str, StoredAsset]
    nearby: Mapping[str, StoredAsset]

    @property
    def tag(self) -> str:
        """Return the tag that was asked for; empty: it was a digest."""
        return self.reference if self.entry.kind == TAG else ""

    @property
    def image_digest(self) -> Digest:
        """Return the digest of the manifest whose details these are."""
        return self.digest if self.chosen is None else self.chosen.digest

    @property
    def size(self) -> int | None:
        """Return what a client downloads, in bytes; None: not known."""
        return None if self.image is None else self.image.transfer_size

    @property
    def steps(self) -> tuple[Step | None, ...]:
        """Return the step that made each layer; None where the history does not tell."""
        made = tuple(each for each in self.config.steps if not each.is_empty)
        count = len(self.manifest.layers)
        return made if len(made) == count else (None,) * count


def load_image(view: RepositoryView, name: str, reference: str, platform: str = "") -> LoadedImage:
    """Return an image, for a platform or for the usual one; of three statements.

    Raises:
        NotFound: there is no such image or platform, or the viewer may not see it.
    """
    entry = _find(view, name, reference)
    repository, digest = entry.key[0], Digest.parse(entry.attributes["digest"])
    top = READER.manifest(view, entry)
    is_index = top.kind is Kind.INDEX and kind_of(top) is ArtifactKind.INDEX
    nearby = view.stored(_nearby(repository, name, digest, top if is_index else None))
    platforms = platform_images(top, repository, name, nearby) if is_index else ()
    chosen = choose(platforms, platform)
    if platform and is_index and chosen is None:
        raise NotFound(f"{name}:{reference} is not for {platform}.")
    image = entry if not is_index else chosen.stored if chosen is not None else None
    manifest = top
    if is_index:
        empty = Manifest("", Kind.OTHER)
        manifest = empty if image is None else READER.manifest(view, image)
    blobs = _blobs(view, repository, name, manifest)
    return LoadedImage(
        name=name,
        reference=reference,
        repository_id=repository,
        member=view.scopes[repository].name,
        entry=entry,
        digest=digest,
        top=top,
        kind=kind_of(top),
        platforms=platforms,
        chosen=chosen,
        image=image,
        manifest=manifest,
        config=_config(view, tagged(name, Tag(reference)), manifest, blobs),
        blobs=blobs,
        nearby={path: each for (_, path), each in nearby.items()},
    )


def _config(
    view: RepositoryView,
    coordinate: Coordinate,
    manifest: Manifest,
    blobs: Mapping[str, StoredAsset],
) -> ImageConfig:
    """Return the config of an image; an empty one of other things, and for who may not read it."""
    stored = blobs.get("" if manifest.config is None else str(manifest.config.digest))
    is_image = kind_of(manifest) is ArtifactKind.IMAGE
    if stored is None or not is_image or not view.may(Action.READ, coordinate):
        return ImageConfig()
    return READER.config(view, stored)


def _find(view: RepositoryView, name: str, reference: str) -> StoredAsset:
    mark = "@" if ":" in reference else ":"
    absent = NotFound(f"There is no {name}{mark}{reference} in {view.repository.name}.")
    try:
        path = reference_path(name, parse_reference(reference))
    except RegistryError as error:
        raise absent from error
    coordinate = tagged(name, Tag(reference))
    keys = [(each, path) for each in view.scopes if view.sees(each, coordinate)]
    found = view.stored(keys)
    for key in keys:
        if key in found:
            return found[key]
    raise absent


def _nearby(
    repository: int, name: str, digest: Digest, index: Manifest | None
) -> Iterator[tuple[int, str]]:
    """Yield where the manifest, its children and what cosign made for them may be."""
    yield repository, manifest_path(name, digest)
    digests = [digest]
    if index is not None:
        children = index.child_manifests()[:PLATFORMS_MAX]
        yield from child_keys(repository, name, children)
        digests += [each.digest for each in children]
    for each in digests:
        for suffix in LEGACY_SUFFIXES:
            yield repository, legacy_path(name, each, suffix)


def legacy_path(name: str, digest: Digest, suffix: str) -> str:
    """Return the path of the tag by which cosign stores what belongs to a manifest."""
    return tag_path(name, Tag(f"{referrers_tag(digest)}{suffix}"))


def _blobs(
    view: RepositoryView, repository: int, name: str, manifest: Manifest
) -> dict[str, StoredAsset]:
    named = [*manifest.layers, *([manifest.config] if manifest.config else [])]
    digests = dict.fromkeys(each.digest for each in named)
    found = view.stored((repository, blob_path(name, each)) for each in digests)
    return {path.split("/")[1]: each for (_, path), each in found.items()}
