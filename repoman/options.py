"""Options: what an administrator changes while the server runs, in sections.

They lie in the database, so that every process and every backup has them. What the settings file
says is where a section begins; stored values override it.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from repoman.db.cache import ReadCache
from repoman.db.database import Database
from repoman.errors import NotFound
from repoman.option_records import delete_option, find_option, save_option
from repoman.sections import MASK, Section, apply_patch, merge, parse_section

AnySection = TypeVar("AnySection", bound=Section)


class Options:
    """The option sections of the server; thread safe.

    Args:
        sections: what they are before anybody has changed them, by name.
    """

    def __init__(self, database: Database, sections: Mapping[str, Section]) -> None:
        self._database = database
        self._defaults = sections
        self._found: ReadCache[Section] = ReadCache(database)

    def names(self) -> list[str]:
        """Return the names of all sections."""
        return sorted(self._defaults)

    def get(self, name: str, kind: type[AnySection]) -> AnySection:
        """Return a section as it is now."""
        section = self._found.get(name, lambda: self._read(name))
        if not isinstance(section, kind):
            raise TypeError(f"The option section {name} is not a {kind.__name__}.")
        return section

    def read(self, name: str) -> Section:
        """Return a section as it is stored, whatever its model (NotFound)."""
        self._check_name(name)
        return self._read(name)

    def describe(self, name: str) -> dict[str, Any]:
        """Return a section as plain JSON values, its secrets as stars (NotFound)."""
        return self.read(name).model_dump(mode="json")

    def update(self, name: str, values: Mapping[str, Any]) -> None:
        """Change keys of a section; the others stay.

        Raises:
            NotFound: there is no such section.
            Invalid: a key is unknown, or its value wrong.
        """
        self._check_name(name)
        with self._database.transaction():
            self._change(name, self._read(name), values)

    def patch(self, name: str, patch: Mapping[str, Any]) -> Section:
        """Change a section by a JSON merge patch (RFC 7396), and return it.

        Where the patch changes who is sent the secrets of the section, those that it does not give
        go: who does not know them cannot have them sent to a server of their choice.

        Raises:
            NotFound, Invalid: see :meth:`update`.
        """
        self._check_name(name)
        with self._database.transaction():
            present = self._read(name)
            if not patch:
                return present
            return self._change(name, present, self._patched(name, present, patch))

    def preview(self, name: str, patch: Mapping[str, Any]) -> Section:
        """Return what :meth:`patch` would make of a section; nothing is changed.

        Raises:
            NotFound, Invalid: see :meth:`update`.
        """
        self._check_name(name)
        present = self._read(name)
        values = self._patched(name, present, patch)
        return self._parse(name, merge(type(present), present.model_dump(), values))

    def _patched(self, name: str, present: Section, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a patch, and of the secrets that go with it."""
        values = apply_patch(type(present), present.model_dump(), patch)
        for key in (key for key, value in patch.items() if value is None):
            values[key] = getattr(self._defaults[name], key, None)
        section = self._parse(name, merge(type(present), present.model_dump(), values))
        if any(getattr(section, key) != getattr(present, key) for key in present.audience):
            kept = {key for key in present.secret_keys() if patch.get(key, MASK) == MASK}
            values |= dict.fromkeys(kept, "")
        return values

    def patch_all(self, patches: Mapping[str, Mapping[str, Any]]) -> None:
        """Change several sections in one transaction, each as :meth:`patch` does (errors too)."""
        with self._database.transaction():
            for name, patch in patches.items():
                self.patch(name, patch)

    def _change(self, name: str, present: Section, values: Mapping[str, Any]) -> Section:
        """Change keys of a section; within a transaction."""
        merged = merge(type(present), present.model_dump(), values)
        section = self._parse(name, merged)
        section.check_names()
        save_option(name, section.sealed(self._database.keyring.seal))
        changed = [key for key in sorted(values) if getattr(section, key) != getattr(present, key)]
        self._database.note_change("option.change", name, keys=" ".join(changed))
        return section

    def reset(self, name: str) -> None:
        """Make a section what it was before anybody changed it (NotFound)."""
        self._check_name(name)
        with self._database.transaction():
            if delete_option(name):
                self._database.note_change("option.reset", name)

    def _check_name(self, name: str) -> None:
        if name not in self._defaults:
            known = ", ".join(self.names())
            raise NotFound(f"There are no options {name!r}; available: {known}.")

    def _read(self, name: str) -> Section:
        default = self._defaults[name]
        stored = self._database.keyring.unseal(find_option(name))
        return self._parse(name, {**default.model_dump(), **stored}) if stored else default

    def _parse(self, name: str, values: Mapping[str, Any]) -> Section:
        return parse_section(type(self._defaults[name]), values, name)
