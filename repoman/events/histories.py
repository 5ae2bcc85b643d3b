"""What happened to the assets of one repository, as far back as events are kept."""

from collections.abc import Iterable

from repoman.events import history_records as records


class Histories:
    """The past of the assets of components in a repository; thread safe.

    Digests are SHA-256, in hex; times are seconds since the epoch.
    """

    def __init__(self, repository_id: int) -> None:
        self._repository = repository_id

    def last_left(self, path: str) -> str | None:
        """Return the digest that a path had before it was last deleted, or got other bytes."""
        return records.find_last_left(self._repository, path)

    def states_at(self, paths: Iterable[str], at: float) -> dict[str, str | None]:
        """Return the digests that paths had at a time; None: there was nothing.

        A path to which nothing happened since is missing.
        """
        return records.find_states(self._repository, paths, at)

    def departed(
        self, kind: str, since: float, after: str, limit: int, name: str | None = None
    ) -> list[str]:
        """Return the paths of assets of a kind that were deleted, or got other bytes, since a time.

        At most ``limit`` of those after the path ``after``, in their order; of components with this
        name, unless it is None.
        """
        return records.list_departed(self._repository, kind, since, name, after, limit)
