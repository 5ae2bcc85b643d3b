"""What happened to the content of one repository, as far as an actor may see it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from repoman.catalog.model import Scope
from repoman.catalog.visibility import ActorViewer
from repoman.events.event import ContentEvent
from repoman.events.follower import EventLog
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Repository, RepositoryType
from repoman.security.actors import Actor
from repoman.security.authorization import Authorizer

READ_EVENTS = 1_000
"""Events that are read for one page; one change of a user is often several of them."""


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """Events, newest first, and the ``after`` of the next page; None on the last one."""

    events: list[ContentEvent]
    next: int | None


class Activity:
    """Tells who stored and deleted what; thread safe."""

    def __init__(
        self, events: EventLog, repositories: RepositoryManager, authorizer: Authorizer
    ) -> None:
        self._events = events
        self._repositories = repositories
        self._authorizer = authorizer

    def list(
        self,
        repository: Repository,
        actor: Actor,
        *,
        by: str = "",
        after: int | None = None,
        limit: int = 100,
    ) -> ActivityPage:
        """Return what people did to a repository, or to the members of a group.

        These are the events that have an entry for the audit log: of several changes that belong
        together, one. A page examines a limited number of events, so it may be short.

        ``by`` is the user who did it, or empty; ``after`` the id of the event behind which to go
        on, None at the newest one.
        """
        viewer = ActorViewer(self._authorizer, self._repositories, actor)
        scopes = {each.id: each for each in viewer.scopes_of(repository)}
        filters = {"actor": by}
        if repository.config.type is not RepositoryType.GROUP:
            filters["repository"] = repository.name
        found, following = self._events.search(filters, after=after, limit=READ_EVENTS)
        shown = list(_shown(found, scopes))
        if len(shown) > limit:
            return ActivityPage(shown[:limit], shown[limit - 1].id)
        return ActivityPage(shown, following)


def _shown(events: list[ContentEvent], scopes: dict[int, Scope]) -> Iterator[ContentEvent]:
    """Yield the events that have an entry for the audit log, and are seen."""
    for each in events:
        scope = scopes.get(each.repository_id)
        if scope is None or each.audit is None:
            continue
        if scope.sees_path(scope.rules.asset_path(each.kind, each.path)):
            yield replace(each, repository=scope.name)  # that of the group, if it is hidden
