"""Repositories over REST."""

from pydantic import Field

from repoman.rest.endpoints import Area, Call, RepositorySettings
from repoman.rest.resources import Query
from repoman.security.actors import Action

repositories = Area("Repositories", "Repositories and their settings.")


class InvalidateQuery(Query):
    """Selects the cached content to check again."""

    name: str | None = Field(None, description="Only content with this name. Default: all content.")


@repositories.post("/v1/repositories/{name}/invalidate-cache", RepositorySettings(Action.EDIT))
def invalidate_cache(call: Call, query: InvalidateQuery) -> None:
    """Make a proxy check its cache with the remote again: all of it, or the content of one name."""
    call.repoman.repositories.invalidate(call.repository.name, query.name)
