"""Which manifests of a hosted repository are needed, and why.

A tag holds its manifest, an index holds its images, and a subject holds what is attached to it; so
does a manifest to which a tag belongs by its name, as a signature of cosign.
What nothing holds stays for a while: the grace, the time in which a tag can be restored, and then
as the rule about untagged images says. What is held by something that goes, goes with it.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from repoman.plugin import (
    PROMISE_INTERVAL_S,
    CollectionOptions,
    ContentGraph,
    GraphNode,
    pluralize,
)
from repoman_docker.hosted.tag_attachments import TagAttachments
from repoman_docker.layout import CHILD, COLLECTION, DISMISSED, SUBJECT, TAG, title_of
from repoman_docker.protocol.patterns import TagChoice
from repoman_docker.sections import DockerHostedSection

DAY_S = 86_400.0
CLOSURE_MAX = 20_000  # Manifests that hold one, and their references; what has more stays.


# The indexes and subjects of manifests with the kind of the reference, or the other way round.
_Holders = dict[str, list[tuple[str, str]]]


class Fate(IntEnum):
    """What becomes of a manifest; the highest that holds it counts."""

    GOES = 0
    BY_RULE = 1  # it stays only for want of a rule
    IN_USE = 2  # the rule lets it stay for a while
    HELD = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a manifest, and why.

    Attributes:
        reason: a sentence.
        until: when the reason ends, in seconds since the epoch; None: nobody knows.
        holder: the path of what holds it, or of what it goes with.
    """

    fate: Fate
    reason: str
    until: float | None = None
    holder: str = ""


@dataclass(slots=True)
class _Closure:
    """Manifests, with all that holds them, directly or not."""

    nodes: dict[str, GraphNode] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)  # the first tag of a manifest
    attached: set[str] = field(default_factory=set)  # by tags that belong to another one
    holders: _Holders = field(default_factory=lambda: defaultdict(list))
    references: int = 0

    @property
    def is_cut(self) -> bool:
        """Return whether it is too large, so that something may be missing."""
        return max(len(self.nodes), self.references) > CLOSURE_MAX


class Reachability:
    """Judges manifests at one time; reads only."""

    def __init__(
        self, graph: ContentGraph, docker: DockerHostedSection, options: CollectionOptions
    ) -> None:
        self._graph = graph
        self._docker = docker
        self._options = options
        self.attachments = TagAttachments(graph, TagChoice(docker.immutable_tags))

    def judge(self, paths: Iterable[str]) -> dict[str, Verdict]:
        """Return what becomes of the manifests at these paths, and of those that hold them.

        Nothing is returned for a path where nothing is.
        """
        paths = list(paths)
        closure = self._ascend(paths)
        if closure.is_cut:
            return self._judge_apart(paths)
        verdicts = {
            path: self._judge_alone(node, closure.tags.get(path))
            if path not in closure.attached
            else Verdict(Fate.BY_RULE, "Only tags that belong to a manifest lead to it.")
            for path, node in closure.nodes.items()
        }
        _settle(verdicts, closure.holders)
        return verdicts

    def _judge_apart(self, paths: list[str]) -> dict[str, Verdict]:
        """Judge the halves of what has too many holders together; one that has them alone stays."""
        if len(paths) == 1:
            reason = "Too many manifests hold each other to be examined."
            return dict.fromkeys(self._graph.nodes(paths), Verdict(Fate.HELD, reason))
        half = len(paths) // 2
        return self.judge(paths[:half]) | self.judge(paths[half:])

    def is_young(self, node: GraphNode) -> bool:
        """Return whether something was stored or promised to a client within the grace."""
        return self.young_until(node) > self._options.now

    def is_final(self, node: GraphNode) -> bool:
        """Return whether what is in the trash can no longer be restored."""
        return self.final_at(node) <= self._options.now

    def final_at(self, node: GraphNode) -> float:
        """Return until when what is in the trash can be restored, in seconds since the epoch."""
        return (node.released_at or 0.0) + self._docker.undo_days * DAY_S

    def young_until(self, node: GraphNode) -> float:
        """Return when the grace of something ends, in seconds since the epoch."""
        return relied_on_at(node) + self._options.grace_s

    def _ascend(self, paths: Iterable[str]) -> _Closure:
        closure, wanted = _Closure(), set(paths)
        while wanted:
            found = self._graph.nodes(wanted)
            closure.nodes.update(found)
            tags = self._graph.first_names(found, TAG)
            owners = self.attachments.owners(tags)
            closure.attached |= owners.keys()
            closure.tags.update((path, tag) for path, tag in tags.items() if path not in owners)
            pairs = self._holders_of(found.keys() - closure.tags.keys())
            pairs += [(path, owner, TAG) for path, all_ in owners.items() for owner in all_]
            closure.references += len(pairs)
            if closure.is_cut:
                return closure
            for path, holder, kind in pairs:
                closure.holders[path].append((holder, kind))
            wanted = {holder for _, holder, _ in pairs} - closure.nodes.keys()
        for path, holders in closure.holders.items():
            present = [each for each in holders if each[0] in closure.nodes and each[0] != path]
            closure.holders[path] = present
        return closure

    def _holders_of(self, paths: Iterable[str]) -> list[tuple[str, str, str]]:
        """Return manifests with their indexes and subjects, and the kinds of the references.

        Of more than ``CLOSURE_MAX`` some are missing, but so many that it is seen.
        """
        paths = list(paths)
        if not paths:
            return []
        named = self._graph.named_by(paths, (CHILD,), CLOSURE_MAX + 1)
        subjects = self._graph.names(paths, (SUBJECT,))
        return [
            *((path, source, CHILD) for path, _, source in named),
            *((path, subject, SUBJECT) for path, _, subject in subjects),
        ]

    def _judge_alone(self, node: GraphNode, tag: str | None) -> Verdict:
        """Return what becomes of a manifest if no other one holds it."""
        if tag is not None:
            return Verdict(Fate.HELD, f"The tag {title_of(tag)} leads to it.", holder=tag)
        used_at = max(node.released_at or 0.0, node.updated_at, node.downloaded_at)
        later = self._judge_released(node) or self._judge_by_rule(used_at)
        young_until = self.young_until(node)
        if young_until <= max(self._options.now, later.until or 0.0):
            return later  # Of two reasons, people are told the one that holds for longer.
        reason = "It was pushed, or a client was told that it is here, a short time ago."
        return Verdict(Fate.HELD, reason, young_until)

    def _judge_released(self, node: GraphNode) -> Verdict | None:
        """Return what follows from how a manifest lost its last name; None: nothing."""
        released_at, by = node.released_at, node.released_by or ""
        if released_at is None:
            return None  # It was never named.
        if by == COLLECTION:
            return self._judge_left_behind(node, released_at)
        ago = _ago(self._options.now, released_at)
        until = released_at + self._docker.undo_days * DAY_S
        if until > self._options.now:
            reason = f"It lost its last name {ago}; that can be undone."
            return Verdict(Fate.HELD, reason, until)
        if by in DISMISSED and max(node.updated_at, node.downloaded_at) <= released_at:
            return Verdict(Fate.GOES, f"{DISMISSED[by]} {ago}.")
        return None

    def _judge_left_behind(self, node: GraphNode, released_at: float) -> Verdict | None:
        """Return what becomes of what belonged to something that is gone, if it is not in use."""
        if released_at < node.updated_at:
            return None  # It was pushed again after that.
        days, used_at = self._docker.untagged_days, max(node.updated_at, node.downloaded_at)
        if days is not None and used_at + days * DAY_S > self._options.now:
            return self._judge_by_rule(used_at)
        return Verdict(Fate.GOES, "What it belonged to is gone.")

    def _judge_by_rule(self, used_at: float) -> Verdict:
        """Return what follows from the rule about untagged images."""
        days = self._docker.untagged_days
        if days is None:
            return Verdict(Fate.BY_RULE, "It has no tag, and no rule says that such images go.")
        until = used_at + days * DAY_S
        ago = _ago(self._options.now, used_at)
        reason = f"It has no tag, and was last tagged or pulled {ago}; untagged images stay "
        fate = Fate.IN_USE if until > self._options.now else Fate.GOES
        return Verdict(fate, f"{reason}{pluralize(days, 'day')}.", until)


