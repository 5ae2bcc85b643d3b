"""What formats ask about the repositories of a new server: fields that propose a value.

A field of a section asks by ``first_run`` in its ``json_schema_extra``: ``question`` and ``text``
of a box to tick, ``label`` and ``hint`` of the input below it, and ``proposal``, the value in that.
Its default is what it has without an answer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from werkzeug.datastructures import MultiDict

from repoman.plugin import Invalid, Section, SectionForm, current_repoman

ASKED_MAX = 50  # Repositories that are asked about on a new server.


@dataclass(frozen=True, slots=True)
class Question:
    """A field of a repository that asks.

    Attributes:
        asked: its ``first_run``.
        values: the section with the field.
    """

    repository: str
    section: str
    name: str
    asked: Mapping[str, Any]
    values: Section

    @property
    def key(self) -> str:
        """Return the key of the section in the form."""
        return f"{self.repository}.{self.section}"

    @property
    def path(self) -> str:
        """Return the path of the field in the form."""
        return f"{self.key}.{self.name}"

    @property
    def box(self) -> str:
        """Return the name of the box that says that the value is wanted."""
        return f"{self.path}.apply"

    def field(self, form: SectionForm) -> Any:
        """Return the input."""
        field = form.field(self.path)
        label, hint = self.asked["label"], self.asked["hint"]
        return replace(field, label=label, hint=hint, is_optional=False)

    @property
    def default(self) -> Any:
        """Return the value without an answer."""
        return self.values.default_of(self.name)

    @property
    def is_set(self) -> bool:
        """Return whether it has another value than without an answer."""
        return bool(getattr(self.values, self.name) != self.default)


class FirstQuestions:
    """The questions about all repositories; false if there are none.

    Attributes:
        all: the questions, by repository.
        form: has the values.
        ticked: the boxes that are ticked.
    """

    def __init__(self) -> None:
        self.all = list(_list_questions())
        self.form = _form_of(self.all)
        self.ticked = {each.box for each in self.all if each.is_set}

    def __bool__(self) -> bool:
        """Return whether anything is asked."""
        return bool(self.all)

    def save(self, sent: MultiDict[str, str]) -> bool:
        """Set what is ticked, and the default of what is not; return False if a value is wrong."""
        self.ticked = {each.box for each in self.all if each.box in sent}
        self.form.read(sent)
        with self.form.saving():
            # What is not ticked is not looked at: anything may be in its input.
            wanted = _form_of([each for each in self.all if each.box in self.ticked]).read(sent)
            self._store(self._checked(wanted))
            return True
        return False

    def _checked(self, wanted: SectionForm) -> Mapping[str, Mapping[str, Any]]:
        with wanted.saving():
            return wanted.values()
        self.form.errors = wanted.errors
        raise Invalid(wanted.problem)

    def _store(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        for each in self.all:
            value = values[each.key][each.name] if each.box in self.ticked else each.default
            if value != getattr(each.values, each.name):
                settings = {each.section: {each.name: value}}
                current_repoman().repositories.update(each.repository, settings)


def _form_of(questions: Sequence[Question]) -> SectionForm:
    """Return the form of these fields, with the proposals where nothing is set."""
    stored: dict[str, dict[str, Any]] = {}
    for each in questions:
        values = stored.setdefault(each.key, each.values.model_dump(mode="json"))
        if not each.is_set:
            values[each.name] = each.asked["proposal"]
    sections = {each.key: type(each.values) for each in questions}
    known = {f"{key}.{name}" for key, model in sections.items() for name in model.model_fields}
    return SectionForm(sections, stored, without=known - {each.path for each in questions})


def _list_questions() -> Iterator[Question]:
    for repository in current_repoman().repositories.all()[:ASKED_MAX]:
        for key, section in repository.config.sections.items():
            for name, info in type(section).model_fields.items():
                extra = info.json_schema_extra
                asked = extra.get("first_run") if isinstance(extra, dict) else None
                if isinstance(asked, dict):
                    yield Question(repository.name, key, name, asked, section)
