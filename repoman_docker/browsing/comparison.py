"""Two images side by side: what changes for somebody who has the one and gets the other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import zip_longest

from repoman_docker.browsing.details import labels_of
from repoman_docker.browsing.loading import LoadedImage
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.image_config import ImageConfig, Step


class Change(StrEnum):
    """What became of something."""

    SAME = "same"
    CHANGED = "change"
    ADDED = "plus"
    REMOVED = "minus"


@dataclass(frozen=True, slots=True)
class ComparedLayer:
    """A layer on either side, where there is one; ``step`` is of the right one, else the left."""

    change: Change
    step: Step | None
    left: Descriptor | None
    right: Descriptor | None

    @property
    def growth(self) -> int:
        """Return how many bytes the right one is larger."""
        left, right = self.left, self.right
        return (0 if right is None else right.size) - (0 if left is None else left.size)


@dataclass(frozen=True, slots=True)
class ComparedValue:
    """A part of the configuration that differs; ``what`` is its kind, such as ``variable``."""

    change: Change
    what: str
    name: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two images; sizes are in bytes.

    Attributes:
        download_size: what somebody downloads who has the left one and gets the right one.
        equal_values: how many parts of the configuration are the same.
        apart_s: seconds between the two builds; None: not known.
    """

    left: LoadedImage
    right: LoadedImage
    layers: tuple[ComparedLayer, ...]
    values: tuple[ComparedValue, ...]
    equal_values: int
    download_size: int
    apart_s: float | None

    @property
    def equal_layers(self) -> int:
        """Return how many layers are the same."""
        return sum(each.change is Change.SAME for each in self.layers)

    @property
    def growth(self) -> int | None:
        """Return how many bytes the right one is larger; None: not known."""
        left, right = self.left.size, self.right.size
        return None if left is None or right is None else right - left


def compare(left: LoadedImage, right: LoadedImage) -> Comparison:
    """Return what differs between two images; reads nothing."""
    layers = tuple(_compare_layers(left, right))
    values, equal = _compare_values(_values(left), _values(right))
    has = {each.digest for each in left.manifest.descriptors()}
    new = {each.digest: each.size for each in right.manifest.descriptors()}
    built = left.config.created_at, right.config.created_at
    return Comparison(
        left,
        right,
        layers,
        tuple(values),
        equal,
        download_size=sum(size for digest, size in new.items() if digest not in has),
        apart_s=None if None in built else abs((built[1] or 0.0) - (built[0] or 0.0)),
    )


def _compare_layers(left: LoadedImage, right: LoadedImage) -> Iterator[ComparedLayer]:
    lefts = list(zip(left.manifest.layers, left.steps, strict=True))
    rights = list(zip(right.manifest.layers, right.steps, strict=True))
    matcher = SequenceMatcher(
        None,
        [each.digest for each, _ in lefts],
        [each.digest for each, _ in rights],
        autojunk=False,
    )
    for _, start, end, other_start, other_end in matcher.get_opcodes():
        for one, other in zip_longest(lefts[start:end], rights[other_start:other_end]):
            yield _compare_layer(one, other)


def _compare_layer(
    left: tuple[Descriptor, Step | None] | None, right: tuple[Descriptor, Step | None] | None
) -> ComparedLayer:
    if left is None:
        layer, step = right or (None, None)
        return ComparedLayer(Change.ADDED, step, None, layer)
    if right is None:
        return ComparedLayer(Change.REMOVED, left[1], left[0], None)
    is_same = left[0].digest == right[0].digest
    change = Change.SAME if is_same else Change.CHANGED
    return ComparedLayer(change, right[1] or left[1], left[0], right[0])


Values = Mapping[tuple[str, str], str]


def _values(image: LoadedImage) -> Values:
    """Return everything in the configuration that can differ, by kind and name."""
    config = image.config
    found = {("setting", name): value for name, value in _settings(config) if value}
    found |= {("variable", name): value for name, value in config.environment.items()}
    found |= {("port", each): each for each in config.ports}
    found |= {("volume", each): each for each in config.volumes}
    for each in labels_of(image):
        source = "label" if each.source == "both" else each.source
        found[source, each.name] = each.value
    return found


def _settings(config: ImageConfig) -> Iterator[tuple[str, str]]:
    yield "entrypoint", " ".join(config.entrypoint)
    yield "command", " ".join(config.command)
    yield "user", config.user
    yield "working directory", config.directory
    yield "stop signal", config.stop_signal
    yield "platform", str(config.platform)
    if config.health_check is not None:
        yield "health check", " ".join(config.health_check.command)


def _compare_values(left: Values, right: Values) -> tuple[list[ComparedValue], int]:
    found, equal = [], 0
    for key in dict.fromkeys([*left, *right]):
        one, other = left.get(key), right.get(key)
        if one == other:
            equal += 1
            continue
        change = Change.CHANGED
        if one is None or other is None:
            change = Change.ADDED if one is None else Change.REMOVED
        found.append(ComparedValue(change, *key, one or "", other or ""))
    return found, equal
