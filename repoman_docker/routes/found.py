"""The search page's results of the indexes of proxies: images that are not stored here."""

from collections.abc import Iterator
from dataclasses import dataclass

from repoman.plugin import (
    Action,
    FindRequest,
    FoundElsewhere,
    FoundItem,
    GroupSection,
    MemberPool,
    Repository,
    RepositoryType,
    current_actor,
    current_security,
)
from repoman_docker.layout import image
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.reference import parse_name
from repoman_docker.protocol.texts import one_line
from repoman_docker.routes.pages import host_of
from repoman_docker.rules import component_path
from repoman_docker.search import Filter, ImageHit, SearchResult

BROWSE = frozenset({Action.BROWSE})
FAILED = "did not answer. The server log has the reason."
BLOCKED = "is blocked and was not asked."

_pool = MemberPool(Exception)  # An index may come from a plugin and raise anything.


@dataclass(frozen=True, slots=True)
class _Asked:
    """A repository, and what the visitor may see of it; threads of the pool have no request."""

    repository: Repository
    host: str
    is_visible: Filter | None


def find_elsewhere(request: FindRequest) -> list[FoundElsewhere]:
    """Return what the indexes of proxies find, with the commands to pull it through them."""
    asked = {each.name: _asked(each) for each in _searched(request)}

    def search(each: _Asked) -> tuple[str, SearchResult]:
        find = each.repository.service.search.find
        limit = request.limit
        return each.repository.name, find(request.text, limit, each.is_visible, request.patience)

    collected = _pool.collect(asked.items(), search, request.patience)
    results = dict(collected.answers)
    known = {each.name.lower() for each in request.repositories}
    return [_found(each, results.get(name), request.limit, known) for name, each in asked.items()]


def _searched(request: FindRequest) -> Iterator[Repository]:
    """Yield the proxies, and the groups with a member of which the visitor sees nothing itself."""
    known = {each.name.lower() for each in request.repositories}
    for each in request.repositories:
        config = each.config
        if config.format != "docker" or not config.is_online or each.problem is not None:
            continue
        if config.type is RepositoryType.PROXY:
            yield each
        elif config.type is RepositoryType.GROUP:
            members = config.section("group", GroupSection).members
            if any(member.lower() not in known for member in members):
                yield each


def _asked(repository: Repository) -> _Asked:
    authorizer = current_security().authorizer
    actor, ref = current_actor(), repository.ref
    is_visible = authorizer.name_filter(
        actor, ref, BROWSE, lambda name: component_path(image(name))
    )
    return _Asked(repository, host_of(repository), is_visible)


def _found(
    asked: _Asked, result: SearchResult | None, limit: int, known: set[str]
) -> FoundElsewhere:
    name = asked.repository.name
    if result is None:
        return FoundElsewhere(name, problem=f"{name} {FAILED}")
    absent = [each for each in result.hits if not each.is_stored]
    items = tuple(_item(asked.host, each) for each in absent[:limit] if _is_name(each.name))
    total = max(len(absent), result.total - len(result.hits) + len(absent))
    failed = (each if each.lower() in known else f"A member of {name}" for each in result.failed)
    problem = ", ".join(f"{each} {_why(asked.repository)}" for each in dict.fromkeys(failed))
    return FoundElsewhere(name, items, total, problem)


def _why(repository: Repository) -> str:
    remote = repository.capabilities.remote
    is_blocked = remote is not None and remote.state.blocked_until is not None
    return BLOCKED if is_blocked else FAILED


def _is_name(text: str) -> bool:
    """Return whether a name may get into a line that people paste into a shell."""
    try:
        parse_name(text)
    except RegistryError:
        return False
    return True


def _item(host: str, hit: ImageHit) -> FoundItem:
    stars = f"{hit.stars} star{'s' if hit.stars != 1 else ''}" if hit.stars else ""
    note = " · ".join(filter(None, ["official" if hit.is_official else "", stars]))
    command = f"docker pull {host}/{hit.name}"
    return FoundItem(hit.name, one_line(hit.description), note, command)
