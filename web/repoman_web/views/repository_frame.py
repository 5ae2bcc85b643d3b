"""What all pages of one repository share: its badges, and its tabs."""

from dataclasses import dataclass
from itertools import chain

from flask import current_app, url_for

from repoman.plugin import Repository, RepositoryTab, current_repoman

# The tabs of every format, behind its own ones; one without a view is left out.
COMMON = (
    RepositoryTab("paths", "All paths", "browse.paths"),
    RepositoryTab("uploads", "Open uploads", "browse.uploads"),
    RepositoryTab("activity", "Activity", "browse.activity"),
    RepositoryTab("use", "Use", "use.show"),
)


@dataclass(frozen=True, slots=True)
class ShownTab:
    """A tab as a page shows it."""

    key: str
    title: str
    url: str
    count: int | None


def repository_tabs(repository: Repository) -> list[ShownTab]:
    """Return the tabs of a repository: those of its format, then those that all have."""
    own = chain(*current_repoman().plugins.hook.repoman_web_tabs(repository=repository))
    return [
        ShownTab(
            each.key, each.title, url_for(each.endpoint, repository=repository.name), each.count
        )
        for each in (*own, *COMMON)
        if each.endpoint in current_app.view_functions
    ]
