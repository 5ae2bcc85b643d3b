"""What the REST API tells of images; sizes are in bytes."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from repoman.plugin import Page, Resource, Timestamp
from repoman_docker.browsing.attachments import Attachment
from repoman_docker.browsing.collecting import PlannedCollection
from repoman_docker.browsing.comparison import Change, ComparedLayer, Comparison
from repoman_docker.browsing.deleting import DeletionPlan
from repoman_docker.browsing.details import ImageDetails
from repoman_docker.browsing.image_deletion import ImageDeletion
from repoman_docker.browsing.kinds import ArtifactKind
from repoman_docker.browsing.layers import LayerRow
from repoman_docker.browsing.tags import TagRow

Moment = Annotated[Timestamp | None, BeforeValidator(lambda value: value or None)]


class ImageXO(Resource):
    """An image name."""

    name: str
    repository: str = Field(
        alias="repository", validation_alias="member", description="That has it, of a group."
    )
    description: str
    tags: int = Field(description="That the user may see, as far as they were counted.")
    has_more_tags: bool
    size: int = Field(description="Of all its blobs, each once.")
    own_size: int = Field(description="Of the blobs that nothing else uses.")
    pushed_at: Moment
    pulled_at: Moment = Field(description="About when; null: never.")


class TagXO(Resource):
    """A tag."""

    tag: str
    repository: str = Field(
        alias="repository", validation_alias="member", description="That has it, of a group."
    )
    digest: str
    media_type: str
    kind: ArtifactKind
    platforms: tuple[str, ...]
    size: int | None = Field(
        description="What a client of the usual platform downloads; null: not known."
    )
    total_size: int = Field(description="Of all platforms that are stored.")
    also: tuple[str, ...] = Field(description="Other tags of the same digest.")
    is_signed: bool = Field(description="Whether a signature is attached; nobody verified it.")
    pushed_at: Moment
    pushed_by: str
    pulled_at: Moment = Field(description="About when; null: never.")
    pulls: int = Field(description="Within 30 days.")


class UntaggedXO(Resource):
    """A manifest that no tag and no index leads to."""

    digest: str
    repository: str = Field(
        alias="repository", validation_alias="member", description="That has it, of a group."
    )
    media_type: str
    kind: ArtifactKind
    size: int
    pushed_at: Moment
    pushed_by: str


class PlatformXO(Resource):
    """An image of an index."""

    platform: str
    digest: str
    size: int | None = Field(description="Null: it is not stored.")


class LayerXO(Resource):
    """A layer."""

    digest: str
    media_type: str
    size: int
    step: str | None = Field(description="The step of the build that made it, if that is known.")
    is_stored: bool
    is_own: bool = Field(description="Whether nothing but this image uses it.")
    is_base: bool = Field(description="Whether it is of the image that this one builds on.")
    tags: int = Field(description="Other tags that have it, as far as they were counted.")
    has_more_tags: bool


class AttachmentXO(Resource):
    """Something that is attached to an image. Nobody verified it."""

    type: str = Field(description="Such as `Signature` or `SBOM`.")
    about: str
    media_type: str
    digest: str
    size: int
    platform: str = Field(description="Empty: it belongs to the image as a whole.")
    pushed_at: Moment


class LabelXO(Resource):
    """A label of the config, or an annotation of a manifest."""

    name: str
    value: str
    source: str = Field(description="`label`, `annotation` or `both`.")


class SpaceXO(Resource):
    """What a tag takes with its image, those of an index, and what is attached; each blob once."""

    size: int
    own_size: int = Field(description="What would be free if only this went.")
    shared_size: int = Field(description="What something else uses as well.")


class ConfigXO(Resource):
    """How a container of the image runs."""

    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    directory: str
    ports: tuple[str, ...]
    volumes: tuple[str, ...]
    environment: dict[str, str]


class ManifestXO(Resource):
    """A tag or a manifest, for one platform."""

    name: str
    tag: str | None
    digest: str
    media_type: str
    kind: ArtifactKind
    platform: str | None = Field(description="For which these are the layers and the config.")
    platforms: tuple[PlatformXO, ...] = Field(description="Of an index, the usual one first.")
    size: int | None
    own_size: int = Field(description="Of the blobs that nothing else uses.")
    base: str | None = Field(description="The image that it builds on, if that is known.")
    also: tuple[str, ...] = Field(description="Other tags of the same digest.")
    built_at: Moment
    pushed_at: Moment
    pushed_by: str
    pulled_at: Moment
    pulls: int = Field(description="Within 30 days.")
    config: ConfigXO
    labels: tuple[LabelXO, ...]
    layers: tuple[LayerXO, ...] = Field(description="The lowest first.")
    attachments: tuple[AttachmentXO, ...]


class ComparedLayerXO(Resource):
    """A layer on either side; null: that side has none there."""

    change: Change = Field(description="`same`, `change`, `plus` (right only) or `minus`.")
    step: str | None
    left: str | None
    right: str | None
    growth: int


class ComparedValueXO(Resource):
    """A part of the configuration that differs."""

    change: Change
    what: str = Field(description="Such as `variable`, `label` or `port`.")
    name: str
    left: str
    right: str


class ComparisonXO(Resource):
    """Two images."""

    growth: int | None = Field(description="How much larger the right one is; null: not known.")
    download_size: int = Field(description="For somebody who has the left one.")
    equal_layers: int
    equal_values: int
    layers: tuple[ComparedLayerXO, ...]
    values: tuple[ComparedValueXO, ...]


class FileXO(Resource):
    """An entry of a layer."""

    path: str
    kind: str
    mode: str
    owner: str
    size: int
    changed_at: int = Field(description="Seconds since the epoch, as the layer says.")
    target: str
    is_removed: bool = Field(description="Whether the layer removes it from those below.")


class LayerFilesXO(Resource):
    """The files of a layer."""

    packing: str
    unpacked_size: int
    cut: str = Field(description="Why these are not all files; empty: they are.")
    files: tuple[FileXO, ...]


class DeletedReferenceXO(Resource):
    """What becomes of a tag or a digest."""

    reference: str
    digest: str
    is_deleted: bool
    stays_because: str
    is_manifest_deleted: bool
    other_tags: tuple[str, ...] = Field(description="By which the manifest stays.")


class DeletionXO(Resource):
    """What a deletion of tags does, or did."""

    references: tuple[DeletedReferenceXO, ...]
    manifests: tuple[str, ...] = Field(description="Digests that go, of platforms too.")
    attachments: tuple[str, ...] = Field(description="Digests of what goes as attached to them.")
    size: int = Field(description="Of all their blobs.")
    freed_size: int = Field(description="Of those that nothing else uses.")


class ImageDeletionXO(Resource):
    """What the deletion of an image does, or did: all tags and manifests go."""

    name: str
    tags: int
    size: int = Field(description="Of all blobs of the image.")
    freed_size: int = Field(description="Of those that nothing else uses.")
    pulled_at: Moment
    refusal: str = Field(description="Why it cannot be deleted; empty: it can.")


def manifest_xo(found: ImageDetails) -> ManifestXO:
    """Return a tag or a manifest."""
    image, config = found.image, found.image.config
    return ManifestXO(
        name=image.name,
        tag=image.tag or None,
        digest=str(image.digest),
        media_type=image.entry.media_type,
        kind=image.kind,
        platform=(image.chosen.platform if image.chosen else str(config.platform)) or None,
        platforms=tuple(
            PlatformXO(platform=each.platform, digest=str(each.digest), size=each.size)
            for each in image.platforms
        ),
        size=image.size,
        own_size=found.layers.own_size,
        base=found.layers.base or None,
        also=found.same,
        built_at=config.created_at,
        pushed_at=image.entry.updated_at,
        pushed_by=image.entry.uploader,
        pulled_at=image.entry.downloaded_at,
        pulls=found.pulls,
        config=ConfigXO.model_validate(config, from_attributes=True),
        labels=tuple(LabelXO.model_validate(each, from_attributes=True) for each in found.labels),
        layers=tuple(map(_layer_xo, found.layers.rows)),
        attachments=tuple(map(_attachment_xo, found.attachments)),
    )


def _layer_xo(layer: LayerRow) -> LayerXO:
    return LayerXO(
        digest=layer.digest,
        media_type=layer.media_type,
        size=layer.size,
        step=None if layer.step is None else f"{layer.step.verb} {layer.step.text}".strip(),
        is_stored=layer.is_stored,
        is_own=layer.is_own,
        is_base=layer.is_base,
        tags=layer.also_in.number,
        has_more_tags=layer.also_in.is_more,
    )


def _attachment_xo(attachment: Attachment) -> AttachmentXO:
    return AttachmentXO(
        type=attachment.type.name,
        about=attachment.type.about,
        media_type=attachment.media_type,
        digest=attachment.digest,
        size=attachment.size,
        platform=attachment.to,
        pushed_at=attachment.at,
    )


class UnneededXO(Resource):
    """Something that a collection removes."""

    kind: str = Field(description="Such as `manifest` or `blob`.")
    title: str = Field(description="Such as `team/app@sha256:…`.")
    reason: str
    size: int
    freed_size: int = Field(
        alias="freedSize",
        validation_alias="freed",
        description="Of that, what is really freed: nothing else has the same bytes.",
    )


class CollectionXO(Resource):
    """What a collection would remove now."""

    items: tuple[UnneededXO, ...]
    freed_size: int = Field(description="By all these.")
    is_cut: bool = Field(description="Whether more may go than is listed.")
    reclaimable_count: int | None = Field(
        description="Untagged manifests that stay only because `docker.untagged_days` is not set, "
        "as the last collection counted them; null: there was none yet."
    )
    reclaimable_size: int | None = Field(description="At least so many bytes would that free.")
    collected_at: Moment = Field(description="When the last collection came to its end.")


class HoldXO(Resource):
    """A link of the chain that says why something is kept."""

    title: str = Field(description="What it is about, such as `team/app@sha256:…`.")
    reason: str
    until: Moment = Field(description="When this reason ends; null: not known.")


def collection_xo(plan: PlannedCollection) -> CollectionXO:
    """Return what a collection would remove."""
    return CollectionXO(
        items=tuple(UnneededXO.model_validate(each, from_attributes=True) for each in plan.items),
        freed_size=plan.freed_size,
        is_cut=plan.is_cut,
        reclaimable_count=plan.state.reclaimable_count,
        reclaimable_size=plan.state.reclaimable_size,
        collected_at=plan.state.ended_at,
    )


def comparison_xo(found: Comparison) -> ComparisonXO:
    """Return two images side by side."""
    return ComparisonXO(
        growth=found.growth,
        download_size=found.download_size,
        equal_layers=found.equal_layers,
        equal_values=found.equal_values,
        layers=tuple(map(_compared_xo, found.layers)),
        values=tuple(
            ComparedValueXO.model_validate(each, from_attributes=True) for each in found.values
        ),
    )


def _compared_xo(layer: ComparedLayer) -> ComparedLayerXO:
    return ComparedLayerXO(
        change=layer.change,
        step=None if layer.step is None else f"{layer.step.verb} {layer.step.text}".strip(),
        left=None if layer.left is None else str(layer.left.digest),
        right=None if layer.right is None else str(layer.right.digest),
        growth=layer.growth,
    )


def deletion_xo(plan: DeletionPlan) -> DeletionXO:
    """Return what becomes of tags and digests."""
    return DeletionXO(
        references=tuple(
            DeletedReferenceXO(
                reference=each.reference,
                digest=each.digest,
                is_deleted=not each.stays_because,
                stays_because=each.stays_because,
                is_manifest_deleted=each.image_goes,
                other_tags=each.other_tags,
            )
            for each in plan.rows
        ),
        manifests=plan.images,
        attachments=plan.attachments,
        size=plan.size,
        freed_size=plan.freed_size,
    )


def image_deletion_xo(plan: ImageDeletion) -> ImageDeletionXO:
    """Return what becomes of an image."""
    return ImageDeletionXO.model_validate(plan, from_attributes=True)


def tags_xo(rows: list[TagRow], token: str | None) -> Page[TagXO]:
    """Return a page of tags."""
    items = [TagXO.model_validate(each, from_attributes=True) for each in rows]
    return Page[TagXO](items=items, continuation_token=token)
