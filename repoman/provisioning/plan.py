"""Exports the configuration of a server, and applies a file to it.

Everything that one transaction can hold is one: a file is applied as a whole or not at all. Only
what takes transactions of its own, such as the deletion of users, follows after it; if that is
interrupted, applying the file again does the rest.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import SecretStr

from repoman.core import Repoman
from repoman.errors import Conflict, Invalid, NotFound, RepomanError
from repoman.provisioning.documents import Secrets, references
from repoman.provisioning.kind import Kind, State, mapping
from repoman.provisioning.kinds import OptionSections, Repositories, TaskObjects
from repoman.provisioning.policy_kinds import (
    BlobStoreObjects,
    CleanupPolicyObjects,
    RoutingRuleObjects,
)
from repoman.provisioning.security_kinds import (
    ContentSelectors,
    CustomPrivileges,
    CustomRoles,
    LdapServerObjects,
    LocalUsers,
    TrustedCertificates,
)

VERSION = 1  # of the form of the file
KINDS: tuple[type[Kind], ...] = (
    BlobStoreObjects,
    ContentSelectors,
    RoutingRuleObjects,
    CleanupPolicyObjects,
    TrustedCertificates,
    Repositories,
    CustomPrivileges,
    CustomRoles,
    LocalUsers,
    LdapServerObjects,
    OptionSections,
    TaskObjects,
)


class What(StrEnum):
    """What a change does."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between a file and a server."""

    what: What
    kind: Kind
    name: str
    old: State
    new: State

    @property
    def is_first(self) -> bool:
        """Whether it comes before the transaction of the others."""
        return self.what is What.CREATE and self.kind.creates_alone

    @property
    def is_last(self) -> bool:
        """Whether it comes after the transaction of the others, in its own."""
        return self.what is What.DELETE and self.kind.deletes_alone

    def run(self) -> None:
        """Make it; errors are those of the service."""
        if self.what is What.CREATE:
            self.kind.create(self.name, self.new)
        elif self.what is What.CHANGE:
            self.kind.change(self.name, self.old, self.new)
        else:
            self._delete()

    def _delete(self) -> None:
        try:
            self.kind.delete(self.name)
        except NotFound:
            return  # It went with something that it belonged to.

    def values(self) -> list[tuple[str, Any, Any]]:
        """Return the path, the old and the new value of everything that differs.

        Only of changes. Secrets are :class:`~pydantic.SecretStr`.
        """
        if self.what is not What.CHANGE:
            return []
        old, new = dict(_leaves(self.old)), dict(_leaves(self.new))
        return [
            (path, old.get(path), new.get(path))
            for path in dict.fromkeys((*old, *new))
            if old.get(path) != new.get(path)
        ]


@dataclass(frozen=True, slots=True)
class Applied:
    """What was applied, or would be.

    Attributes:
        skipped: objects that cannot be read here, and were left alone, as texts.
    """

    changes: tuple[Change, ...]
    skipped: tuple[str, ...] = ()


class _DryRun(Exception):
    """Takes the transaction of a dry run back."""


