"""What one cleanup policy decides about a component, and why."""

import json
from collections.abc import Callable, Iterable
from enum import Enum, auto

from repoman.cleanup.candidate_records import BY_DATE, BY_VERSION, Candidate
from repoman.clocks import DAY_S
from repoman.content_rules import ContentRules
from repoman.patterns import TEXT_MAX_CHARS, find_pattern, wildcards_expression
from repoman.repositories.cleanup_records import SORT_BY_DATE, CleanupPolicy

TOLD_PATTERNS = 3  # So many patterns are named in an explanation.

Fits = Callable[[str], bool]


class Verdict(Enum):
    """What a policy decides: the component goes, or it stays for one reason."""

    GOES = auto()
    NO_CRITERIA = auto()
    OTHER_NAME = auto()  # The policy is about components with other names, versions …
    OTHER_VERSION = auto()
    OTHER_TYPE = auto()
    OTHER_PATH = auto()
    KEPT_NAME = auto()
    KEPT_VERSION = auto()
    STORED_LATELY = auto()
    PULLED_LATELY = auto()
    NEWEST = auto()


class Rule:
    """A policy at a point in time, in a repository whose content has these rules.

    Names, versions, the release type and the path say what the policy is about, and keep patterns
    what it never removes. Of the rest, the newest versions of each package stay; of the others, old
    ones go.

    Args:
        now: seconds since the epoch.

    Attributes:
        order: what the versions of a package have to be ordered by.
        needs_assets: whether candidates have to come with their assets.
    """

    def __init__(self, policy: CleanupPolicy, rules: ContentRules, now: float) -> None:
        self.policy = policy
        self.order = BY_DATE if policy.sort_by == SORT_BY_DATE else BY_VERSION
        self.retain = policy.retain
        self.needs_assets = policy.asset_regex is not None
        self._rules = rules
        self._now = now
        self._otherwise = None if policy.has_criteria else Verdict.NO_CRITERIA
        self._fits_name = _one_of(policy.name_patterns)
        self._fits_version = _one_of(policy.version_patterns)
        self._keeps_name = _one_of(policy.keep_names)
        self._keeps_version = _one_of(policy.keep_versions)
        self._fits_path = find_pattern(policy.asset_regex).matches if policy.asset_regex else None
        self._is_prerelease = {"PRERELEASES": True, "RELEASES": False}.get(
            policy.release_type or ""
        )
        self._stored_before = _ago(now, policy.last_updated_days)
        self._pulled_before = _ago(now, policy.last_downloaded_days)

    def scope(self, candidate: Candidate) -> Verdict | None:
        """Return why the policy is not about a component; None: it is, and may remove it."""
        if self._fits_name and not self._fits_name(candidate.name):
            return Verdict.OTHER_NAME
        if self._fits_version and not self._fits_version(candidate.version):
            return Verdict.OTHER_VERSION
        if self._is_prerelease is not None and candidate.is_prerelease != self._is_prerelease:
            return Verdict.OTHER_TYPE
        if self._fits_path and not any(map(self._fits_path, self._paths(candidate))):
            return Verdict.OTHER_PATH
        if self._keeps_name and self._keeps_name(candidate.name):
            return Verdict.KEPT_NAME
        if self._keeps_version and self._keeps_version(candidate.version):
            return Verdict.KEPT_VERSION
        return self._otherwise

    def judge(self, candidate: Candidate, *, is_newest: bool) -> Verdict:
        """Return the verdict about a component that the policy is about.

        ``is_newest`` says whether it is among the newest versions that stay.
        """
        if self._stored_before is not None and candidate.updated_at > self._stored_before:
            return Verdict.STORED_LATELY
        # What was never pulled is as old as it is.
        pulled_at = candidate.downloaded_at or candidate.updated_at
        if self._pulled_before is not None and pulled_at > self._pulled_before:
            return Verdict.PULLED_LATELY
        return Verdict.NEWEST if is_newest else Verdict.GOES

    def _paths(self, candidate: Candidate) -> list[str]:
        path_of = self._rules.asset_path
        return [path_of(kind, path) for kind, path in json.loads(candidate.assets)]

    # In words -----------------------------------------------------------------------------------

    def explain(self, candidate: Candidate, verdict: Verdict, rank: int | None) -> str:
        """Return why a component goes or stays, as a part of a sentence.

        ``rank`` is its number among the versions that the policy may remove, newest first, if it is
        known.
        """
        if verdict is Verdict.GOES:
            return ", ".join(self._reasons(candidate, rank))
        if verdict in (Verdict.STORED_LATELY, Verdict.PULLED_LATELY, Verdict.NEWEST):
            return self._why_young(candidate, verdict, rank)
        return self._why_other(candidate, verdict)

    def _why_young(self, candidate: Candidate, verdict: Verdict, rank: int | None) -> str:
        if verdict is Verdict.NEWEST:
            return self._ranked(rank)
        if verdict is Verdict.PULLED_LATELY:
            return self._pulled(candidate)
        return f"stored {self._age(candidate.updated_at)}"

    def _why_other(self, candidate: Candidate, verdict: Verdict) -> str:
        policy, version = self.policy, candidate.version
        kept_name = _matching(policy.keep_names, candidate.name)
        kept_version = _matching(policy.keep_versions, version)
        return {
            Verdict.NO_CRITERIA: "the policy has no criteria",
            Verdict.OTHER_NAME: f"its name does not match {_told(policy.name_patterns)}",
            Verdict.OTHER_VERSION: f"{version or 'it'} does not match "
            f"{_told(policy.version_patterns)}",
            Verdict.OTHER_TYPE: _type_of(candidate),
            Verdict.OTHER_PATH: f"its path does not match {policy.asset_regex}",
            Verdict.KEPT_NAME: f"matches keep pattern {kept_name}",
            Verdict.KEPT_VERSION: f"matches keep pattern {kept_version}",
        }[verdict]

    def _reasons(self, candidate: Candidate, rank: int | None) -> Iterable[str]:
        """Yield why a component goes: all criteria of the policy, as it meets them."""
        policy = self.policy
        if policy.name_patterns:
            yield f"its name matches {_matching(policy.name_patterns, candidate.name)}"
        if policy.version_patterns:
            yield f"matches {_matching(policy.version_patterns, candidate.version)}"
        if policy.release_type:
            yield _type_of(candidate)
        if policy.asset_regex:
            yield f"its path matches {policy.asset_regex}"
        is_told = policy.last_downloaded_days and not candidate.downloaded_at
        if policy.last_updated_days and not is_told:
            yield f"stored {self._age(candidate.updated_at)}"
        if policy.last_downloaded_days:
            yield self._pulled(candidate)
        if policy.retain:
            yield self._ranked(rank)

    def _pulled(self, candidate: Candidate) -> str:
        if candidate.downloaded_at:
            return f"pulled {self._age(candidate.downloaded_at)}"
        return f"never pulled, stored {self._age(candidate.updated_at)}"

    def _ranked(self, rank: int | None) -> str:
        kept = self.retain or 0
        are = "is" if kept == 1 else "are"
        if rank is None:
            return f"{kept} {are} kept by {'date' if self.order == BY_DATE else 'version'}"
        return f"{_ordinal(rank)} newest, {kept} {are} kept"

    def _age(self, at: float) -> str:
        days = max(0, int((self._now - at) // DAY_S))
        return {0: "today", 1: "1 day ago"}.get(days, f"{days} days ago")


def _ago(now: float, days: int | None) -> float | None:
    return None if days is None else now - days * DAY_S


def _one_of(patterns: tuple[str, ...]) -> Fits | None:
    """Return what tells whether a text matches one of the patterns; None: there are none."""
    if not patterns:
        return None
    # Nearly all have a * at most at their end. Comparing takes a fifth of the time of RE2, and is
    # done for each of very many versions.
    beginnings = tuple(each[:-1] for each in patterns if each.endswith("*"))
    whole = frozenset(each for each in patterns if not each.endswith("*"))
    if any(sign in each for each in (*beginnings, *whole) for sign in "*?\n"):
        return find_pattern("|".join(map(wildcards_expression, patterns))).matches

    def fits(text: str) -> bool:
        is_one = text in whole or text.startswith(beginnings)
        return is_one and len(text) <= TEXT_MAX_CHARS and "\n" not in text

    return fits


def _matching(patterns: tuple[str, ...], text: str) -> str:
    """Return the first pattern that a text matches."""
    return next(
        (each for each in patterns if find_pattern(wildcards_expression(each)).matches(text)), ""
    )


def _type_of(candidate: Candidate) -> str:
    return "pre-release" if candidate.is_prerelease else "release"


def _told(patterns: tuple[str, ...]) -> str:
    more = len(patterns) - TOLD_PATTERNS
    return " or ".join(patterns[:TOLD_PATTERNS]) + (f" or {more} more" if more > 0 else "")


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
