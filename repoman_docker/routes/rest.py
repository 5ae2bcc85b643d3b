"""Images over REST: the lists, details, comparisons and deletions that the pages show."""

from pydantic import Field

from repoman.plugin import (
    API_ROOT,
    READING,
    Action,
    Area,
    Call,
    Page,
    PageQuery,
    Query,
    RepositoryContent,
    RepositoryView,
    acting_by,
)
from repoman_docker.browsing.collecting import explain_keeping, plan_collection
from repoman_docker.browsing.comparison import compare
from repoman_docker.browsing.deleting import REFERENCES_MAX, delete_references, plan_deletion
from repoman_docker.browsing.details import describe_image
from repoman_docker.browsing.image_deletion import delete_image, plan_image_deletion
from repoman_docker.browsing.images import ImageOrder, list_images
from repoman_docker.browsing.layer_files import LISTS, find_layer
from repoman_docker.browsing.loading import load_image
from repoman_docker.browsing.opening import LISTING, find_package, open_view
from repoman_docker.browsing.space import space_of
from repoman_docker.browsing.tags import TagOrder, TagQuery, list_tags, list_untagged
from repoman_docker.protocol.reference import Tag
from repoman_docker.routes.rest_models import (
    CollectionXO,
    ComparisonXO,
    DeletionXO,
    HoldXO,
    ImageDeletionXO,
    ImageXO,
    LayerFilesXO,
    ManifestXO,
    SpaceXO,
    TagXO,
    UntaggedXO,
    collection_xo,
    comparison_xo,
    deletion_xo,
    image_deletion_xo,
    manifest_xo,
    tags_xo,
)

ROOT = "/repositories/{name}/docker"
API = "api"  # The source of what is changed here.
PAGE_ITEMS = 100  # The items of a page of a list.
NAME_MAX_CHARS = 300
NAME = Field(max_length=NAME_MAX_CHARS, description="Name of the image, such as `team/app`.")

docker = Area(
    "Docker images",
    "Images of Docker repositories: tags, layers, comparisons and deletions. Sizes are in bytes.",
    root=API_ROOT,
    example="/repositories/docker-hosted/docker/images?order=size",
)


class ImagesQuery(PageQuery):
    """Selects images."""

    filter: str = Field("", description="A part of the name, or a pattern with `*`.")
    order: ImageOrder = Field(ImageOrder.NAME, description="By name they ascend, else descend.")


class ImageQuery(Query):
    """Selects an image."""

    image: str = NAME


class TagsQuery(PageQuery):
    """Selects tags of an image."""

    image: str = NAME
    filter: str = Field("", description="A part of the tag, or a pattern with `*`.")
    platform: str = Field("", description="Only those for it, such as `linux/arm64`.")
    order: TagOrder = Field(TagOrder.NEWEST, description="By name they ascend, else descend.")


class UntaggedQuery(PageQuery):
    """Selects manifests of an image."""

    image: str = NAME


class ReferenceQuery(Query):
    """Selects a tag or a manifest."""

    image: str = NAME
    reference: str = Field(description="A tag or a digest.")


class ManifestQuery(ReferenceQuery):
    """Selects a tag or a manifest, and a platform."""

    platform: str = Field("", description="Of an index. Default: the usual one that is stored.")


class ComparisonQuery(Query):
    """Selects two tags or digests of one image."""

    image: str = NAME
    left: str = Field(description="A tag or a digest.")
    right: str = Field(description="A tag or a digest.")
    platform: str = Field("", description="Of indexes. Default: the usual one that is stored.")


class LayerQuery(Query):
    """Selects a layer."""

    image: str = NAME
    digest: str


class ReferencesQuery(Query):
    """Selects tags and digests of an image."""

    image: str = NAME
    reference: tuple[str, ...] = Field(
        max_length=REFERENCES_MAX, description="A tag or a digest; may be repeated."
    )


class KeptQuery(Query):
    """Selects a manifest or a blob."""

    image: str = Field("", max_length=NAME_MAX_CHARS, description="Default: of any image.")
    digest: str


def view_of(call: Call, actions: frozenset[Action] = READING) -> RepositoryView:
    """Return the repository of a request as the actor sees it."""
    return open_view(call.repoman, call.repository, call.actor, actions)


@docker.get(f"{ROOT}/images", RepositoryContent())
def list_docker_images(call: Call, query: ImagesQuery) -> Page[ImageXO]:
    """List the images of a repository, or of the members of a group."""
    after = query.continuation_token or ""
    found = list_images(view_of(call, LISTING), query.filter, query.order, after, PAGE_ITEMS)
    items = [ImageXO.model_validate(each, from_attributes=True) for each in found.items]
    return Page[ImageXO](items=items, continuation_token=found.next)


