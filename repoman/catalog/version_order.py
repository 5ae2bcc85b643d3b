"""Makes the keys by which versions sort again, where a format sorts them otherwise than before.

The keys are stored with the components, and made by the rules of the format. After an upgrade of
the server or of a plugin these may be others. A fingerprint of the rules tells, so nobody has to
say so: it is made of the keys that they give to versions of all kinds.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from repoman.catalog import version_order_records as records
from repoman.content_rules import ContentRules
from repoman.db.database import Database
from repoman.errors import Unavailable
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

_log = logging.getLogger(__name__)


class Order(NamedTuple):
    """The order of the versions of one repository, and what tells it from others."""

    format: str
    rules: ContentRules
    fingerprint: str


Outdated = dict[int, Order]  # By the ids of repositories.


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
        self._failed: dict[str, str] = {}  # Formats whose rules do not work, until the next start.

    def is_needed(self) -> bool:
        """Return whether there is any such repository, or a failure that no run has told of yet."""
        failed = len(self._failed)
        return bool(self._outdated()) or len(self._failed) > failed

    def _outdated(self) -> Outdated:
        """Return such repositories."""
        known = records.known()
        found = {}
        for each in self._repositories():
            format_, rules = each.config.format, each.rules
            if each.problem is not None or format_ in self._failed:
                continue
            try:
                fingerprint = _fingerprint(rules.version_key, rules.is_prerelease)
            except Exception as error:  # noqa: BLE001 - of a plugin
                self._note_failure(format_, error)
                continue
            if known.get(each.config.id) != fingerprint:
                found[each.config.id] = Order(format_, rules, fingerprint)
        return found

    def _note_failure(self, format_: str, error: Exception) -> None:
        what = f"The format {format_} cannot sort versions"
        _log.error("%s.", what, exc_info=error)
        self._failed[format_] = f"{what}: {type(error).__name__}."

    def run(self, progress: Progress) -> str:
        """Renew all keys, in batches; what was done before it is ended stays so.

        Raises:
            Unavailable: the rules of some formats fail; those of the others were followed.
        """
        outdated = self._outdated()
        with self._database.transaction():
            for id_, order in outdated.items():
                records.begin(id_, order.fingerprint)
        after, last, count = records.reached(outdated), records.highest_component(), 0
        while after is not None and after < last:
            changes = self._changes(outdated, after, after + COMPONENTS_READ)
            after, count = after + COMPONENTS_READ, count + len(changes)
            with self._database.transaction():
                for each in changes:
                    records.renew(*each)
                records.reach(outdated, after)
            progress.progress(min(after, last), last)
            progress.pause(PAUSE_S)
        with self._database.transaction():
            records.reach(outdated, None)
        result = f"{pluralize(count, 'version')} sorted again." if count else ""
        if self._failed:
            raise Unavailable(" ".join(filter(None, [result, *self._failed.values()])))
        return result

    def _changes(self, outdated: Outdated, after: int, until: int) -> list[tuple[str, bool, int]]:
        """Return the keys of components with these ids that have other ones, and their ids.

        Repositories whose rules fail are outdated no longer, but will be after the next start.
        """
        found = []
        for id_, owner, version, *kept in records.list_versions(after, until):
            if owner not in outdated:
                continue
            format_, rules, _ = outdated[owner]
            try:
                order = (rules.version_key(version), rules.is_prerelease(version))
            except Exception as error:  # noqa: BLE001 - of a plugin
                self._note_failure(format_, error)
                for each in [id_ for id_, it in outdated.items() if it.format == format_]:
                    del outdated[each]
                continue
            if order != tuple(kept):
                found.append((*order, id_))
        return found
