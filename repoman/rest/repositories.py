"""Repositories over REST: lists, deletion and other actions."""

from pydantic import Field

from repoman.catalog.model import Usage
from repoman.catalog.visibility import EveryViewer
from repoman.errors import Conflict, Invalid
from repoman.repositories.model import Repository, RepositoryType
from repoman.repositories.proxy_sections import ProxySection
from repoman.rest.endpoints import EVERYBODY, Area, Call
from repoman.rest.repository_rights import ConfigureRepository, ViewRepository
from repoman.rest.repository_settings import url_of
from repoman.rest.resources import Query, Resource
from repoman.security.actors import Action

repositories = Area("Repositories", "Repositories: lists, deletion and other actions.")


def _is_unknown(value: int | None) -> bool:
    return value is None


class RepositoryView(Resource):
    """A repository."""

    name: str = Field(description="Name.")
    format: str = Field(description="Format.")
    type: RepositoryType = Field(description="hosted, proxy or group.")
    url: str = Field(description="Address on the main port.")
    size: int | None = Field(
        None,
        exclude_if=_is_unknown,
        description="Bytes of all blobs of the repository; not there for a group.",
    )
    attributes: dict[str, dict[str, str]] = Field(
        description="For a proxy `proxy.remoteUrl`, the address of its remote; else empty."
    )


class InvalidateQuery(Query):
    """Selects the cached content to check again."""

    name: str | None = Field(None, description="Only content with this name. Default: all content.")


@repositories.get("/v1/repositories", EVERYBODY)
def list_repositories(call: Call) -> list[RepositoryView]:
    """List the repositories in which the user may browse something."""
    may = call.repoman.security.authorizer.may_do_somewhere
    browsing = frozenset({Action.BROWSE})
    everything = call.repoman.repositories.all()
    found = [each for each in everything if may(call.actor, each.ref, browsing)]
    return _shown(call, found)


@repositories.get("/v1/repositories/{name}", ViewRepository(), bare=(404,))
def show_repository(call: Call) -> RepositoryView:
    """Show a repository."""
    return _shown(call, [call.repository])[0]


@repositories.delete("/v1/repositories/{name}", ConfigureRepository(Action.DELETE), bare=(404,))
def delete_repository(call: Call) -> None:
    """Delete a repository with all its content; groups lose it as a member."""
    call.repoman.repositories.delete(call.repository.name, leaves_groups=True)


@repositories.post("/v1/repositories/{name}/invalidate-cache", ConfigureRepository(Action.EDIT))
def invalidate_cache(call: Call, query: InvalidateQuery) -> None:
    """Make a proxy check its cache with the remote again: all of it, or the content of one name.

    For a group, all proxies in it do so.
    """
    if call.repository.config.type is RepositoryType.HOSTED:
        raise Invalid("Only a proxy or a group has a cache that can be invalidated.")
    call.repoman.repositories.invalidate(call.repository.name, query.name)


@repositories.post("/v1/repositories/{name}/rebuild-index", ConfigureRepository(Action.EDIT))
def rebuild_index(call: Call) -> None:
    """Do nothing: the search index changes with the content and is always complete."""
    if call.repository.config.type is RepositoryType.GROUP:
        raise Invalid("Only a hosted repository or a proxy has a search index.")


NOT_A_PROXY = {409: "The repository is not a proxy."}


@repositories.post(
    "/v1/repositories/{name}/health-check", ConfigureRepository(Action.EDIT), answers=NOT_A_PROXY
)
def enable_health_check(call: Call) -> None:
    """Do nothing: there is no analysis of the components of a proxy that could be turned on."""
    _check_proxy(call.repository)


@repositories.delete(
    "/v1/repositories/{name}/health-check", ConfigureRepository(Action.EDIT), answers=NOT_A_PROXY
)
def disable_health_check(call: Call) -> None:
    """Do nothing: there is no analysis of the components of a proxy that could be turned off."""
    _check_proxy(call.repository)


def _shown(call: Call, repositories: list[Repository]) -> list[RepositoryView]:
    usages = call.repoman.catalog.usages(EveryViewer(call.repoman.repositories))
    return [_view(call, each, usages.get(each.name, Usage())) for each in repositories]


def _view(call: Call, repository: Repository, usage: Usage) -> RepositoryView:
    config = repository.config
    proxy = config.sections.get("proxy")
    remote = {"remoteUrl": proxy.remote_url} if isinstance(proxy, ProxySection) else None
    return RepositoryView(
        name=config.name,
        format=config.format,
        type=config.type,
        url=url_of(repository, call.base_url),
        size=None if config.type is RepositoryType.GROUP else usage.size,
        attributes={"proxy": remote} if remote else {},
    )


def _check_proxy(repository: Repository) -> None:
    if repository.config.type is not RepositoryType.PROXY:
        raise Conflict(f"{repository.name} is not a proxy, so it has no health check.")
