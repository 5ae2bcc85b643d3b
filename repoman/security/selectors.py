"""Content selectors: named expressions that pick what a privilege is for in a repository."""

from dataclasses import replace

from repoman.db.database import Database
from repoman.errors import Conflict, Invalid, NotFound
from repoman.security import rights_records as records
from repoman.security.expressions import parse_expression
from repoman.security.names import check_name
from repoman.security.privileges import Privileges
from repoman.security.rights_records import SelectorRow


class Selectors:
    """All content selectors; thread safe. Letters of their names have no case."""

    def __init__(self, database: Database, privileges: Privileges) -> None:
        self._database = database
        self._privileges = privileges

    def all(self) -> list[SelectorRow]:
        """Return all content selectors by name."""
        return records.list_selectors()

    def get(self, name: str) -> SelectorRow:
        """Return a content selector.

        Raises:
            NotFound: there is none of this name.
        """
        for found in records.list_selectors():
            if found.name.lower() == name.lower():
                return found
        raise NotFound(f"There is no content selector {name!r}.")

    def create(self, row: SelectorRow) -> None:
        """Make a content selector.

        Raises:
            Invalid: the name will not do, or the expression is none.
            Conflict: the name is taken.
        """
        check_name("content selector", row.name)
        parse_expression(row.expression)
        with self._database.transaction():
            if row.name.lower() in {each.name.lower() for each in records.list_selectors()}:
                raise Conflict(
                    f"name: a content selector named {row.name!r} already exists.", field="name"
                )
            records.save_selector(row)
            self._database.note_change("selector.create", row.name, expression=row.expression)

    def change(
        self, name: str, expression: str | None = None, description: str | None = None
    ) -> None:
        """Change a content selector; what is None stays.

        Raises:
            NotFound: there is none of this name.
            Invalid: the expression is none.
        """
        with self._database.transaction():
            row = self.get(name)
            if expression is not None:
                parse_expression(expression)
                row = replace(row, expression=expression)
            if description is not None:
                row = replace(row, description=description)
            records.save_selector(row)
            self._database.note_change("selector.change", row.name, expression=row.expression)

    def delete(self, name: str, *, with_privileges: bool = True) -> None:
        """Remove a content selector, with the privileges that are made of it.

        Raises:
            NotFound: there is none of this name.
            Invalid: privileges are made of it, and they are to stay.
        """
        with self._database.transaction():
            row = self.get(name)
            used = [] if with_privileges else self._privileges.made_of_selector(row.name)
            if used:
                raise Invalid(
                    f"The content selector {row.name!r} is in use by the privilege {used[0]!r}. "
                    "Delete the privilege first."
                )
            records.delete_selector(row.name)
            self._privileges.forget_selector(row.name)
            self._database.note_change("selector.delete", row.name)
