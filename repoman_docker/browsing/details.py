"""What there is to say of one tag or manifest: the page about it."""

from dataclasses import dataclass

from repoman.plugin import RepositoryView
from repoman_docker.browsing.attachments import Attachment, list_attachments
from repoman_docker.browsing.layers import Layers, describe_layers
from repoman_docker.browsing.loading import LoadedImage, load_image
from repoman_docker.browsing.tags import PULL_DAYS
from repoman_docker.layout import SUBJECT, TAG, manifest_path, tagged
from repoman_docker.protocol.image_config import Step
from repoman_docker.protocol.reference import Tag

REFERRERS_MAX = 1_000  # Tags of the same manifest, and things attached to it, that are looked at.


@dataclass(frozen=True, slots=True)
class ImageLabel:
    """A label of the config, or an annotation of a manifest; ``source`` tells which."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """A tag or a manifest, for one platform.

    Attributes:
        image: what is stored.
        same: other tags that lead to the same manifest.
        labels: labels and annotations, by name.
        empty_steps: the steps that made no layer.
        pulls: by this tag, or of this manifest, within the last 30 days.
    """

    image: LoadedImage
    same: tuple[str, ...]
    layers: Layers
    attachments: tuple[Attachment, ...]
    labels: tuple[ImageLabel, ...]
    empty_steps: tuple[Step, ...]
    pulls: int

    @property
    def is_signed(self) -> bool:
        """Return whether somebody has attached a signature, which nobody has verified."""
        return any(each.is_signature for each in self.attachments)


def describe_image(
    view: RepositoryView, name: str, reference: str, platform: str = ""
) -> ImageDetails:
    """Return what there is to say of a tag or a digest; of at most eight statements.

    Raises:
        NotFound: there is no such image or platform, or the viewer may not see it.
    """
    image = load_image(view, name, reference, platform)
    digests = [image.digest, *(each.digest for each in image.platforms)]
    keys = [(image.repository_id, manifest_path(name, each)) for each in digests]
    referrers = view.referrers(keys, (TAG, SUBJECT), REFERRERS_MAX)
    named = [
        each.source.rpartition("/")[2]
        for each in referrers
        if each.kind == TAG and each.key == keys[0]
    ]
    pulls = view.pulls([image.entry.key], PULL_DAYS)
    return ImageDetails(
        image=image,
        same=tuple(
            each
            for each in sorted(named)
            if each != image.tag and view.sees(image.repository_id, tagged(name, Tag(each)))
        ),
        layers=describe_layers(view, image, named),
        attachments=tuple(list_attachments(view, image, referrers)),
        labels=labels_of(image),
        empty_steps=tuple(each for each in image.config.steps if each.is_empty),
        pulls=sum(pulls.values()),
    )


def labels_of(image: LoadedImage) -> tuple[ImageLabel, ...]:
    """Return the labels and annotations of an image, by name."""
    labels = image.config.labels
    annotations = {**image.top.annotations, **image.manifest.annotations}
    found = []
    for name in sorted({*labels, *annotations}):
        label, annotation = labels.get(name), annotations.get(name)
        if label is not None and label == annotation:
            found.append(ImageLabel(name, label, "both"))
            continue
        if annotation is not None:
            found.append(ImageLabel(name, annotation, "annotation"))
        if label is not None:
            found.append(ImageLabel(name, label, "label"))
    return tuple(found)
