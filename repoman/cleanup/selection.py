"""What the policies of a repository choose in it, component by component."""

from array import array
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby, islice
from operator import attrgetter
from typing import NamedTuple

from repoman.catalog import records as catalog_records
from repoman.cleanup import candidate_records as records
from repoman.cleanup.candidate_records import Candidate
from repoman.cleanup.rule import Rule, Verdict
from repoman.content_rules import of_nothing
from repoman.events.event import Coordinate
from repoman.repositories.cleanup_records import CleanupPolicy
from repoman.repositories.model import Repository

LastKept = dict[tuple[int | None, str], tuple[str | float, int]]
"""By package and kind, the position of the last one of the newest versions, which stay."""


class Opinion(NamedTuple):
    """What one policy says of a component; ``rank`` is its number among the versions, if known."""

    rule: Rule
    verdict: Verdict
    rank: int | None = None


class Judgement(NamedTuple):
    """What all policies say of a component, which goes if any of them chooses it.

    Attributes:
        chosen_by: the first policy that chooses it; None: it stays.
        protection: why it stays all the same; empty: nothing protects it.
    """

    candidate: Candidate
    opinions: list[Opinion]
    chosen_by: Opinion | None = None
    protection: str = ""

    def explain(self) -> str:
        """Return in a sentence whether the component goes, and why."""
        if self.protection:
            return f"kept: {self.protection.removesuffix('.')}"
        chosen = self.chosen_by
        if chosen is not None:
            return f"goes: {self._worded(chosen)}"
        return f"kept: {'; '.join(map(self._worded, self.opinions))}"

    def _worded(self, opinion: Opinion) -> str:
        text = opinion.rule.explain(self.candidate, opinion.verdict, opinion.rank)
        return text if len(self.opinions) == 1 else f"{text} ({opinion.rule.policy.name})"


class Selection:
    """What policies choose in one repository at a point in time.

    Args:
        now: seconds since the epoch.
    """

    def __init__(
        self,
        repository: Repository,
        policies: Iterable[CleanupPolicy],
        now: float,
    ) -> None:
        self._repository = repository
        self._id = repository.config.id
        is_collected = repository.capabilities.collector is not None
        self._owner_of = repository.rules.owner_of if is_collected else of_nothing
        self._rules = [Rule(each, repository.rules, now) for each in policies]
        self._needs_assets = any(each.needs_assets for each in self._rules)
        self._protection = repository.capabilities.protection
        self._kinds: tuple[str, ...] = repository.rules.component_kinds

    def judge_all(self) -> Generator[Judgement]:
        """Yield the judgement of each component: package by package, the newest version first.

        The order of the versions is that of the first policy.
        """
        if not self._rules:
            return
        order = self._rules[0].order
        rules = [
            (each, None if each.order == order else self._last_kept(each)) for each in self._rules
        ]
        for package, candidates in groupby(self._read(order), key=attrgetter("package")):
            counts: Counter[tuple[Rule, str]] = Counter()
            for candidate in candidates:
                if owner := self._owner(candidate):
                    belongs = f"belongs to {owner}, and goes with it"
                    yield Judgement(candidate, [], protection=belongs)
                    continue
                if package is None:
                    counts.clear()
                opinions = [
                    _rank(rule, candidate, counts)
                    if last is None
                    else _compare(rule, candidate, last)
                    for rule, last in rules
                ]
                yield self._judgement(candidate, opinions)

    def choose(self, watch: Callable[[int], None]) -> "array[int]":
        """Return the ids of the components that go.

        ``watch`` is called now and then with the number of components that were judged.
        """
        chosen = array("q")
        with closing(self.judge_all()) as judgements:
            for number, each in enumerate(judgements):
                if number % 1000 == 0:
                    watch(number)
                if each.chosen_by is not None:
                    chosen.append(each.candidate.id)
        return chosen

    def still_chosen(self, ids: Sequence[int]) -> list[Judgement]:
        """Return the judgements of those of the components that still go, as they are now."""
        found = records.list_candidates(ids, with_assets=self._needs_assets)
        candidates = [each for each in found if not self._owner(each)]
        kept = [self._last_kept_of(each, candidates) for each in self._rules]
        judgements = [
            self._judgement(
                each,
                [_compare(rule, each, last) for rule, last in zip(self._rules, kept, strict=True)],
            )
            for each in candidates
        ]
        return [each for each in judgements if each.chosen_by is not None]

    # Inside -------------------------------------------------------------------------------------

    def _read(self, order: str) -> Generator[Candidate]:
        id_ = self._repository.config.id
        kinds = self._kinds or tuple(catalog_records.list_kinds(id_))
        return records.read_candidates(id_, kinds, order, with_assets=self._needs_assets)

    def _judgement(self, candidate: Candidate, opinions: list[Opinion]) -> Judgement:
        for each in opinions:
            if each.verdict is Verdict.GOES:
                why = self._protection and self._protection(coordinate_of(candidate))
                return Judgement(candidate, opinions, None if why else each, why or "")
        return Judgement(candidate, opinions)

    def _owner(self, candidate: Candidate) -> str:
        """Return the name of what a component belongs to, and is left to; empty: to nothing."""
        path = self._owner_of(candidate.kind, candidate.name, candidate.version)
        return path.rpartition("/")[2] if path and records.has_asset(self._id, path) else ""

    def _judged(self, versions: Iterable[Candidate]) -> Iterator[Candidate]:
        """Yield those that are not left to something else, and so count."""
        return (each for each in versions if not self._owner(each))

    def _last_kept(self, rule: Rule) -> LastKept:
        """Return the last of the newest versions of each package that has more, in one scan."""
        found: LastKept = {}
        if rule.retain is not None:
            for package, versions in groupby(self._read(rule.order), key=attrgetter("package")):
                if package is not None:
                    found.update(_find_last_kept(rule, self._judged(versions)))
        return found

    def _last_kept_of(self, rule: Rule, candidates: Iterable[Candidate]) -> LastKept:
        """Return the same of the packages of some components; no more is read than needed."""
        if rule.retain is None:
            return {}
        found: LastKept = {}
        packages = {(each.package, each.kind) for each in candidates if each.package is not None}
        for package, kind in packages:
            reader = records.read_package(package, kind, rule.order, with_assets=self._needs_assets)
            with closing(reader) as versions:
                found.update(islice(_find_last_kept(rule, self._judged(versions)), 1))
        return found


