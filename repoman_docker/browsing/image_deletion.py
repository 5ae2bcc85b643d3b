"""Deletions of whole images: what goes, what stays, and whether the viewer may do it.

An image may have 100,000 tags, so nothing is worked out for each of them: what its layers take, and
what of that nothing else uses, is kept by the core.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from repoman.plugin import (
    LAST_CHARACTER,
    Action,
    ComponentQuery,
    Denied,
    ListOrder,
    ListRequest,
    NotFound,
    RepositoryView,
)
from repoman_docker.browsing.deleting import check_deletable, protection_of, refusal_of
from repoman_docker.browsing.opening import find_package
from repoman_docker.browsing.tags import TagQuery, TagRow, list_tags
from repoman_docker.layout import MANIFEST, TAG, image, manifest_prefixes, tagged
from repoman_docker.protocol.reference import Tag

CHECKED_MAX = 20_000
"""Tags and manifests whose rights are looked up one by one, for who may not delete everything."""
BATCH = 1_000  # Of these, read at once.
TAGS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class ImageDeletion:
    """What deleting an image does; sizes are in bytes.

    Attributes:
        tags: how many there are; all go, with every manifest.
        newest: some of them, the last pushed first.
        size: of all blobs of the image, each once.
        freed_size: of those that nothing else uses.
        pulled_at: when any of it was last pulled; 0: never.
        refusal: why it cannot be done, a sentence; empty: it can.
    """

    name: str
    tags: int
    newest: tuple[TagRow, ...]
    size: int
    freed_size: int
    pulled_at: float
    refusal: str


def plan_image_deletion(view: RepositoryView, name: str) -> ImageDeletion:
    """Return what deleting an image would do; changes nothing.

    Raises:
        NotFound: there is no such image, or the viewer may not see it.
        Unsupported: nothing can be deleted from this repository.
    """
    check_deletable(view)
    package = find_package(view, name)
    if not view.descriptions([package]):
        raise NotFound(f"There is no image {name} in {view.repository.name}.")
    return ImageDeletion(
        name=name,
        tags=package.versions,
        newest=tuple(list_tags(view, name, TagQuery(), size=TAGS_SHOWN).items),
        size=package.size,
        freed_size=package.own_size,
        pulled_at=package.downloaded_at,
        refusal=refusal_of(view) or _missing_right(view, name) or _protection(view, name),
    )


def delete_image(view: RepositoryView, name: str) -> ImageDeletion:
    """Delete an image with all its tags and manifests, and return what was done.

    Its layers stay until the task that deletes unused ones: a push may be about to use them. A
    crash in the middle leaves the rest of the image; delete it again.

    Raises:
        Denied: some of it must not be deleted, by this viewer or by anybody.
        NotFound, Unsupported: as of planning.
    """
    plan = plan_image_deletion(view, name)
    delete_component = view.repository.capabilities.delete_component
    if plan.refusal or delete_component is None:
        raise Denied(plan.refusal)
    delete_component(image(name))
    return plan


def _missing_right(view: RepositoryView, name: str) -> str:
    """Return why the viewer may not delete all of an image; empty: they may.

    What they may not even see counts too, but is not named.
    """
    if view.may_everywhere(Action.DELETE):
        return ""
    for number, reference in enumerate(_references(view.whole(), name)):
        if number == CHECKED_MAX:
            return (
                f"{name} has more than {CHECKED_MAX:,} tags and manifests. Deleting it needs the "
                f"right to delete everything in {view.repository.name}."
            )
        if not view.may(Action.DELETE, tagged(name, Tag(reference))):
            return f"You may not delete everything in {name}. Delete single tags instead."
    return ""


def _protection(view: RepositoryView, name: str) -> str:
    """Return why a tag of an image stays in any case; empty: all may go."""
    if view.repository.capabilities.protection is None:
        return ""
    reasons = (protection_of(view, name, each) for each in _tags(view.whole(), name))
    return next(filter(None, reasons), "")


def _references(view: RepositoryView, name: str) -> Iterator[str]:
    """Yield the tags and the digests of an image."""
    yield from _tags(view, name)
    for repository in view.scopes:
        for prefix in manifest_prefixes(name):
            yield from _digests(view, repository, prefix)


def _tags(view: RepositoryView, name: str) -> Iterator[str]:
    query = ComponentQuery(kind=TAG, name=name, order=ListOrder.NAME)
    after: str | None = ""
    while after is not None:
        page = view.components(query, ListRequest(BATCH, after))
        yield from (each.version for each in page.items)
        after = page.next


def _digests(view: RepositoryView, repository: int, prefix: str) -> Iterator[str]:
    start, end = prefix, prefix + LAST_CHARACTER
    while found := view.below(repository, MANIFEST, (start, end), (TAG,), BATCH):
        yield from (stored.key[1].rpartition("/")[2] for stored, _ in found)
        start = found[-1][0].key[1]