def _settle(verdicts: dict[str, Verdict], holders: _Holders) -> None:
    """Have manifests hold what belongs to them, and what belongs to none that stays go too."""
    held: _Holders = defaultdict(list)
    for path, pairs in holders.items():
        for holder, kind in pairs:
            held[holder].append((path, kind))
    for fate in (Fate.HELD, Fate.IN_USE, Fate.BY_RULE):
        _spread(verdicts, held, fate)
    waiting = [path for path, each in verdicts.items() if each.fate is Fate.GOES]
    while waiting:
        holder = waiting.pop()
        for path, kind in held[holder]:
            above = {verdicts[each].fate for each, _ in holders[path]}
            if verdicts[path].fate is Fate.BY_RULE and above == {Fate.GOES}:
                reason = f"{_belongs(kind, holder)} That goes."
                verdicts[path] = Verdict(Fate.GOES, reason, holder=holder)
                waiting.append(path)


def _spread(verdicts: dict[str, Verdict], held: _Holders, fate: Fate) -> None:
    """Have what belongs to manifests with a fate share it, if it is higher than its own."""
    waiting = [path for path, each in verdicts.items() if each.fate is fate]
    while waiting:
        holder = waiting.pop()
        for path, kind in held[holder]:
            if verdicts[path].fate < fate:
                verdicts[path] = Verdict(fate, _belongs(kind, holder), holder=holder)
                waiting.append(path)


def _belongs(kind: str, holder: str) -> str:
    if kind == CHILD:
        return f"The index {title_of(holder)} lists it."
    return f"It is attached to {title_of(holder)}."


def _ago(now: float, at: float) -> str:
    days = int((now - at) // DAY_S)
    return f"on {time.strftime('%Y-%m-%d', time.gmtime(at))} ({pluralize(days, 'day')} ago)"


def relied_on_at(node: GraphNode) -> float:
    """Return when something was last stored, or at the latest promised to a client."""
    # A promise may be so much younger than the time that is stored.
    promised_at = node.promised_at + PROMISE_INTERVAL_S if node.promised_at else 0.0
    return max(node.updated_at, promised_at)
