"""Which member of a group answers for a path, and why: over REST."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, request

from repoman.errors import Invalid, NotFound, Unauthenticated, Unsupported
from repoman.http.current import current_actor, current_security, ref_of
from repoman.http.formats import Format, name_of_file
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.model import Trace
from repoman.security.actors import Access, Action

PATH_MAX = 1000  # characters

BROWSE = frozenset({Action.BROWSE})


def create_trace_rest(repositories: RepositoryManager, formats: Mapping[str, Format]) -> Blueprint:
    """Return the route, for anybody who may browse the path in the group."""
    blueprint = Blueprint("repoman_trace", __name__)

    @blueprint.get("/service/rest/v1/repositories/<name>/trace")
    def trace(name: str) -> dict[str, Any]:
        """Answer with the members in their order."""
        path = request.args.get("path", "")
        if not path.startswith("/") or len(path) > PATH_MAX:
            raise Invalid(
                f"path: must begin with / and have at most {PATH_MAX} characters.", "path"
            )
        find = _find_trace(repositories, formats, name, path)
        return {"repository": name, "path": path, "members": [asdict(each) for each in find(path)]}

    return blueprint


def _find_trace(
    repositories: RepositoryManager, formats: Mapping[str, Format], name: str, path: str
) -> Trace:
    actor, authorizer = current_actor(), current_security().authorizer
    repository = repositories.find(name)
    if repository is None or not authorizer.knows(actor, ref_of(repository)):
        if actor.is_anonymous:
            raise Unauthenticated("Authentication is required.")
        raise NotFound("The repository does not exist, or you have no access to it.")
    format_ = formats.get(repository.config.format)
    about = name_of_file(path) if format_ is None else format_.name_of(path)
    authorizer.check(actor, ref_of(repository), Access(BROWSE, path, about))
    trace = repository.capabilities.trace
    if trace is None:
        raise Unsupported(f"{name} is not a group.")
    return trace
