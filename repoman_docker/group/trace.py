"""Traces of a group: each member, whether it was asked, and its answer."""

from collections.abc import Iterable
from dataclasses import dataclass

from repoman.plugin import Invalid, Outcome, RepomanError, Step, main_outage
from repoman_docker.group.members import Member, Members, is_absence
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.paths import Resource, match
from repoman_docker.protocol.reference import Tag, parse_name, parse_reference
from repoman_docker.service import DockerRepository

ROOT = "/v2/"


@dataclass(frozen=True, slots=True)
class Question:
    """What is requested: a manifest, or the tags of an image if ``reference`` is None."""

    image: str
    reference: Digest | Tag | None

    def ask(self, service: DockerRepository) -> None:
        """Ask a member; raise if it does not have it (RepomanError)."""
        if self.reference is None:
            service.lists.tags(self.image, "", 1)
        else:
            service.manifests.head(self.image, self.reference)


class GroupTrace:
    """Asks the members for a manifest or for tags, as a request would, and records the answers.

    Proxies may therefore contact their remotes, and cache a manifest that they find.
    """

    def __init__(self, members: Members) -> None:
        self._members = members

    def __call__(self, path: str) -> list[Step]:
        """See :data:`repoman.plugin.Trace`."""
        question = _parse(path)
        steps: list[Step] = []
        end = ""
        for name, member in self._in_order(question):
            obstacle = self._obstacle(member, question.image)
            if member is None or obstacle or end:
                outcome = Outcome.SKIPPED if obstacle else Outcome.NOT_ASKED
                steps.append(Step(name, outcome, obstacle or end))
                continue
            step, end = _take(member, question, path)
            steps.append(step)
            if question.reference is None:
                end = ""  # all of them are asked, and their answers are merged
        return steps

    def _in_order(self, question: Question) -> Iterable[tuple[str, Member | None]]:
        """Return the names of the members in pull order, each with the member if it works."""
        working = {each.key: each for each in self._members.all()}
        named = [(name, working.get(name.lower())) for name in self._members.settings.members]
        if isinstance(question.reference, Digest):
            last = (True, True)
            named.sort(key=lambda each: each[1].rank(question.image) if each[1] else last)
        return named

    def _obstacle(self, member: Member | None, image: str) -> str:
        """Return why a member is not asked for an image; empty if it is."""
        if member is None:
            return "It is offline or not working."
        if not self._members.routes(member, image):
            return f"A routing rule of the group {self._members.name} forbids {image}."
        pinned = self._members.pinned(member, image)
        if pinned is not None and member.key not in pinned:
            return f"{image} is pinned to {' and '.join(sorted(pinned))}."
        return ""


def _parse(path: str) -> Question:
    route = match(path.removeprefix(ROOT)) if path.startswith(ROOT) else None
    try:
        if route is not None and route.resource is Resource.TAGS:
            return Question(parse_name(route.name), None)
        if route is not None and route.resource is Resource.MANIFEST:
            return Question(parse_name(route.name), parse_reference(route.reference))
    except RegistryError as error:
        raise Invalid(f"path: {error}", field="path") from error
    raise Invalid("path: must be /v2/NAME/manifests/REFERENCE or /v2/NAME/tags/list.", field="path")


def _take(member: Member, question: Question, path: str) -> tuple[Step, str]:
    """Return the step of a member, and why the next ones are not asked; empty if they are."""
    name, trace = member.repository.name, member.repository.capabilities.trace
    steps = tuple(trace(path)) if trace is not None else ()
    try:
        question.ask(member.service)
    except RepomanError as error:
        if is_absence(error):
            return Step(name, Outcome.ABSENT, str(error), steps), ""
        end = "" if main_outage([error]) else f"The group answers with the failure of {name}."
        return Step(name, Outcome.FAILED, str(error), steps), end
    return Step(name, Outcome.FOUND, "", steps), f"{name} has it."
