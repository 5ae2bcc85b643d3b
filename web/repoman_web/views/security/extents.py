"""What somebody may do, as matrices: repositories by action, and parts of the server by action."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from repoman.plugin import (
    ADMINISTERED,
    Action,
    Actor,
    Extent,
    ListQuery,
    Repository,
    RightsOverview,
    current_actor,
    current_repoman,
)
from repoman_web.views.security.rows import Rows, page_rows

ACTIONS = tuple(map(str, Action))
SERVER_ACTIONS = ("create", "read", "update", "delete")
# Parts of the server for which there are fewer actions, beside those that are administered.
SINGLE = {"search": "search", "component": "uploads by form"}
NAME = attrgetter("name")
MATRIX_ROWS = 50  # Repositories in a matrix of one page.


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a matrix: what it is about, and what is allowed there."""

    title: str
    extent: Extent

    def cell(self, action: str) -> str:
        """Return ``all``, ``some`` or nothing: with how much there the action is allowed."""
        if action in self.extent.everything:
            return "all"
        return "some" if action in self.extent.partly else ""

    @property
    def because(self) -> str:
        """Return which roles allow something here."""
        names = [*self.extent.roles, *(["anybody may"] if self.extent.anybody else [])]
        return ", ".join(names) or "no role"


def overview_of(actor: Actor) -> RightsOverview:
    """Return what somebody may do where, and by which roles."""
    return current_repoman().security.authorizer.overview(actor)


def known_repositories() -> list[Repository]:
    """Return the repositories that the visitor may know of, by name."""
    visitor, authorizer = current_actor(), current_repoman().security.authorizer
    found = current_repoman().repositories.all()
    return [each for each in found if authorizer.knows(visitor, each.ref)]


def repository_lines(
    overview: RightsOverview, repositories: Iterable[Repository], query: ListQuery
) -> tuple[list[tuple[Repository, Line]], str]:
    """Return a page of the matrix of repositories, and the address of the next one."""
    rows: Rows[Repository] = page_rows(repositories, query, NAME, NAME)
    lines = [(each, Line(each.name, overview.of_repository(each.ref))) for each in rows.shown]
    return lines, rows.older


def server_lines(overview: RightsOverview, actions: Sequence[str] = SERVER_ACTIONS) -> list[Line]:
    """Return the parts of the server with which something is allowed."""
    found = [
        Line(title, overview.of_server(domain, actions))
        for domain, title in {**SINGLE, **ADMINISTERED}.items()
    ]
    return [each for each in found if each.extent.everything]
