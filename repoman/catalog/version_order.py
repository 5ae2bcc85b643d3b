"""Makes the keys by which versions sort again, where a format sorts them otherwise than before.

The keys are stored with the components, and made by the rules of the format. After an upgrade of
the server or of a plugin these may be others. A fingerprint of the rules tells, so nobody has to
say so: it is made of the keys that they give to versions of all kinds.
"""

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache

from repoman.catalog import version_order_records as records
from repoman.content_rules import ContentRules
from repoman.db.database import Database
from repoman.printable import pluralize
from repoman.repositories.model import Repository
from repoman.threads import Progress

COMPONENTS_READ = 1_000  # Components whose keys are compared together, and renewed at once.
PAUSE_S = 0.02  # A pause after each of these, for others who want to write.
RULES_MAX = 100  # Rules whose fingerprints are remembered.
PROBES = (
    *("1", "1.0", "1.0.0", "01.2", "v1.2.3", "1.10", "1.9", "1.0.0.1", "2024.1", "20260101"),
    *("1.0.0-0", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-Beta", "1.0.0-rc.1"),
    *("1.0.0-rc1", "1.0.0-x-y", "1.0.0+1", "1.0.0-1+2", "1.0-SNAPSHOT", "1.0-m3", "1.0-cr2"),
    *("1.0-sp1", "1.0.Final", "1.0-jre", "1-1", "1.0a1", "1.0b2.dev3", "1.0rc1", "1.0.dev1"),
    *("1.0.post1", "1.0.post1.dev2", "1!0.5", "1.0+abc", "1.0+10", "1.0-preview", "latest"),
    *("main", "0a1b2c3", "x86-64", "bookworm-20260101", "1.2.3-alpine3.20", "1" * 300),
)
"""Versions as all kinds of formats write them: orders that differ do so in one of these."""

Outdated = dict[int, tuple[ContentRules, str]]
"""The rules of repositories and their fingerprints, by the ids of the repositories."""


@lru_cache(RULES_MAX)
def _fingerprint(key: Callable[[str], str], is_prerelease: Callable[[str], bool]) -> str:
    """Return a text that differs where rules give another order to versions."""
    found = repr([(key(each), is_prerelease(each)) for each in PROBES])
    return hashlib.sha256(found.encode()).hexdigest()


class VersionOrders:
    """Finds the repositories whose versions have been stored by another order, and renews it.

    Args:
        repositories: returns all of them; those with a problem, such as a format that is not
            installed, are left alone until they work.
    """

    def __init__(
        self, database: Database, repositories: Callable[[], Iterable[Repository]]
    ) -> None:
        self._database = database
        self._repositories = repositories

    def is_needed(self) -> bool:
        """Return whether there is any such repository."""
        return bool(self._outdated())

    def _outdated(self) -> Outdated:
        """Return such repositories."""
        known = records.known()
        found = {}
        for each in self._repositories():
            rules = each.rules
            fingerprint = _fingerprint(rules.version_key, rules.is_prerelease)
            if each.problem is None and known.get(each.config.id) != fingerprint:
                found[each.config.id] = (rules, fingerprint)
        return found

    def run(self, progress: Progress) -> str:
        """Renew all keys, in batches; what was done before it is ended stays so."""
        outdated = self._outdated()
        with self._database.transaction():
            for id_, (_, fingerprint) in outdated.items():
                records.begin(id_, fingerprint)
        after, last, count = records.reached(outdated), records.highest_component(), 0
        while after is not None and after < last:
            changes = _changes(outdated, after, after + COMPONENTS_READ)
            after, count = after + COMPONENTS_READ, count + len(changes)
            with self._database.transaction():
                for each in changes:
                    records.renew(*each)
                records.reach(outdated, after)
            progress.progress(min(after, last), last)
            progress.pause(PAUSE_S)
        with self._database.transaction():
            records.reach(outdated, None)
        return f"{pluralize(count, 'version')} sorted again." if count else ""


def _changes(outdated: Outdated, after: int, until: int) -> list[tuple[str, bool, int]]:
    """Return the keys of components with these ids that have other ones, and their ids."""
    found = []
    for id_, owner, version, *kept in records.list_versions(after, until):
        if owner in outdated:
            rules, _ = outdated[owner]
            order = (rules.version_key(version), rules.is_prerelease(version))
            if order != tuple(kept):
                found.append((*order, id_))
    return found
