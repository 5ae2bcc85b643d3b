"""Routing rules and their rows; values in, values out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from repoman.db.settings_models import RoutingRuleRecord
from repoman.patterns import find_pattern


class RoutingMode(StrEnum):
    """What the matchers of a routing rule do."""

    ALLOW = "allow"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """A rule that repositories use by its name.

    Attributes:
        matchers: regular expressions; one of them has to match a whole path.
    """

    name: str
    mode: RoutingMode
    matchers: tuple[str, ...]
    description: str = ""

    def allows(self, paths: Iterable[str]) -> bool:
        """Return whether something may be requested that has all of these paths."""
        return is_allowed(self.mode, self.matchers, paths)


def is_allowed(mode: RoutingMode, matchers: Sequence[str], paths: Iterable[str]) -> bool:
    """Return whether matchers let something through that has all of these paths or names."""
    patterns = [find_pattern(each) for each in matchers]
    is_matched = any(pattern.matches(path) for path in paths for pattern in patterns)
    return is_matched is (mode is RoutingMode.ALLOW)


def find_rule(name: str) -> RoutingRule | None:
    """Return the rule with this name, in any case of letters, or None."""
    record = RoutingRuleRecord.get_or_none(RoutingRuleRecord.key == name.lower())
    return None if record is None else _rule(record)


def list_rules() -> list[RoutingRule]:
    """Return all rules by name."""
    return [_rule(each) for each in RoutingRuleRecord.select().order_by(RoutingRuleRecord.key)]


def save_rule(rule: RoutingRule) -> None:
    """Store a rule, in place of one with the same name."""
    RoutingRuleRecord.replace(
        key=rule.name.lower(),
        name=rule.name,
        description=rule.description,
        mode=rule.mode.value,
        matchers=list(rule.matchers),
    ).execute()


def delete_rule(name: str) -> None:
    """Remove a rule."""
    RoutingRuleRecord.delete().where(RoutingRuleRecord.key == name.lower()).execute()


def _rule(record: Any) -> RoutingRule:
    return RoutingRule(
        name=record.name,
        mode=RoutingMode(record.mode),
        matchers=tuple(record.matchers),
        description=record.description,
    )
