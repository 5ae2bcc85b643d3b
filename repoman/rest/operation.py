"""How the server works, over REST: connectors, the remotes of proxies, and traces of groups."""

from dataclasses import asdict
from typing import Any

from pydantic import Field

from repoman.proxy.remote_health import RemoteState, render_status
from repoman.repositories.connectors import ConnectorStatus, report_connectors
from repoman.rest.endpoints import (
    API_ROOT,
    SIGNED_IN,
    Area,
    Call,
    RepositoryContent,
    RepositorySettings,
)
from repoman.rest.resources import ContentPath, Query, Resource, Timestamp
from repoman.security.actors import Action

NO_PROXY = {405: "The repository is no proxy, or it does not work."}
NO_GROUP = {405: "The repository is no group, or it does not work."}

operation = Area(
    "Operation", "The state of connectors, of the remotes of proxies, and of groups.", root=API_ROOT
)


class ConnectorView(Resource):
    """A port of a repository."""

    repository: str
    url: str
    state: ConnectorStatus = Field(
        description="open, failed, or closed: the server has not opened it yet."
    )
    problem: str = Field(description="Why it could not be opened; empty if it was.")


class RemoteView(Resource):
    """The state of the remote of a proxy."""

    repository: str
    status: str = Field(description="The state in words, as Sonatype Nexus Repository 3 has it.")
    condition: str
    reason: str
    budget: dict[str, Any] | None = Field(
        description="The remote's limit of requests, as far as it told; null: none."
    )
    at: Timestamp = Field(description="When this was recorded.")
    blocked_until: Timestamp | None


class TraceQuery(Query):
    """Selects the path to trace."""

    path: ContentPath = Field(description="A path in the group, as content selectors see it.")


class MemberView(Resource):
    """A member of a group, whether it has a path, and why or why not."""

    member: str
    outcome: str
    reason: str
    steps: list["MemberView"] = Field(description="The same for its members, if it is a group.")


class TraceView(Resource):
    """The members of a group in the order in which they are asked for a path."""

    repository: str
    path: str
    members: list[MemberView]


@operation.get("/connectors", SIGNED_IN)
def list_connectors(call: Call) -> list[ConnectorView]:
    """List the connectors of the repositories whose settings you may read, with their state."""
    repositories, authorizer = call.repoman.repositories, call.repoman.security.authorizer
    connectors = [
        connector
        for each in repositories.all()
        if authorizer.may_configure(call.actor, each.ref, Action.READ)
        for connector in repositories.connectors_of(each)
    ]
    return [ConnectorView(**asdict(each)) for each in report_connectors(connectors)]


@operation.get("/repositories/{name}/remote", RepositorySettings(Action.READ), answers=NO_PROXY)
def show_remote(call: Call) -> RemoteView:
    """Show the state of a proxy's remote."""
    return _view(call, call.repoman.repositories.remote_of(call.repository.name).state)


@operation.post(
    "/repositories/{name}/remote/check", RepositorySettings(Action.EDIT), answers=NO_PROXY
)
def check_remote(call: Call) -> RemoteView:
    """Check a proxy's remote now, even if it is blocked after failures, and show its state."""
    return _view(call, call.repoman.repositories.check(call.repository.name))


@operation.get("/repositories/{name}/trace", RepositoryContent(), answers=NO_GROUP)
def trace_path(call: Call, query: TraceQuery) -> TraceView:
    """Show which member of a group answers for a path, and why; needs `browse` on the path."""
    call.check_content(Action.BROWSE, query.path)
    name = call.repository.name
    steps = call.repoman.repositories.trace(name, query.path)
    members = [MemberView.model_validate(asdict(each)) for each in steps]
    return TraceView(repository=name, path=query.path, members=members)


def _view(call: Call, state: RemoteState) -> RemoteView:
    config = call.repository.config
    status = render_status(state.condition, is_online=config.is_online)
    return RemoteView(repository=config.name, status=status, **asdict(state))
