"""Routing rules: named rules on paths, which proxies and groups use."""

from collections import Counter
from dataclasses import replace
from typing import Any

from repoman.db.database import Database
from repoman.errors import Conflict, Invalid, NotFound
from repoman.patterns import EXPRESSIONS_MAX
from repoman.repositories import repository_records
from repoman.repositories import routing_records as records
from repoman.repositories.checks import check_expression, check_name
from repoman.repositories.manager import RepositoryManager
from repoman.repositories.routing_records import RoutingRule

NO_RULE = "none"  # What users read where a repository has no rule, so no rule may be called so.


class RoutingRules:
    """All routing rules; thread safe. Letters of their names have no case."""

    def __init__(self, database: Database, repositories: RepositoryManager) -> None:
        self._database = database
        self._repositories = repositories

    def all(self) -> list[RoutingRule]:
        """Return all rules by name."""
        return records.list_rules()

    def get(self, name: str) -> RoutingRule:
        """Return a rule.

        Raises:
            NotFound: there is none with this name.
        """
        rule = records.find_rule(name)
        if rule is None:
            raise NotFound(f"There is no routing rule {name!r}.")
        return rule

    def count_uses(self) -> Counter[str]:
        """Return how many repositories use each rule, by its name in lower case."""
        return Counter(row.routing_rule.lower() for row in repository_records.list_rows())

    def create(self, rule: RoutingRule) -> None:
        """Create a rule.

        Raises:
            Invalid: its name is taken or not valid, or a matcher is not.
        """
        _check(rule)
        with self._database.transaction():
            self._check_is_free(rule.name)
            records.save_rule(rule)
            self._note("create", rule.name, rule)

    def change(self, name: str, rule: RoutingRule) -> None:
        """Put a rule in the place of another one, which may have another name.

        Repositories that use it follow, also in the processes that serve them.

        Raises:
            NotFound: there is none with this name.
            Conflict: the new name is taken.
            Invalid: the new name is not valid, or a matcher is not.
        """
        _check(rule)
        with self._database.transaction():
            old = self.get(name)
            if rule.name.lower() != old.name.lower():
                self._check_is_free(rule.name)
            if rule.name != old.name:
                self._rename(old.name, rule.name)
            records.save_rule(rule)
            self._note("change", old.name, rule)
        self._repositories.refresh()

    def delete(self, name: str) -> None:
        """Remove a rule.

        Raises:
            NotFound: there is none with this name.
            Invalid: a repository uses it.
        """
        with self._database.transaction():
            rule = self.get(name)
            users = self._users(rule.name)
            if users:
                named = ", ".join(row.name for row in users)
                raise Invalid(
                    f"The routing rule {rule.name!r} is still used by {len(users)} repositories: "
                    f"{named}."
                )
            records.delete_rule(rule.name)
            self._database.note_change("routing-rule.delete", rule.name)

    def _users(self, name: str) -> list[repository_records.Row]:
        rows = repository_records.list_rows()
        return [row for row in rows if row.routing_rule.lower() == name.lower()]

    def _rename(self, old: str, new: str) -> None:
        for row in self._users(old):
            repository_records.update_row(row.with_setting("routing", "rule", new))
        records.delete_rule(old)

    def _check_is_free(self, name: str) -> None:
        if records.find_rule(name) is not None:
            raise Conflict(f"name: a routing rule named {name!r} already exists.", field="name")

    def _note(self, verb: str, target: str, rule: RoutingRule) -> None:
        told = {"mode": rule.mode.value, "matchers": " ".join(rule.matchers)}
        if rule.name != target:
            told["name"] = rule.name
        self._database.note_change(f"routing-rule.{verb}", target, **told)


def _check(rule: RoutingRule) -> None:
    """Return if a rule can be stored (Invalid)."""
    check_name("routing rule", rule.name)
    if rule.name.lower() == NO_RULE:
        raise Invalid(f"name: a routing rule cannot be named {rule.name!r}.", field="name")
    if not rule.matchers:
        raise Invalid("matchers: there must be at least one matcher.", field="matchers")
    if len(rule.matchers) > EXPRESSIONS_MAX:
        raise Invalid(f"matchers: there are more than {EXPRESSIONS_MAX}.", field="matchers")
    for number, matcher in enumerate(rule.matchers):
        check_expression(f"matchers[{number}]", matcher)


def merge_rule(rule: RoutingRule, **changes: Any) -> RoutingRule:
    """Return a rule with changes; what is None stays."""
    return replace(rule, **{key: value for key, value in changes.items() if value is not None})
