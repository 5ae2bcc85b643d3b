"""Why a group answers as it does: each member, whether it was asked, and what it said."""

from collections.abc import Callable

from repoman.plugin import Invalid, Outcome, RepomanError, Step, UpstreamError
from repoman_docker.group.members import Member, Members, is_absence
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.paths import Resource, match
from repoman_docker.protocol.reference import parse_name, parse_reference
from repoman_docker.service import DockerRepository

ROOT = "/v2/"

Ask = Callable[[DockerRepository], object]


class GroupTrace:
    """Asks the members for a manifest or for tags, as a client's request would, and takes notes.

    So proxies may ask their remotes for it, and keep a manifest that they find.
    """

    def __init__(self, members: Members) -> None:
        self._members = members

    def __call__(self, path: str) -> list[Step]:
        """See :data:`repoman.plugin.Trace`."""
        image, is_list, ask = _parse(path)
        working = {each.key: each for each in self._members.all()}
        steps: list[Step] = []
        end = ""
        for name in self._members.settings.members:
            obstacle = self._obstacle(name, image, working)
            if obstacle or end:
                outcome = Outcome.SKIPPED if obstacle else Outcome.NOT_ASKED
                steps.append(Step(name, outcome, obstacle or end))
                continue
            step, end = _take(working[name.lower()], ask, path)
            steps.append(step)
            if is_list:
                end = ""  # all of them are asked, and their answers put together
        return steps

    def _obstacle(self, name: str, image: str, working: dict[str, Member]) -> str:
        """Return what keeps a member from being asked for an image; empty if nothing does."""
        if not self._members.routing.allows(image):
            return f"A routing rule of the group {self._members.name} forbids {image}."
        if name.lower() not in working:
            return "It is offline, or does not work at present."
        pinned = self._members.pinned(image)
        if pinned is not None and name.lower() not in pinned:
            return f"{image} is pinned to {' and '.join(sorted(pinned))}."
        return ""


def _parse(path: str) -> tuple[str, bool, Ask]:
    """Return the image name of a path, whether it is that of a list, and how a member is asked."""
    route = match(path.removeprefix(ROOT)) if path.startswith(ROOT) else None
    try:
        if route is not None and route.resource is Resource.TAGS:
            name = parse_name(route.name)
            return name, True, lambda service: service.lists.tags(name, "", 1)
        if route is not None and route.resource is Resource.MANIFEST:
            name, reference = parse_name(route.name), parse_reference(route.reference)
            return name, False, lambda service: service.manifests.get(name, reference)
    except RegistryError as error:
        raise Invalid(f"path: {error}", field="path") from error
    raise Invalid(
        "path: it must be /v2/NAME/manifests/REFERENCE or /v2/NAME/tags/list.", field="path"
    )


def _take(member: Member, ask: Ask, path: str) -> tuple[Step, str]:
    """Return what becomes of a member, and why those after it are not asked; empty if they are."""
    name, trace = member.repository.name, member.service.trace
    steps = tuple(trace(path)) if trace is not None else ()
    try:
        ask(member.service)
    except (RepomanError, RegistryError) as error:
        if is_absence(error):
            return Step(name, Outcome.ABSENT, str(error), steps), ""
        end = "" if isinstance(error, UpstreamError) else f"The failure of {name} is the answer."
        return Step(name, Outcome.FAILED, str(error), steps), end
    return Step(name, Outcome.FOUND, "", steps), f"{name} has it."
