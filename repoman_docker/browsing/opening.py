"""Who sees what of a Docker repository: pages, REST and commands begin here."""

from repoman.plugin import (
    READING,
    Action,
    Actor,
    Denied,
    ListRequest,
    NotFound,
    PackageQuery,
    PackageView,
    Repoman,
    Repository,
    RepositoryType,
    RepositoryView,
)

LISTING = frozenset({Action.BROWSE})


def open_view(
    repoman: Repoman,
    repository: Repository,
    actor: Actor | None,
    actions: frozenset[Action] = READING,
) -> RepositoryView:
    """Return a Docker repository as an actor sees it; None is the program itself.

    Raises:
        NotFound: it is of another format.
        Denied: the actor may see nothing in it.
    """
    if repository.config.format != "docker":
        raise NotFound(f"{repository.name} is not a Docker repository.")
    view = repoman.views.open(repository, actor, actions)
    is_group = repository.config.type is RepositoryType.GROUP
    if actor is not None and not view.scopes and not is_group:
        what = " or ".join(sorted(actions))
        raise Denied(f"{actor.name} is not allowed to {what} {repository.name}.")
    return view


def find_package(view: RepositoryView, name: str) -> PackageView:
    """Return what is kept of an image name (NotFound)."""
    query = PackageQuery(name=name)
    found = [] if {*name} & {*"*?"} else view.packages(query, ListRequest(1)).items
    if not found:
        raise NotFound(f"There is no image {name} in {view.repository.name}.")
    return found[0]
