"""Sections: named groups of settings, as pydantic models.

One definition gives validation with the key's path, the REST schema and the form in the UI.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails

from repoman.errors import Invalid
from repoman.external_url import is_host
from repoman.patterns import EXPRESSIONS_MAX, check_pattern
from repoman.problems import problem_of

SEAL = "seal"  # in the context of a dump: what makes of a secret text what is stored
MASK = str(SecretStr("any"))  # what is shown in place of a secret


TEXTS = (str, SecretStr, Enum)  # Types of fields that take a text as it is.
LISTS = (tuple, list, set, frozenset)
NUMBERS = ((int, "int_type"), (float, "float_type"))  # What pydantic calls what is none.
NULL = "null"  # What somebody writes for a value that is not set.


class Text(str):
    """A value as somebody wrote it: text for a field of text, JSON or a list of words for others.

    A section makes of it what the field wants.
    """

    __slots__ = ()


# A regular expression on a whole text; `find_pattern` compiles it.
RegularExpression = Annotated[str, AfterValidator(check_pattern)]
RegularExpressions = Annotated[tuple[RegularExpression, ...], Field(max_length=EXPRESSIONS_MAX)]


def _check_web_address(text: str) -> str:
    text = text.strip()
    try:
        parts = urlsplit(text)
        place = parts.netloc.rpartition("@")[2]
        is_address = parts.scheme in ("http", "https") and (is_host(place) or not place.isascii())
    except ValueError:
        is_address = False
    if not is_address or not text.isprintable() or " " in text:
        raise ValueError("must be an http or https address such as https://registry.example.com")
    if re.search("[^/]@", parts.path):  # a password with a slash, as in http://user:12/secret@host
        raise ValueError(
            "must not contain a user name and password: set the credentials in the section "
            "http_client"
        )
    plain = plain_address(text)
    if "@" in parts.netloc:
        raise ValueError(
            f"must not contain a user name and password: write {plain}, and set the credentials in "
            "the section http_client"
        )
    if "?" in text or "#" in text:
        raise ValueError(f"must not have a query or a fragment: write {plain}")
    return text


def plain_address(url: str) -> str:
    """Return a valid address without user, password, query, fragment and slashes at its end."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


# The address of another server, as it was written: http or https, without anything that is secret.
WebAddress = Annotated[str, AfterValidator(_check_web_address)]


@dataclass(frozen=True, slots=True)
class Rest:
    """How the REST API shows a field of a section, where it is not as usual.

    Usually it has its own name in camel case, words of enums are written in capitals, an empty text
    is null, and null in a request is the default.

    Attributes:
        name: another name; a dot leads into an object: ``connection.retries``.
        is_required: whether requests must have it; a required list must not be empty.
        empty: what null means where the object with the field is there at all; None: the default.
        words: the words that requests may have; none: those of its enum, if it is one.
        is_upper: whether words are written in capitals.
        shows: the attribute of the section that answers show in place of the field.
    """

    name: str = ""
    is_required: bool = False
    empty: Any = None
    words: tuple[str, ...] = ()
    is_upper: bool = True
    shows: str = ""