@docker.get(f"{ROOT}/tags", RepositoryContent())
def list_docker_tags(call: Call, query: TagsQuery) -> Page[TagXO]:
    """List the tags of an image. A page may be short although there are more."""
    view = view_of(call, LISTING)
    find_package(view, query.image)
    asked = TagQuery(query.filter, query.platform, query.order)
    found = list_tags(view, query.image, asked, query.continuation_token or "", PAGE_ITEMS)
    return tags_xo(found.items, found.next)


@docker.get(f"{ROOT}/untagged", RepositoryContent())
def list_docker_untagged(call: Call, query: UntaggedQuery) -> Page[UntaggedXO]:
    """List the manifests of an image that no tag leads to. A page may be short."""
    view = view_of(call, LISTING)
    find_package(view, query.image)
    found = list_untagged(view, query.image, query.continuation_token or "", PAGE_ITEMS)
    items = [UntaggedXO.model_validate(each, from_attributes=True) for each in found.items]
    return Page[UntaggedXO](items=items, continuation_token=found.next)


@docker.get(f"{ROOT}/manifest", RepositoryContent())
def show_docker_manifest(call: Call, query: ManifestQuery) -> ManifestXO:
    """Show a tag or a manifest: its platforms, layers, config, and what is attached."""
    found = describe_image(view_of(call), query.image, query.reference, query.platform)
    return manifest_xo(found)


@docker.get(f"{ROOT}/space", RepositoryContent())
def show_docker_space(call: Call, query: ReferenceQuery) -> SpaceXO:
    """Show what a tag takes, and what would be free without it; of a digest, with all its tags."""
    found = load_image(view_of(call), query.image, query.reference)
    reference = Tag(found.tag) if found.tag else found.digest
    space = space_of(found.repository_id, found.name, reference)
    return SpaceXO.model_validate(space, from_attributes=True)


@docker.get(f"{ROOT}/comparison", RepositoryContent())
def compare_docker_images(call: Call, query: ComparisonQuery) -> ComparisonXO:
    """Compare two tags or digests of an image."""
    view = view_of(call)
    pair = (query.left, query.right)
    left, right = (load_image(view, query.image, each, query.platform) for each in pair)
    return comparison_xo(compare(left, right))


@docker.get(
    f"{ROOT}/layer-files",
    RepositoryContent(),
    answers={503: "Too many layers are being read at the moment."},
)
def list_docker_layer_files(call: Call, query: LayerQuery) -> LayerFilesXO:
    """List the files of a layer, up to 20,000 and as far as they are read in 5 seconds."""
    view = view_of(call)
    found = LISTS.get(view, find_layer(view, query.image, query.digest))
    return LayerFilesXO.model_validate(found, from_attributes=True)


@docker.get(f"{ROOT}/tags/deletion", RepositoryContent())
def plan_docker_tag_deletion(call: Call, query: ReferencesQuery) -> DeletionXO:
    """Show what a deletion of tags and digests would do; nothing is changed."""
    return deletion_xo(plan_deletion(view_of(call), query.image, query.reference))


@docker.delete(f"{ROOT}/tags", RepositoryContent())
def delete_docker_tags(call: Call, query: ReferencesQuery) -> DeletionXO:
    """Delete tags and digests of an image.

    The manifest of a tag goes with its last tag, and what is attached to it too. Layers go with the
    task that deletes unused ones. The answer says what was deleted, and why something stays.
    """
    with acting_by(API):
        return deletion_xo(delete_references(view_of(call), query.image, query.reference))


@docker.get(f"{ROOT}/images/deletion", RepositoryContent())
def plan_docker_image_deletion(call: Call, query: ImageQuery) -> ImageDeletionXO:
    """Show what a deletion of an image would do; nothing is changed."""
    return image_deletion_xo(plan_image_deletion(view_of(call), query.image))


@docker.delete(f"{ROOT}/images", RepositoryContent())
def delete_docker_image(call: Call, query: ImageQuery) -> ImageDeletionXO:
    """Delete an image with all its tags and manifests, and what is attached to them.

    Needs the right to delete each of them. Images below its name stay.
    """
    with acting_by(API):
        return image_deletion_xo(delete_image(view_of(call), query.image))


@docker.get(f"{ROOT}/collection", RepositoryContent())
def plan_docker_collection(call: Call) -> CollectionXO:
    """Show what the task that deletes unused manifests and images would delete now, and why.

    Nothing is changed. Needs the right to delete everything in the repository. At most 500 items
    are listed, as far as they are found in 2 seconds.
    """
    return collection_xo(plan_collection(view_of(call)))


@docker.get(f"{ROOT}/why", RepositoryContent())
def explain_docker_keeping(call: Call, query: KeptQuery) -> list[HoldXO]:
    """Show why a manifest or a blob is kept: from it to a tag, or until when."""
    found = explain_keeping(view_of(call), query.image, query.digest)
    return [HoldXO.model_validate(each, from_attributes=True) for each in found]
