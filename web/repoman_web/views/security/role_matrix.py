"""The matrices of a role: which lines they have, what is ticked, and what a form has sent."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from werkzeug.datastructures import MultiDict

from repoman.plugin import (
    Grant,
    Invalid,
    ListQuery,
    RightLine,
    RoleRights,
    SelectedRight,
    current_repoman,
    is_subject_covered,
)
from repoman_web.views.security.extents import NAME, known_repositories
from repoman_web.views.security.rows import page_rows

ANY = "*"


@dataclass(slots=True)
class Matrices:
    """What a role allows, as the form shows it.

    Attributes:
        ticks: the ticked actions by line.
        names: the ticked privileges that are no lines.
        shown: the lines that the form has sent.
        granted: what the stored role grants, also by the roles within.
    """

    ticks: dict[RightLine, set[str]]
    names: set[str]
    shown: set[RightLine] = field(default_factory=set)
    granted: tuple[Grant, ...] = ()

    @classmethod
    def stored(cls, privileges: Iterable[str], granted: tuple[Grant, ...]) -> "Matrices":
        """Return what a role has."""
        rights = RoleRights(privileges)
        return cls(rights.lines, {*rights.subjects, *rights.others}, set(), granted)

    @classmethod
    def sent(cls, form: MultiDict[str, str], stored: "Matrices") -> "Matrices":
        """Return what a form has sent; lines that it does not show stay as they are (Invalid)."""
        shown = {RightLine.parse(key) for key in form.getlist("line")}
        ticks = {line: set(each) for line, each in stored.ticks.items() if line not in shown}
        for tick in form.getlist("tick"):
            key, _, action = tick.rpartition(":")
            ticks.setdefault(RightLine.parse(key), set()).add(action)
        names = {
            each.strip()
            for text in form.getlist("privilege")
            for each in text.splitlines()
            if each.strip()
        }
        return cls(ticks, names, shown, stored.granted)

    def chosen(self, privileges: Iterable[str]) -> tuple[tuple[str, ...], list[SelectedRight]]:
        """Return the names of privileges that are to be had, and the rights on selected paths.

        ``privileges`` are those that the role has: what grants a line as it is stays.
        """
        rights, names, selected = RoleRights(privileges), set(self.names), []
        names |= set(rights.without(self.shown))
        for line in self.shown:
            wanted = self.ticks.get(line, set())
            if not line.selector:
                names |= {line.name(each) for each in wanted}
                continue
            kept = rights.granting(line, wanted)
            names |= set(kept)
            rest = wanted.difference(*kept.values())
            selected += [
                SelectedRight(line.selector, line.format, line.repository, each)
                for each in sorted(rest)
            ]
        return tuple(sorted(names)), selected

    def lines(self, kind: str, query: ListQuery) -> tuple[list[RightLine], str]:
        """Return the lines of one of the matrices, and the address of more repositories."""
        found = {RightLine(kind, ANY, ANY)} if not query.filter else set()
        if not query.filter:
            formats = current_repoman().security.privileges.formats()
            found |= {RightLine(kind, each, ANY) for each in formats}
            found |= {each for each in self.ticks if each.kind == kind and self.ticks[each]}
        found |= {each for each in self.shown if each.kind == kind}
        older = ""
        if kind == "content":
            rows = page_rows(known_repositories(), query, NAME, NAME)
            found |= {RightLine(kind, each.config.format, each.name) for each in rows.shown}
            older = rows.older
        return sorted(found, key=_place), older

    def is_on(self, line: RightLine, action: str) -> bool:
        """Return whether a cell is ticked."""
        return action in self.ticks.get(line, ())

    def is_covered(self, line: RightLine, action: str) -> bool:
        """Return whether what is not ticked is allowed by another line or a role within."""
        return not self.is_on(line, action) and line.is_covered(action, self.granted)

    def is_subject_covered(self, name: str) -> bool:
        """Return the same for a privilege for a part of the server."""
        return name not in self.names and is_subject_covered(name, self.granted)


def line_to_add(form: MultiDict[str, str]) -> RightLine:
    """Return the line that a form wants to have (Invalid)."""
    kind, selector = form.get("add.kind", "content"), form.get("add.selector", "").strip()
    name = form.get("add.repository", "").strip()
    found = {each.name.lower(): each for each in known_repositories()}
    if kind == "settings" and selector:
        raise Invalid("A content selector picks content. Settings have no paths.")
    if name.lower() in found:
        each = found[name.lower()]
        return RightLine(kind, each.config.format, each.name, selector)
    formats = current_repoman().security.privileges.formats()
    if name == ANY or name in formats:
        return RightLine(kind, name, ANY, selector)
    raise Invalid(f"There is no repository {name!r}. Choose one of the list.")


def _place(line: RightLine) -> tuple[bool, str, bool, str, str]:
    return (
        line.format != ANY,
        line.format,
        line.repository != ANY,
        line.repository.lower(),
        line.selector,
    )