class Section(BaseModel):
    """Base of all sections. Unknown keys are errors; values do not change after validation.

    Attributes:
        in_rest: how the REST API shows fields, see :class:`Rest`; None: not at all. Those of its
            bases apply as well.
        audience: the fields that say where its secrets are sent.
    """

    in_rest: ClassVar[Mapping[str, Rest | None]] = {}
    audience: ClassVar[frozenset[str]] = frozenset()

    # Errors leave out what was given: it may be a secret, and they end in logs.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def check_names(self) -> None:
        """Return if what it names in the database or on the disk is there (Invalid).

        Called within a transaction when it is set, and not when it is read.
        """

    def ports(self) -> Iterable[tuple[str, str, int]]:
        """Return the connectors this section asks for, as (key, scheme, port)."""
        return ()

    @classmethod
    def from_rest(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values that a request to the REST API gives, as they are stored."""
        return values

    @classmethod
    def rest_fields(cls) -> dict[str, Rest]:
        """Return how the REST API shows the fields that it shows."""
        told: dict[str, Rest | None] = {}
        for base in reversed(cls.__mro__):
            told |= vars(base).get("in_rest", {})
        shown = {key: told.get(key, Rest()) for key in cls.model_fields}
        return {key: rest for key, rest in shown.items() if rest is not None}

    @classmethod
    def secret_keys(cls) -> set[str]:
        """Return the names of the fields that are secrets."""
        return {key for key, field in cls.model_fields.items() if field.annotation is SecretStr}

    @classmethod
    def default_of(cls, key: str) -> Any:
        """Return the default of a field; None if it has none, or if there is no such field."""
        field = cls.model_fields.get(key)
        if field is None or field.is_required():
            return None
        return field.get_default(call_default_factory=True)

    @model_validator(mode="before")
    @classmethod
    def _read_texts(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        fields = cls.model_fields
        read = {
            key: _read(fields[key], value) if isinstance(value, Text) and key in fields else value
            for key, value in values.items()
        }
        check_numbers(cls, read)
        return read

    @field_serializer("*", mode="wrap")
    def _serialize(
        self, value: Any, serialize: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> Any:
        """Write secrets out only where they are stored, and stars everywhere else."""
        seal = (info.context or {}).get(SEAL)
        if isinstance(value, SecretStr) and seal is not None:
            return seal(value.get_secret_value()) if value.get_secret_value() else ""
        return serialize(value)

    def sealed(self, seal: Callable[[str], Any]) -> dict[str, Any]:
        """Return the values for the database: plain, but for the secrets, which are sealed."""
        return self.model_dump(mode="json", context={SEAL: seal})


Part = TypeVar("Part", bound=Section)


def merge(kind: type[Section], old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a section with changes.

    A secret given as the stars that are shown in its place stays as it is, so that what was read
    may be sent back.
    """
    shown = {key for key in kind.secret_keys() if new.get(key) == MASK}
    return {**old, **{key: value for key, value in new.items() if key not in shown}}


def apply_patch(
    kind: type[Section], old: Mapping[str, Any], patch: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the values that a JSON merge patch (RFC 7396) gives a section.

    None is the default: of a value or, as the whole patch, of all of them.
    """
    given = dict.fromkeys(kind.model_fields) if patch is None else patch
    return {
        key: kind.default_of(key) if value is None else _merge_tables(old.get(key), value)
        for key, value in given.items()
    }


def _merge_tables(old: Any, patch: Any) -> Any:
    """Return a value with a merge patch."""
    if not isinstance(patch, Mapping):
        return patch
    table = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = _merge_tables(table.get(key), value)
    return table


def check_numbers(model: type[BaseModel], values: Mapping[str, Any]) -> None:
    """Return if true and false are given for no number: pydantic takes them for 1 and 0.

    Raises:
        ValidationError: they are; it has the path of each.
    """
    if {bool, list}.isdisjoint(map(type, values.values())):
        return
    errors = _number_errors(model)
    wrong = [
        InitErrorDetails(type=errors[key], loc=path, input=each)
        for key, value in values.items()
        if key in errors
        for path, each in _parts(key, value)
        if isinstance(each, bool)
    ]
    if wrong:
        raise ValidationError.from_exception_data(model.__name__, wrong)


def _parts(key: str, value: Any) -> Iterator[tuple[tuple[int | str, ...], Any]]:
    """Yield a value, or the items of a list, each with its path."""
    if not isinstance(value, list):
        yield (key,), value
        return
    for number, each in enumerate(value):
        yield (key, number), each


@cache
def _number_errors(model: type[BaseModel]) -> dict[str, str]:
    """Return what pydantic calls a wrong number, by fields for numbers or for lists of them.

    Fields are there by their names in requests too.
    """
    found: dict[str, str] = {}
    for key, field in model.model_fields.items():
        kinds = [_bare(each) for each in _alternatives(_bare(field.annotation))]
        kinds += [_bare(get_args(each)[0]) for each in kinds if get_origin(each) in LISTS]
        error = next((error for kind, error in NUMBERS if kind in kinds), "")
        if error and bool not in kinds:
            found[key] = found[field.alias or key] = error
    return found


def parse_section(kind: type[Part], values: Mapping[str, Any], name: str = "") -> Part:
    """Return the section made of plain values; what is missing takes its default.

    ``name`` is what the section is called, in messages.

    Raises:
        Invalid: a key is unknown or a value is wrong; ``field`` is its dotted path.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problem, path = _explain(error, kind, name)
        raise Invalid(problem, field=path) from error


def _explain(error: ValidationError, kind: type[BaseModel], name: str) -> tuple[str, str]:
    """Return what is wrong with the values of a section, and the path of the field.

    Of several errors the first one counts; what was given
    is left out, since it may be a secret.
    """
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    field = kind.model_fields.get(key)
    path = ".".join(filter(None, [name, *map(str, _place(first["loc"], field))]))
    if first["type"] == "extra_forbidden" and field is None:
        return f"{path}: unknown key; {_known(key, kind.model_fields)}", path
    problem = problem_of(first)
    about = f" ({field.description.rstrip('.')})" if field and field.description else ""
    return f"{path}: {problem}{about}.", path


def _place(path: tuple[int | str, ...], field: FieldInfo | None) -> tuple[int | str, ...]:
    """Return a path in a section without pydantic's name for one of several types of a value."""
    path = tuple(each for each in path if isinstance(each, int) or "[" not in each)
    types = () if field is None else _alternatives(field.annotation)
    return (
        path if len([each for each in types if each is not NoneType]) < 2 else path[:1] + path[2:]
    )


def _known(key: str, fields: Mapping[str, FieldInfo]) -> str:
    guess = difflib.get_close_matches(key, fields, 1)
    return f"did you mean {guess[0]}?" if guess else f"choose one of: {', '.join(sorted(fields))}."


def _read(field: FieldInfo, text: Text) -> Any:
    """Return what a text stands for in a field; null is what it is when it is not set."""
    kinds = [_bare(each) for each in _alternatives(field.annotation)]
    classes = [get_origin(kind) or kind for kind in kinds]
    if any(isinstance(each, type) and issubclass(each, TEXTS) for each in classes):
        return str(text)
    if NoneType in kinds and text.strip() in ("", NULL):
        return None
    if text.strip() == NULL:
        return None if field.is_required() else field.get_default(call_default_factory=True)
    try:
        value = json.loads(text)
    except ValueError:
        value = str(text)
    for kind, found in zip(kinds, classes, strict=True):
        if found in LISTS and not isinstance(value, list):
            return _words(kind, text)
    return value


def _words(kind: Any, text: Text) -> list[str]:
    """Return a list that is not written as JSON: names with commas between, or one other text."""
    if str not in get_args(kind):  # Expressions may contain commas.
        return [str(text)] if text.strip() else []
    return [word for each in text.split(",") if (word := each.strip())]


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
