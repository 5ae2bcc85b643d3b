"""Forms made from sections: shown, read and checked without code for each field.

::

    form = SectionForm({"": NewShelf, "storage": StorageSection}).read(request.form)
    with form.saving():
        shelves.create(form.values())
        return done("The shelf was created.", url_for("shelves.show"))
    return form.render("shelves/new.html")

Every error lands beside its field, what was typed stays, and secrets are not sent back. That works
for what the model finds wrong, and for ``Invalid`` and ``Conflict`` of services, which name the
field by its path.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from flask import render_template
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.datastructures import MultiDict

from repoman.errors import (
    Conflict,
    Denied,
    Frozen,
    Invalid,
    NotFound,
    RepomanError,
    Unauthenticated,
)
from repoman.http.errors import status_of
from repoman.http.form_fields import (
    UNSET,
    FormField,
    describe_field,
    extra_of,
    is_set_secret,
    label_of,
    read_value,
    show_value,
)
from repoman.problems import problem_of

Values = Mapping[str, Mapping[str, Any]]  # Values by section and field.
Choices = Mapping[str, Iterable[tuple[str, str]]]  # What a field can be, by its path.

REVISION = "revision"  # The input with the state of what was read.
MOVE, ADD = ".move", ".add"  # At the ends of the names of the buttons and the choice of a list.
CLEAR = ".clear"  # At the end of the name of the box that removes a secret.
REVISION_CHARS = 16
GENERAL = "general"  # The title of the section without a key.
HIDDEN = "none"  # The widget of fields that forms leave out.
PAGE_ERRORS = (NotFound, Denied, Unauthenticated, Frozen)  # These have pages of their own.


@dataclass(frozen=True, slots=True)
class FormSection:
    """A section of a form: its title, what it is about, and its fields."""

    key: str
    title: str
    text: str
    fields: tuple[FormField, ...]

    @property
    def plain(self) -> list[FormField]:
        """Return the fields that are always shown."""
        return [each for each in self.fields if not each.is_advanced]

    @property
    def advanced(self) -> list[FormField]:
        """Return the fields that are folded away."""
        return [each for each in self.fields if each.is_advanced]


class SectionForm:
    """A form of several sections.

    ``stored`` has the present values of what is changed, as plain values with stars for secrets; a
    new thing has none. ``choices`` are what fields can be at present, by path. ``fixed`` fields are
    shown and not read, ``without`` fields are not there at all. ``titles`` gives sections other
    titles, ``attrs`` gives inputs attributes. Fields of the section with an empty key have no
    prefix.

    Attributes:
        errors: what is wrong, by path.
        problem: what is wrong with the whole, or nothing.
        status: the HTTP status of the answer that shows the form.
    """

    def __init__(
        self,
        sections: Mapping[str, type[BaseModel]],
        stored: Values | None = None,
        *,
        choices: Choices | None = None,
        fixed: Collection[str] = (),
        without: Collection[str] = (),
        titles: Mapping[str, str] | None = None,
        attrs: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._sections = sections
        self._stored = stored
        self._choices = choices or {}
        self._fixed = frozenset(fixed)
        self._without = frozenset(without)
        self._titles = titles or {}
        self._attrs = attrs or {}
        self._said: dict[str, tuple[str, str]] = {}
        self._sent: MultiDict[str, str] | None = None
        self._is_rearranged = False  # A button of a list was pressed, and not that of the form.
        self.errors: dict[str, str] = {}
        self.problem = ""
        self.status = HTTPStatus.OK

    @property
    def is_new(self) -> bool:
        """Whether the form is about something that does not exist yet."""
        return self._stored is None

    @property
    def revision(self) -> str:
        """Return what stands for the state of the stored values; nothing for what is new."""
        if self._stored is None:
            return ""
        text = json.dumps(self._stored, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:REVISION_CHARS]

    @property
    def is_stale(self) -> bool:
        """Whether somebody has changed the stored values since the form was opened."""
        given = self._sent.get(REVISION) if self._sent is not None else None
        return given is not None and given != self.revision

    def read(self, sent: MultiDict[str, str]) -> "SectionForm":
        """Take what a browser has sent, and return the form."""
        self._sent = sent.copy()
        for name in sent:
            path = name.removesuffix(MOVE)
            if path != name and self._nearest(path) == path:
                self._is_rearranged = True
                added = sent.get(f"{path}{ADD}", "")
                self._sent.setlist(path, rearranged(sent.getlist(path), sent[name], added))
        return self

    def values(self) -> dict[str, dict[str, Any]]:
        """Return the values that were sent, by section, after they were checked.

        Secrets that were left empty and fields that are not in the form are missing.

        Raises:
            Invalid: some are wrong, and the form knows which; or only a list was rearranged.
            Conflict: somebody has changed the stored values meanwhile.
        """
        if self._is_rearranged:
            raise Invalid("")
        if self.is_stale:
            raise Conflict(
                "Somebody has changed this since you opened it. Your values are below, with the "
                "stored ones beside them. Save again to replace those."
            )
        found = {key: self._read(key, model) for key, model in self._sections.items()}
        for key, model in self._sections.items():
            self._check(key, model, found[key])
        if self.errors or self.problem:
            raise Invalid("")
        return found

    def saving(self) -> "Saving":
        """Keep errors of the block in the form; those about rights have a page of their own."""
        return Saving(self)

    def refuse(self, error: RepomanError) -> None:
        """Show an error beside its field, or above the form if it is about none."""
        if not self._is_rearranged:
            self.status = HTTPStatus(status_of(error))
        field = getattr(error, "field", None) or ""
        path = self._nearest(field) or self._find_bare(field)
        if path is not None:
            self.errors.setdefault(path, _sentence(str(error).removeprefix(f"{field}: ")))
        elif str(error):
            self.problem = str(error)

    def say(self, path: str, text: str, *, is_good: bool) -> None:
        """Have a text about the value of a field stand in place of its hint."""
        self._said[path] = text, "ok" if is_good else "error"

    def render(self, template: str, **values: Any) -> tuple[str, int]:
        """Return the page with the form, which the template knows as ``form``."""
        return render_template(template, form=self, **values), self.status

    def sections(self) -> list[FormSection]:
        """Return the sections as they are shown; those without fields are left out."""
        shown = [self._show(key, model) for key, model in self._sections.items()]
        return [each for each in shown if each.fields]

    def section(self, key: str) -> FormSection:
        """Return one of the sections as it is shown."""
        return self._show(key, self._sections[key])

    def field(self, path: str) -> FormField:
        """Return one of the fields as it is shown."""
        key, _, name = path.rpartition(".")
        return self._field(key, self._sections[key], name)

    def wrong_fields(self) -> list[FormField]:
        """Return the fields that need another value, in their order."""
        return [each for section in self.sections() for each in section.fields if each.error]

    # --- Showing

    def _show(self, key: str, model: type[BaseModel]) -> FormSection:
        title = self._titles.get(key) or model.model_config.get("title") or label_of(key or GENERAL)
        about = (model.__doc__ or "").partition("\n")[0]
        fields = [self._field(key, model, name) for name in self._names(key, model)]
        return FormSection(key, title, about, tuple(fields))

    def _names(self, key: str, model: type[BaseModel]) -> list[str]:
        return [
            name
            for name, info in model.model_fields.items()
            if _path(key, name) not in self._without and extra_of(info).get("widget") != HIDDEN
        ]

    def _field(self, key: str, model: type[BaseModel], name: str) -> FormField:
        path, info = _path(key, name), model.model_fields[name]
        value = self._value(key, name)
        if value is UNSET:
            value = None if info.is_required() else info.get_default(call_default_factory=True)
        present = show_value(info, value)
        is_read = self._sent is not None and path not in self._fixed
        texts = tuple(self._texts(path)) if is_read else present
        described = describe_field(path, info, self._choices.get(path))
        said, tone = self._said.get(path, ("", "ok"))
        shown = replace(
            described,
            options=_with_present(described.options, texts),
            texts=() if is_set_secret(info, value) else texts,
            is_set=is_set_secret(info, value),
            is_fixed=path in self._fixed,
            attrs={**described.attrs, **self._attrs.get(path, {})},
            said=said,
            tone=tone,
            error=self.errors.get(path, ""),
        )
        is_other = read_value(info, texts) != read_value(info, present)
        if self.is_stale and is_other and not shown.is_set:
            return replace(shown, stored=", ".join(present) or "empty")
        return replace(shown, texts=()) if shown.widget == "secret" else shown

    def _value(self, key: str, name: str) -> Any:
        return (self._stored or {}).get(key, {}).get(name, UNSET)

    # --- Reading

    def _texts(self, path: str) -> list[str]:
        return [] if self._sent is None else self._sent.getlist(path)

    def _read(self, key: str, model: type[BaseModel]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in self._names(key, model):
            path, info = _path(key, name), model.model_fields[name]
            if path in self._fixed:
                continue
            texts, present = self._texts(path), self._value(key, name)
            is_same = present is not UNSET and tuple(texts) == show_value(info, present)
            is_cleared = self._sent is not None and f"{path}{CLEAR}" in self._sent
            value = present if is_same else read_value(info, texts, is_unset=is_cleared)
            if value is not UNSET and not is_set_secret(info, value):
                found[name] = value
        return found

    def _check(self, key: str, model: type[BaseModel], values: Mapping[str, Any]) -> None:
        """Note what the model finds wrong with the values of a section."""
        for name, value in values.items():
            if value == "" and model.model_fields[name].is_required():
                self.errors[_path(key, name)] = "Is required."
        known = {**(self._stored or {}).get(key, {}), **values}
        try:
            model.model_validate(known)
        except ValidationError as error:
            for details in error.errors():
                place = ".".join(map(str, details["loc"]))
                path = self._nearest(_path(key, place)) or ""
                said = _sentence(_line(details["loc"]) + _problem_of(details))
                if path:
                    self.errors.setdefault(path, said)
                else:
                    self.problem = self.problem or said

    def _find_bare(self, name: str) -> str | None:
        """Return the path of the only field with this name: services know nothing of sections."""
        bare = name.partition("[")[0]
        found = [each for each in self._paths() if each.rpartition(".")[2] == bare]
        return found[0] if len(found) == 1 else None

    def _paths(self) -> set[str]:
        return {
            _path(key, name)
            for key, model in self._sections.items()
            for name in self._names(key, model)
        }

    def _nearest(self, path: str) -> str | None:
        """Return the path of the field that a path of an error is about, or lies in."""
        known = self._paths()
        while path and path not in known:
            path = path.rpartition(".")[0]
        return path or None


class Saving:
    """The block of :meth:`SectionForm.saving`: a class, whose type says that it may hide errors."""

    def __init__(self, form: SectionForm) -> None:
        self._form = form

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        """Return whether the form shows the error."""
        if not isinstance(error, RepomanError) or isinstance(error, PAGE_ERRORS):
            return False
        self._form.refuse(error)
        return True


def rearranged(values: list[str], move: str, added: str) -> list[str]:
    """Return a list after a button beside it: ``up NAME``, ``down NAME``, ``out NAME``, ``add``."""
    verb, _, name = move.partition(" ")
    if verb == "add":
        return [*values, added] if added and added not in values else values
    if name not in values:
        return values
    at = values.index(name)
    rest = [*values[:at], *values[at + 1 :]]
    if verb == "out":
        return rest
    to = max(0, at - 1) if verb == "up" else at + 1
    return [*rest[:to], name, *rest[to:]]


def _with_present(
    options: tuple[tuple[str, str], ...], texts: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Return options with the present values, which may not be among them any more."""
    known = {value for value, _ in options}
    return (*options, *((each, each) for each in texts if options and each not in known))


def _path(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _problem_of(details: ErrorDetails) -> str:
    if details["type"] == "dict_type":  # Forms show mappings as lines.
        return "must have lines such as name = a, b"
    return problem_of(details)


def _line(place: tuple[int | str, ...]) -> str:
    """Return which line of a list an error is about, as the begin of its text."""
    at = next((each for each in place if isinstance(each, int)), None)
    return "" if at is None else f"line {at + 1} "


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."
