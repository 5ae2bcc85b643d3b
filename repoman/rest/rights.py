"""Effective rights over REST: whether somebody may do something, and why."""

from dataclasses import asdict

from pydantic import Field

from repoman.rest.endpoints import API_ROOT, Area, Call, Permission, RepositoryContent
from repoman.rest.resources import ContentPath, Query, Resource
from repoman.security.actors import Access, Action, Actor
from repoman.security.explanation import Decision, find_actor

rights = Area("Rights", "Effective rights: who may do what, and why.", root=API_ROOT)


class RightsQuery(Query):
    """Selects what to explain."""

    path: ContentPath = Field(
        "/", description="A path in the repository, as content selectors see it."
    )
    action: list[Action] = Field(
        default_factory=list, description="Can be repeated. Default: all actions."
    )


class UserRightsQuery(RightsQuery):
    """Selects what to explain, and where."""

    repository: str = Field(description="Name of the repository.")


class ReasonView(Resource):
    """Why somebody may do something."""

    source: str = Field(
        description=(
            "user: by roles of the user; anonymous: by roles of anonymous users, which everybody "
            "has; repository: the repository is open to everybody."
        )
    )
    roles: list[str] = Field(description="A role of the user; each role includes the next one.")
    privilege: str
    selector: str = Field(description="The content selector that matches the path; empty: none.")


class DecisionView(Resource):
    """Whether somebody may do something, and why."""

    action: Action
    is_allowed: bool
    is_within_limit: bool = Field(description="Whether the user token may be used for it.")
    reasons: list[ReasonView] = Field(description="All reasons; any of them suffices.")


class RightsView(Resource):
    """What somebody may do with a path in a repository."""

    user: str
    realm: str
    is_active: bool = Field(description="Whether the user can log in.")
    repository: str
    path: str
    decisions: list[DecisionView]


@rights.get("/repositories/{name}/rights", RepositoryContent())
def explain_own_rights(call: Call, query: RightsQuery) -> RightsView:
    """Explain what you may do with a path in a repository, and which roles grant it."""
    return _explain(call, call.actor, query, is_active=True)


@rights.get("/users/{user}/rights", Permission("users", "read"))
def explain_rights(call: Call, user: str, query: UserRightsQuery) -> RightsView:
    """Explain what a user, or `anonymous`, may do with a path in a repository, and why.

    You have to have some right in the repository yourself.
    """
    RepositoryContent().check(call, {"name": query.repository})
    actor, is_active = find_actor(user)
    return _explain(call, actor, query, is_active=is_active)


def _explain(call: Call, actor: Actor, query: RightsQuery, *, is_active: bool) -> RightsView:
    repository = call.repository
    name = call.name_of(repository.config.format, query.path)
    access = Access(frozenset(query.action or Action), query.path, name)
    decisions = call.repoman.security.authorizer.explain(actor, repository.ref, access)
    return RightsView(
        user=actor.name,
        realm=actor.realm,
        is_active=is_active,
        repository=repository.name,
        path=query.path,
        decisions=[_view(each) for each in decisions],
    )


def _view(decision: Decision) -> DecisionView:
    return DecisionView.model_validate(asdict(decision))
