"""Cleanup policies and their rows; values in, values out."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from repoman.db.settings_models import CleanupPolicyRecord

ALL_FORMATS = "*"
SORT_BY_DATE = "date"  # The `sort_by` of policies that keep what was stored last; else by version.


@dataclass(frozen=True, slots=True)
class CleanupPolicy:
    """Which components a cleanup removes; a criterion that is None does not count.

    Attributes:
        format: of the repositories that may use it; ``*``: any.
        last_updated_days: only components that were stored at least so many days ago.
        last_downloaded_days: only components that nobody has downloaded for so many days.
        release_type: only ``RELEASES`` or only ``PRERELEASES``.
        asset_regex: only components with an asset whose whole path matches.
        retain: so many of the newest versions stay, of those that the patterns, the path and the
            release type choose.
        sort_by: how versions are ordered for ``retain``.
        name_patterns: only components with such a name; patterns have ``*`` and ``?``.
        version_patterns: only components with such a version.
        keep_names: components with such a name stay.
        keep_versions: components with such a version stay.
    """

    name: str
    format: str = ALL_FORMATS
    notes: str | None = None
    last_updated_days: int | None = None
    last_downloaded_days: int | None = None
    release_type: str | None = None
    asset_regex: str | None = None
    retain: int | None = None
    sort_by: str | None = None
    name_patterns: tuple[str, ...] = ()
    version_patterns: tuple[str, ...] = ()
    keep_names: tuple[str, ...] = ()
    keep_versions: tuple[str, ...] = ()

    @property
    def has_criteria(self) -> bool:
        """Whether it has any criterion; without one it chooses nothing."""
        criteria = (self.last_updated_days, self.last_downloaded_days, self.retain)
        patterns = (self.name_patterns, self.version_patterns, self.asset_regex)
        return any((*criteria, *patterns, self.release_type))

    def fits(self, format_name: str) -> bool:
        """Return whether repositories of a format may use it."""
        return self.format in (ALL_FORMATS, format_name)


FIELDS = tuple(CleanupPolicy.__slots__)
PATTERNS = ("name_patterns", "version_patterns", "keep_names", "keep_versions")
"""The fields that are lists of patterns."""


def find_policy(name: str) -> CleanupPolicy | None:
    """Return the policy with this name, in any case of letters, or None."""
    record = CleanupPolicyRecord.get_or_none(CleanupPolicyRecord.key == name.lower())
    return None if record is None else _policy(record)


def list_policies(names: Iterable[str] | None = None) -> list[CleanupPolicy]:
    """Return all policies by name, or those with these names, in any case of letters."""
    query = CleanupPolicyRecord.select().order_by(CleanupPolicyRecord.key)
    if names is not None:
        query = query.where(CleanupPolicyRecord.key.in_([each.lower() for each in names]))
    return [_policy(each) for each in query]


def save_policy(policy: CleanupPolicy) -> None:
    """Store a policy, in place of one with the same name."""
    CleanupPolicyRecord.replace(key=policy.name.lower(), **asdict(policy)).execute()


def delete_policy(name: str) -> None:
    """Remove a policy."""
    CleanupPolicyRecord.delete().where(CleanupPolicyRecord.key == name.lower()).execute()


def _policy(record: Any) -> CleanupPolicy:
    values = {name: getattr(record, name) for name in FIELDS}
    return CleanupPolicy(**{**values, **{name: tuple(values[name]) for name in PATTERNS}})
