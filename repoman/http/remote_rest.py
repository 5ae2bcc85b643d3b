"""The remote of a proxy over REST: how it is, whether it is back, and that its cache is stale."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, request

from repoman.errors import Denied, NotFound, Unauthenticated
from repoman.http.current import current_actor, current_security, ref_of
from repoman.proxy.remote_health import Remote, RemoteState, render_status
from repoman.repositories.manager import RepositoryManager
from repoman.security.actors import Action


def create_remote_rest(repositories: RepositoryManager) -> Blueprint:
    """Return the routes, for anybody who may read or change the settings of the proxy."""
    blueprint = Blueprint("repoman_remote", __name__)

    @blueprint.get("/service/rest/v1/repositories/<name>/remote")
    def tell(name: str) -> dict[str, Any]:
        """Answer with the status, the condition of the remote, its reason and the budget."""
        return _render(repositories, name, _find_remote(repositories, name, Action.READ).state)

    @blueprint.post("/service/rest/v1/repositories/<name>/check-remote")
    def check(name: str) -> dict[str, Any]:
        """Ask the remote now, whatever failed before, and answer as above."""
        _find_remote(repositories, name, Action.EDIT)
        return _render(repositories, name, repositories.check(name))

    @blueprint.post("/service/rest/v1/repositories/<name>/invalidate-cache")
    def invalidate(name: str) -> tuple[str, int]:
        """Have the remote asked again for all, or for what has one ``name``."""
        _find_remote(repositories, name, Action.EDIT)
        repositories.invalidate(name, request.args.get("name"))
        return "", 204

    return blueprint


def _render(repositories: RepositoryManager, name: str, state: RemoteState) -> dict[str, Any]:
    is_online = repositories.get(name).config.is_online
    status = render_status(state.condition, is_online=is_online)
    return {"repository": name, "status": status, **asdict(state)}


def _find_remote(repositories: RepositoryManager, name: str, action: Action) -> Remote:
    actor, authorizer = current_actor(), current_security().authorizer
    if actor.is_anonymous:
        raise Unauthenticated("Authentication is required.")
    repository = repositories.find(name)
    if repository is None or not authorizer.knows(actor, ref_of(repository)):
        raise NotFound("The repository does not exist, or you have no access to it.")
    if not authorizer.may_configure(actor, ref_of(repository), action):
        raise Denied(f"{actor.name} is not allowed to {action} the settings of {name}.")
    return repositories.remote_of(name)
