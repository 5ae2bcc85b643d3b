"""Traces of a group: each member, whether it was asked, and its answer."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic

from repoman.errors import RepomanError
from repoman.group.asking import main_outage
from repoman.group.members import Member, Members, Service
from repoman.repositories.model import Outcome, Step


@dataclass(frozen=True, slots=True)
class Question(Generic[Service]):
    """The question that a path asks a group.

    Attributes:
        name: the name to which pins and routing rules apply.
        ask: asks one member, and raises if it does not have it.
        part: the part of the name that is asked for, as routing rules see it.
        is_same_everywhere: whether all members have the same content, so that those that need no
            remote are asked first.
        is_merged: whether all members are asked, and their answers are merged.
    """

    name: str
    ask: Callable[[Service], object]
    part: tuple[object, ...] = ()
    is_same_everywhere: bool = False
    is_merged: bool = False


class GroupTrace(Generic[Service]):
    """Asks the members as a request would, and records their answers; a trace of Capabilities.

    Proxies may therefore contact their remotes, and cache what they find.

    Args:
        members: of the group.
        parse: returns what a path asks. Raises Invalid: there is no such path.
    """

    def __init__(
        self, members: Members[Service], parse: Callable[[str], Question[Service]]
    ) -> None:
        self._members = members
        self._parse = parse

    def __call__(self, path: str) -> list[Step]:
        """Return a step for each member, in the order in which they are asked."""
        question = self._parse(path)
        steps: list[Step] = []
        end = ""
        for name, member in self._in_order(question):
            obstacle = self._obstacle(member, question)
            if member is None or obstacle or end:
                outcome = Outcome.SKIPPED if obstacle else Outcome.NOT_ASKED
                steps.append(Step(name, outcome, obstacle or end))
                continue
            step, end = self._take(member, question, path)
            steps.append(step)
            if question.is_merged:
                end = ""
        return steps

    def _in_order(
        self, question: Question[Service]
    ) -> Iterable[tuple[str, Member[Service] | None]]:
        """Return the names of the members in order, each with the member if it works."""
        working = {each.key: each for each in self._members.all()}
        named = [(name, working.get(name.lower())) for name in self._members.settings.members]
        if question.is_same_everywhere:
            last = (True, True)
            rank = self._members.rank
            named.sort(key=lambda each: rank(each[1], question.name) if each[1] else last)
        return named

    def _obstacle(self, member: Member[Service] | None, question: Question[Service]) -> str:
        """Return why a member is not asked; empty if it is."""
        if member is None:
            return "It is offline or not working."
        return self._members.obstacle(member, question.name, *question.part)

    def _take(
        self, member: Member[Service], question: Question[Service], path: str
    ) -> tuple[Step, str]:
        """Return the step of a member, and why the next ones are not asked; empty if they are."""
        name, trace = member.repository.name, member.repository.capabilities.trace
        steps = tuple(trace(path)) if trace is not None else ()
        try:
            question.ask(member.service)
        except RepomanError as error:
            if self._members.is_absence(error):
                return Step(name, Outcome.ABSENT, str(error), steps), ""
            end = "" if main_outage([error]) else f"The group answers with the failure of {name}."
            return Step(name, Outcome.FAILED, str(error), steps), end
        return Step(name, Outcome.FOUND, "", steps), f"{name} has it."
