"""Cleanup policies: which components of a repository a cleanup removes."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, replace

from repoman.db.database import Database
from repoman.errors import Conflict, Invalid, NotFound
from repoman.repositories import cleanup_records as records
from repoman.repositories import repository_records
from repoman.repositories.checks import check_expression, check_name
from repoman.repositories.cleanup_records import ALL_FORMATS, PATTERNS, CleanupPolicy
from repoman.repositories.manager import RepositoryManager

RELEASE_TYPES = ("RELEASES", "PRERELEASES")
ORDERS = ("version", records.SORT_BY_DATE)  # What `sort_by` may be.
DAYS_MAX = 36_500  # The largest age that a criterion may have.
RETAIN_MAX = 1_000_000  # The largest number of versions that may have to stay.
PATTERNS_MAX = 50  # Patterns in one list of a policy.
PATTERN_MAX_CHARS = 200


class CleanupPolicies:
    """All cleanup policies; thread safe. Letters of their names have no case.

    Args:
        formats: the names of the installed formats.
    """

    def __init__(
        self, database: Database, repositories: RepositoryManager, formats: Collection[str]
    ) -> None:
        self._database = database
        self._repositories = repositories
        self._formats = frozenset(formats)

    def formats(self) -> list[str]:
        """Return what the format of a policy may be: any, or one that is installed."""
        return [ALL_FORMATS, *sorted(self._formats)]

    def all(self) -> list[CleanupPolicy]:
        """Return all policies by name."""
        return records.list_policies()

    def named(self, names: Iterable[str]) -> list[CleanupPolicy]:
        """Return those with these names, by name; names of none are left out."""
        return records.list_policies(names)

    def get(self, name: str) -> CleanupPolicy:
        """Return a policy.

        Raises:
            NotFound: there is none with this name.
        """
        policy = records.find_policy(name)
        if policy is None:
            raise NotFound(f"There is no cleanup policy {name!r}.")
        return policy

    def count_uses(self) -> Counter[str]:
        """Return how many repositories use each policy, by its name in lower case."""
        rows = repository_records.list_rows()
        return Counter(name for row in rows for name in _names_of(row))

    def create(self, policy: CleanupPolicy) -> CleanupPolicy:
        """Create a policy and return it.

        Raises:
            Conflict: its name is taken.
            Invalid: its name or a criterion is not valid; ``field`` is its attribute.
        """
        check_name("cleanup policy", policy.name)
        self.check(policy)
        with self._database.transaction():
            if records.find_policy(policy.name) is not None:
                raise Conflict(
                    f"name: a cleanup policy named {policy.name!r} already exists.", field="name"
                )
            records.save_policy(policy)
            self._note("create", policy, records.FIELDS)
        return policy

    def change(self, name: str, policy: CleanupPolicy) -> CleanupPolicy:
        """Give a policy other criteria and return it; its name stays.

        Raises:
            NotFound: there is none with this name.
            Invalid: a criterion is not valid, or the format would change while it is used.
        """
        self.check(policy)
        with self._database.transaction():
            old = self.get(name)
            new = replace(policy, name=old.name)
            if new.format != old.format and self.count_uses()[old.name.lower()]:
                raise Invalid(
                    f"format: the format of {old.name} cannot change while repositories use it.",
                    field="format",
                )
            records.save_policy(new)
            before, after = asdict(old), asdict(new)
            self._note("change", new, [key for key in after if before[key] != after[key]])
        return new

    def delete(self, name: str) -> None:
        """Remove a policy, also from the repositories that use it.

        Raises:
            NotFound: there is none with this name.
        """
        with self._database.transaction():
            policy = self.get(name)
            key = policy.name.lower()
            users = [row for row in repository_records.list_rows() if key in _names_of(row)]
            for row in users:
                kept = [each for each in row.cleanup_policies if each.lower() != key]
                changed = row.with_setting("cleanup", "policy_names", kept)
                repository_records.update_row(changed)
            records.delete_policy(policy.name)
            told = {"repositories": " ".join(row.name for row in users)} if users else {}
            self._database.note_change("cleanup-policy.delete", policy.name, **told)
        self._repositories.refresh()

    def check(self, policy: CleanupPolicy) -> None:
        """Return if the criteria are valid.

        Raises:
            Invalid: they are not; ``field`` is the attribute.
        """
        if policy.format not in (ALL_FORMATS, *self._formats):
            known = ", ".join(self.formats())
            raise Invalid(
                f"format: {policy.format!r} is not a format; choose one of: {known}.",
                field="format",
            )
        for field in ("last_updated_days", "last_downloaded_days"):
            days = getattr(policy, field)
            if days is not None and not 1 <= days <= DAYS_MAX:
                raise Invalid(f"{field}: must be from 1 to {DAYS_MAX} days.", field=field)
        _check_choice("release_type", policy.release_type, RELEASE_TYPES)
        _check_choice("sort_by", policy.sort_by, ORDERS)
        if policy.retain is not None and not 1 <= policy.retain <= RETAIN_MAX:
            raise Invalid(f"retain: must be from 1 to {RETAIN_MAX}.", field="retain")
        if policy.asset_regex:
            check_expression("asset_regex", policy.asset_regex)
        for field in PATTERNS:
            _check_patterns(field, getattr(policy, field))

    def _note(self, verb: str, policy: CleanupPolicy, keys: Collection[str]) -> None:
        values = asdict(policy)
        empty = {key for key in keys if values[key] in (None, ())}
        told = {key: _told(values[key]) for key in keys if key != "name" and key not in empty}
        removed = " ".join(key for key in keys if verb == "change" and key in empty)
        if removed:
            told["removed"] = removed
        self._database.note_change(f"cleanup-policy.{verb}", policy.name, **told)


def _told(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _check_choice(field: str, value: str | None, known: tuple[str, ...]) -> None:
    if value not in (None, *known):
        raise Invalid(f"{field}: must be {' or '.join(known)}.", field=field)


def _check_patterns(field: str, patterns: tuple[str, ...]) -> None:
    if len(patterns) > PATTERNS_MAX:
        raise Invalid(f"{field}: has more than {PATTERNS_MAX} patterns.", field=field)
    for each in patterns:
        if not each or len(each) > PATTERN_MAX_CHARS or not each.isprintable():
            raise Invalid(
                f"{field}: {each[:50]!r} is not a valid pattern; use 1 to {PATTERN_MAX_CHARS} "
                "printable characters, of which * stands for any characters and ? for one.",
                field=field,
            )


def _names_of(row: repository_records.Row) -> set[str]:
    return {each.lower() for each in row.cleanup_policies}