class Provisioning:
    """Reads the configuration of a server as a document, and applies documents to it.

    Args:
        secrets: the values of the secrets that documents refer to.
    """

    def __init__(self, repoman: Repoman, secrets: Secrets | None = None) -> None:
        self._repoman = repoman
        self._kinds = {each.section: each(repoman, secrets or Secrets({})) for each in KINDS}

    def export(self, *, is_full: bool = False) -> tuple[dict[str, Any], list[str]]:
        """Return the document, and the objects that it had to leave out, as texts.

        Instead of secrets it has references. Settings with their default values are left out,
        unless it is to be full.
        """
        document: dict[str, Any] = {"version": VERSION}
        taken: set[str] = set()
        for section, kind in self._kinds.items():
            states = kind.present()
            document[section] = {
                name: references(
                    state if is_full else kind.shorten(name, state), f"{kind.noun} {name}", taken
                )
                for name, state in states.items()
            }
        return document, self._skipped(self._kinds)

    def apply(
        self, document: Mapping[str, Any], *, prune: bool = False, dry_run: bool = False
    ) -> Applied:
        """Make the server what a document says; return the changes.

        Objects that the document does not mention stay as they are. With ``prune`` they are
        deleted, in the sections that the document has. A dry run makes the changes in a
        transaction and takes them back; if blob stores would have to be created first, it only
        compares.

        Raises:
            Invalid: the document is wrong, or the server refuses a part of it: nothing was
                changed, but for blob stores that were created first.
        """
        self._check_sections(document)
        first = [each for each in self._plan(document, prune=False) if each.is_first]
        if dry_run and first:
            return self._applied(document, self._plan(document, prune=prune))
        self._run(first)
        changes = self._change(document, prune=prune, dry_run=dry_run)
        if not dry_run:
            self._run([each for each in reversed(changes) if each.is_last])
        return self._applied(document, [*first, *changes])

    def _change(self, document: Mapping[str, Any], *, prune: bool, dry_run: bool) -> list[Change]:
        """Make all changes that fit into one transaction, and return all that there are."""
        changes: list[Change] = []
        try:
            with self._repoman.database.transaction():
                self._repoman.repositories.refresh()
                changes = self._plan(document, prune=prune)
                self._run([each for each in changes if not each.is_last])
                if dry_run:
                    raise _DryRun
        except _DryRun:
            return changes
        finally:
            self._repoman.repositories.refresh()  # What was taken back was in its snapshot.
        return changes

    def _applied(self, document: Mapping[str, Any], changes: list[Change]) -> Applied:
        return Applied(tuple(changes), tuple(self._skipped(document)))

    def _check_sections(self, document: Mapping[str, Any]) -> None:
        version = document.get("version", VERSION)
        if version != VERSION:
            raise Invalid(f"version: this program reads version {VERSION}, not {version!r}.")
        for section in sorted(document.keys() - self._kinds - {"version"}):
            guess = difflib.get_close_matches(section, self._kinds, 1)
            known = f"did you mean {guess[0]}?" if guess else f"use {', '.join(self._kinds)}."
            raise Invalid(f"{section}: there is no such section; {known}", section)

    def _skipped(self, sections: Iterable[str]) -> list[str]:
        return [
            f"{self._kinds[section].noun} {name}"
            for section in sections
            if section in self._kinds
            for name in self._kinds[section].skipped()
        ]

    def _plan(self, document: Mapping[str, Any], *, prune: bool) -> list[Change]:
        """Return the differences, in the order of the sections (Invalid: all that is wrong)."""
        changes: list[Change] = []
        problems: list[str] = []
        for section, kind in self._kinds.items():
            if section not in document:
                continue
            present, entries = kind.present(), mapping(document[section], section)
            for name, values in entries.items():
                try:
                    changes += _compare(kind, name, values, present.get(name))
                except RepomanError as error:
                    problems.append(_placed(kind, name, error))
            if prune and not kind.is_fixed:
                changes += [
                    Change(What.DELETE, kind, name, state, {})
                    for name, state in present.items()
                    if name not in entries and not kind.is_kept(name, state)
                ]
        if problems:
            raise Invalid("\n".join(problems))
        return changes

    def _run(self, changes: list[Change]) -> None:
        """Make changes; one that needs another one of them, such as a group its members, waits.

        Raises:
            Invalid: some cannot be made; each has a line.
        """
        while changes:
            failed: list[tuple[Change, RepomanError]] = []
            for each in changes:
                try:
                    each.run()
                except (Conflict, Invalid, NotFound) as error:
                    failed.append((each, error))
            if len(failed) == len(changes):
                raise Invalid(
                    "\n".join(_placed(each.kind, each.name, error) for each, error in failed)
                )
            changes = [each for each, _ in failed]


def _compare(kind: Kind, name: str, values: Any, old: State | None) -> list[Change]:
    """Return the change that makes an object what its entry says, if it needs any (Invalid)."""
    new = kind.parse(name, values, f"{kind.section}.{name}", old)
    if old is None:
        return [Change(What.CREATE, kind, name, {}, new)]
    return [] if old == new else [Change(What.CHANGE, kind, name, old, new)]


def _placed(kind: Kind, name: str, error: RepomanError) -> str:
    """Return what is wrong with an object, with its path in the file."""
    path = f"{kind.section}.{name}"
    return str(error) if str(error).startswith(path) else f"{path}: {error}"


def _leaves(values: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the values that are no mappings, each with the keys that lead to it."""
    for key, value in values.items():
        place = f"{path}.{key}" if path else key
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, place)
        else:
            yield place, value


def is_secret(*values: Any) -> bool:
    """Return whether one of these values must not be shown."""
    return any(isinstance(each, SecretStr) for each in values)
