"""Repositories over REST: the remotes of proxies, and the traces of groups."""

from dataclasses import asdict
from typing import Any

from pydantic import Field, field_validator

from repoman.errors import Unsupported
from repoman.proxy.remote_health import RemoteState, render_status
from repoman.rest.endpoints import Area, Call, RepositoryContent, RepositorySettings
from repoman.rest.resources import OWN_NAMES, Query, Resource
from repoman.security.actors import Action

PATH_MAX_CHARS = 1000  # The longest path that is traced.

repositories = Area("Repositories", "Repositories, the remotes of proxies, and groups.")


class RemoteView(Resource):
    """The state of the remote of a proxy; times in seconds since the epoch."""

    model_config = OWN_NAMES

    repository: str
    status: str
    condition: str
    reason: str
    budget: dict[str, Any] | None
    at: float
    blocked_until: float | None


class InvalidateQuery(Query):
    """Selects the cached content to check again."""

    name: str | None = Field(None, description="Only content with this name. Default: all content.")


class TraceQuery(Query):
    """Selects the path to trace."""

    path: str = Field(
        max_length=PATH_MAX_CHARS, description="A path in the group, as content selectors see it."
    )

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if not path.startswith("/"):
            raise ValueError("must begin with a slash")
        return path


class MemberView(Resource):
    """A member of a group, whether it has a path, and why or why not."""

    model_config = OWN_NAMES

    member: str
    outcome: str
    reason: str
    steps: list["MemberView"]


class TraceView(Resource):
    """The members of a group in the order in which they are asked for a path."""

    model_config = OWN_NAMES

    repository: str
    path: str
    members: list[MemberView]


@repositories.get("/v1/repositories/{name}/remote", RepositorySettings(Action.READ))
def show_remote(call: Call) -> RemoteView:
    """Show the status of a proxy's remote."""
    name = call.repository.name
    return _view(call, call.repoman.repositories.remote_of(name).state)


@repositories.post("/v1/repositories/{name}/check-remote", RepositorySettings(Action.EDIT))
def check_remote(call: Call) -> RemoteView:
    """Check a proxy's remote now, whatever failed before, and show its status."""
    return _view(call, call.repoman.repositories.check(call.repository.name))


@repositories.post("/v1/repositories/{name}/invalidate-cache", RepositorySettings(Action.EDIT))
def invalidate_cache(call: Call, query: InvalidateQuery) -> None:
    """Make a proxy check its cache with the remote again: all of it, or the content of one name."""
    call.repoman.repositories.invalidate(call.repository.name, query.name)


@repositories.get("/v1/repositories/{name}/trace", RepositoryContent())
def trace_path(call: Call, query: TraceQuery) -> TraceView:
    """Show which member of a group answers for a path, and why; needs `browse` on the path."""
    call.check_content(Action.BROWSE, query.path)
    repository = call.repository
    trace = repository.capabilities.trace
    if trace is None:
        raise Unsupported(f"{repository.name} is not a group.")
    members = [MemberView.model_validate(asdict(each)) for each in trace(query.path)]
    return TraceView(repository=repository.name, path=query.path, members=members)


def _view(call: Call, state: RemoteState) -> RemoteView:
    config = call.repository.config
    status = render_status(state.condition, is_online=config.is_online)
    return RemoteView(repository=config.name, status=status, **asdict(state))
