"""The images of a repository, or of the members of a group, a page at a time."""

from dataclasses import dataclass
from enum import StrEnum

from repoman.plugin import (
    ComponentQuery,
    ListOrder,
    ListPage,
    ListRequest,
    PackageQuery,
    PackageView,
    RepositoryView,
)
from repoman_docker.layout import TAG

PAGE_IMAGES = 50
TAGS_COUNTED = 200  # Tags of an image that are counted for who may not see everything.


class ImageOrder(StrEnum):
    """What images are sorted by."""

    NAME = "name"
    PUSHED = "push"
    PULLED = "pull"
    SIZE = "size"
    OWN = "own"


_ORDERS = {
    ImageOrder.NAME: ListOrder.NAME,
    ImageOrder.PUSHED: ListOrder.UPDATED,
    ImageOrder.PULLED: ListOrder.DOWNLOADED,
    ImageOrder.SIZE: ListOrder.SIZE,
    ImageOrder.OWN: ListOrder.OWN_SIZE,
}


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image name in a list; sizes are in bytes, times in seconds since the epoch.

    Attributes:
        member: the repository that has it, if a group shows it; else that repository itself.
        size: of all of its blobs, each once, as they are stored.
        own_size: of those that nothing else uses.
        pulled_at: 0: never.
        tags: those that the viewer may see.
        has_more_tags: whether there may be more, since not all were looked at.
    """

    name: str
    member: str
    description: str
    tags: int
    has_more_tags: bool
    size: int
    own_size: int
    pushed_at: float
    pulled_at: float

    @property
    def namespace(self) -> str:
        """Return what is before the last part of the name, with a slash at its end."""
        return self.name[: self.name.rfind("/") + 1]

    @property
    def short_name(self) -> str:
        """Return the last part of the name."""
        return self.name[self.name.rfind("/") + 1 :]


def list_images(
    view: RepositoryView,
    text: str = "",
    order: ImageOrder = ImageOrder.NAME,
    after: str = "",
    size: int = PAGE_IMAGES,
) -> ListPage[ImageRow]:
    """Return a page of images; of two statements, however many there are, for who sees all.

    ``text`` is a part of the name, or a pattern with ``*``; by name they ascend, else descend.

    Raises:
        Invalid: ``after`` does not belong to this list.
    """
    query = PackageQuery(
        name=_pattern(text), order=_ORDERS[order], is_descending=order is not ImageOrder.NAME
    )
    page = view.packages(query, ListRequest(size, after))
    described = view.descriptions(page.items)  # The others are layers that wait for a manifest.
    rows = [
        ImageRow(
            each.name,
            each.repository,
            described[each.repository_id, each.name],
            *_count_tags(view, each),
            each.size,
            each.own_size,
            each.updated_at,
            each.downloaded_at,
        )
        for each in page.items
        if (each.repository_id, each.name) in described
    ]
    return ListPage(rows, page.next)


def _count_tags(view: RepositoryView, package: PackageView) -> tuple[int, bool]:
    """Return how many tags of an image the viewer may see, and whether there may be more.

    The kept number has all of them, also those that a content selector hides.
    """
    if view.scopes[package.repository_id].sees is None:
        return package.versions, False
    query = ComponentQuery(kind=TAG, name=package.name, order=ListOrder.NAME)
    page = view.components(query, ListRequest(TAGS_COUNTED))
    mine = [each for each in page.items if each.repository_id == package.repository_id]
    return len(mine), page.next is not None


def _pattern(text: str) -> str:
    text = text.strip().lower()
    return text if not text or set(text) & {*"*?"} else f"*{text}*"
