"""The layers of an image: who else uses them, what only this image takes, and what it builds on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from repoman.plugin import RepositoryView, Use
from repoman_docker.browsing.loading import LoadedImage
from repoman_docker.browsing.reading import READER
from repoman_docker.layout import BLOB, CHILD, TAG, manifest_path, tagged
from repoman_docker.protocol.image_config import Step
from repoman_docker.protocol.media_types import is_foreign_layer
from repoman_docker.protocol.reference import Tag

BASE_KEYS = ("org.opencontainers.image.base.name",)
USES_MAX = 1_000  # Uses of one layer that are counted.
USES_TOTAL_MAX = 6_000  # Uses that one page counts, of all layers.
USES_MIN = 50
CANDIDATES_MAX = 8  # Images that are compared to find the one that this one builds on.

TagName = tuple[int, str]  # A repository and the stored path of a tag in it.


@dataclass(frozen=True, slots=True)
class Count:
    """A number of things; with ``is_more``, there are more of them than were counted."""

    number: int
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A layer; ``size`` is in bytes, as it is stored.

    Attributes:
        step: that made it; None: nobody tells.
        is_stored: whether its bytes are here.
        is_foreign: whether it is not meant to be: clients fetch it from elsewhere.
        also_in: the other tags that have it, as far as the viewer may see them.
        is_own: whether nothing but this image uses it.
        is_base: whether it belongs to the image that this one builds on.
    """

    number: int
    digest: str
    media_type: str
    size: int
    step: Step | None
    is_stored: bool
    is_foreign: bool
    also_in: Count
    is_own: bool
    is_base: bool


@dataclass(frozen=True, slots=True)
class Layers:
    """All layers of an image; sizes are in bytes.

    Attributes:
        rows: the lowest first.
        own_size: of the blobs of the image, with config and manifest, that nothing else uses.
        shared_size: of the others.
        shared_with: the other tags that use them.
        base: the name of the image that this one builds on; empty: not known.
        base_layers: how many of the layers are those of that image; 0: not known.
    """

    rows: tuple[LayerRow, ...]
    own_size: int
    shared_size: int
    shared_with: Count
    base: str
    base_layers: int


def describe_layers(view: RepositoryView, image: LoadedImage, same: Iterable[str]) -> Layers:
    """Return the layers of an image; of two statements.

    ``same`` are the tags of this image: what they have is not used by others.
    """
    limit = max(USES_MIN, min(USES_MAX, USES_TOTAL_MAX // max(1, len(image.blobs))))
    found = view.uses({each.digest for each in image.blobs.values()}, (BLOB, TAG, CHILD), limit)
    sharing = _Sharing(view, image, set(same))
    uses = {name: sharing.others(found.get(each.digest, ())) for name, each in image.blobs.items()}
    tags = {
        name: Count(len(sharing.tags(uses[name])), len(found.get(each.digest, ())) >= limit)
        for name, each in image.blobs.items()
    }
    base_layers, base_tag = _find_base(view, image, uses, sharing)
    own = sum(each.size for name, each in image.blobs.items() if not uses[name])
    everybody = {tag for each in uses.values() for tag in sharing.tags(each)}
    return Layers(
        tuple(_rows(image, uses, tags, base_layers)),
        own_size=own + (0 if image.image is None else image.image.size),
        shared_size=sum(each.size for each in image.blobs.values()) - own,
        shared_with=Count(len(everybody), any(each.is_more for each in tags.values())),
        base=_stated_base(image) or base_tag,
        base_layers=base_layers,
    )


def _rows(
    image: LoadedImage,
    uses: Mapping[str, Sequence[Use]],
    tags: Mapping[str, Count],
    base_layers: int,
) -> Iterator[LayerRow]:
    layers = zip(image.manifest.layers, image.steps, strict=True)
    for number, (each, step) in enumerate(layers, 1):
        digest = str(each.digest)
        is_stored = digest in image.blobs
        yield LayerRow(
            number=number,
            digest=digest,
            media_type=each.media_type,
            size=each.size,
            step=step,
            is_stored=is_stored,
            is_foreign=is_foreign_layer(each.media_type),
            also_in=tags.get(digest, Count(0)),
            is_own=is_stored and not uses[digest],
            is_base=number <= base_layers,
        )


class _Sharing:
    """Tells who else uses the blobs of an image, and what of that the viewer may know."""

    def __init__(self, view: RepositoryView, image: LoadedImage, same: set[str]) -> None:
        self._view = view
        self._own = (image.repository_id, manifest_path(image.name, image.image_digest))
        self._same = {(image.repository_id, f"tags/{image.name}/{each}") for each in same}
        self._seen: dict[TagName, bool] = {}

    def others(self, uses: Iterable[Use]) -> list[Use]:
        """Return the uses that are not this image itself."""
        return [each for each in uses if (each.repository_id, each.user) != self._own]

    def tags(self, uses: Iterable[Use]) -> set[TagName]:
        """Return the other tags among them that the viewer may see."""
        named = {(each.repository_id, each.name) for each in uses if each.name}
        return {each for each in named - self._same if self.sees(each)}

    def sees(self, tag: TagName) -> bool:
        """Return whether the viewer may see a tag of any repository."""
        if tag not in self._seen:
            repository, path = tag
            name, text = split_tag(path)
            self._seen[tag] = self._view.sees_anywhere(repository, tagged(name, Tag(text)))
        return self._seen[tag]


def split_tag(path: str) -> tuple[str, str]:
    """Return the image name and the tag in the stored path of a tag."""
    name, _, tag = path.removeprefix("tags/").rpartition("/")
    return name, tag


def _stated_base(image: LoadedImage) -> str:
    sources = (image.manifest.annotations, image.top.annotations, image.config.labels)
    for key in BASE_KEYS:
        for each in sources:
            if each.get(key):
                return each[key]
    return ""


def _find_base(
    view: RepositoryView,
    image: LoadedImage,
    uses: Mapping[str, Sequence[Use]],
    sharing: _Sharing,
) -> tuple[int, str]:
    """Return how many of the lowest layers are all layers of another tag, and that tag.

    Of several such images, it is the one with the most layers: the nearest.
    """
    digests = [str(each.digest) for each in image.manifest.layers]
    candidates = _candidates(digests, uses, sharing)
    if not candidates:
        return 0, ""
    stored = view.stored({(each.repository_id, each.user) for _, each in candidates})
    for count, each in candidates:
        found = stored.get((each.repository_id, each.user))
        if found is None:
            continue
        layers = [str(layer.digest) for layer in READER.manifest(view, found).layers]
        if layers == digests[:count]:
            name, tag = split_tag(each.name)
            return count, f"{name}:{tag}"
    return 0, ""


def _candidates(
    digests: list[str], uses: Mapping[str, Sequence[Use]], sharing: _Sharing
) -> list[tuple[int, Use]]:
    """Return tags that have some of the lowest layers but not the next one, the longest first."""
    found: list[tuple[int, Use]] = []
    above: set[tuple[int, str]] = set()
    for count in range(len(digests), 0, -1):
        here = uses.get(digests[count - 1], ())
        users = {
            (each.repository_id, each.user): each
            for each in here
            if each.name and sharing.sees((each.repository_id, each.name))
        }
        if count < len(digests):
            found += [(count, each) for key, each in users.items() if key not in above]
        if len(found) >= CANDIDATES_MAX:
            break
        above |= users.keys()
    return found[:CANDIDATES_MAX]
