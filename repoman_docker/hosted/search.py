"""Search among the images of a repository."""

from repoman.plugin import ContentStore
from repoman_docker.index import ImageHit
from repoman_docker.layout import IMAGE
from repoman_docker.search import MOST, PATIENCE, Filter, Found, collect


class HostedSearch:
    """Implements :class:`repoman_docker.search.ImageSearch` with the index of the database."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content

    def find(
        self, term: str, first: int, is_visible: Filter | None, patience: float = PATIENCE
    ) -> Found:
        """See :class:`repoman_docker.search.ImageSearch`."""
        found = self._content.search(IMAGE, term, MOST, is_visible)
        return collect(ImageHit(each.name, each.description) for each in found)