def coordinate_of(candidate: Candidate) -> Coordinate:
    """Return the coordinate of a component."""
    return Coordinate(candidate.kind, candidate.name, candidate.version, candidate.namespace)


def _find_last_kept(
    rule: Rule, versions: Iterable[Candidate]
) -> Iterator[tuple[tuple[int | None, str], tuple[str | float, int]]]:
    """Yield the last one of the newest versions of each kind in a package, if it has as many."""
    counts: Counter[str] = Counter()
    for each in versions:
        if rule.scope(each) is None:
            counts[each.kind] += 1
            if counts[each.kind] == rule.retain:
                yield (each.package, each.kind), _position(rule, each)


def _position(rule: Rule, candidate: Candidate) -> tuple[str | float, int]:
    order = candidate.updated_at if rule.order == records.BY_DATE else candidate.version_key
    return order, candidate.id


def _rank(rule: Rule, candidate: Candidate, counts: Counter[tuple[Rule, str]]) -> Opinion:
    """Return what a rule says of the next component of its package, newest first."""
    verdict = rule.scope(candidate)
    if verdict is not None:
        return Opinion(rule, verdict)
    key = rule, candidate.kind
    counts[key] = rank = counts[key] + 1
    is_newest = rule.retain is not None and rank <= rule.retain
    return Opinion(rule, rule.judge(candidate, is_newest=is_newest), rank)


def _compare(rule: Rule, candidate: Candidate, kept: LastKept) -> Opinion:
    """Return what a rule says of a component, given the last ones that stay by its order."""
    verdict = rule.scope(candidate)
    if verdict is not None:
        return Opinion(rule, verdict)
    last = kept.get((candidate.package, candidate.kind))
    is_newest = rule.retain is not None and (
        candidate.package is None or last is None or _position(rule, candidate) >= last
    )
    return Opinion(rule, rule.judge(candidate, is_newest=is_newest))
