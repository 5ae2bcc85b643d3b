"""One field of a form, made from a field of a pydantic model: what is shown, and what is read.

A model may say more about a field in ``json_schema_extra``: ``unit`` (beside the input; a size such
as ``GiB`` means that the value itself is in bytes), ``widget`` (another template, or ``none``),
``labels`` (texts of words, of ``true``, ``false`` and, for unset, of the empty text; of a text they
are what is proposed), ``hint`` (in place of the description), ``advanced`` (folded), ``rows`` of a
text with several lines.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from repoman.sections import LISTS, MASK

UNSET = object()  # In place of a value that is not to change.
SIZES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
RADIO_MAX = 4  # More words to choose from are a list to open.
ACRONYMS = {
    *("api", "ca", "cpu", "dn", "http", "https", "id", "ip", "json", "ldap", "ntlm", "ssl", "tls"),
    *("url", "uri", "v1", "v2"),
}
# What a bound of a number, or of the length of a text, is called in HTML.
BOUNDS = {"ge": "min", "le": "max", "max_length": "maxlength"}


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a form, as templates show it.

    Attributes:
        path: its name, with that of its section: ``storage.blob_store``.
        label: what it is called.
        hint: what it means.
        widget: the template of ``repoman/widgets`` that shows it.
        options: what can be chosen, as (value, text).
        unit: beside the input.
        is_optional: whether it may be left empty.
        is_advanced: whether it is folded away.
        is_fixed: whether it is shown and cannot be changed.
        attrs: further attributes of the input.
        rows: lines of a text with several.
        texts: the value as the input has it; several for a list.
        is_set: whether a secret is stored.
        said: what the server says of the value, in place of the hint; ``tone`` is ok or error.
        error: what is wrong with the value.
        stored: what somebody else has stored meanwhile, if that is another value.
    """

    path: str
    label: str
    hint: str
    widget: str
    options: tuple[tuple[str, str], ...] = ()
    unit: str = ""
    is_optional: bool = False
    is_advanced: bool = False
    is_fixed: bool = False
    attrs: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 4
    texts: tuple[str, ...] = ()
    is_set: bool = False
    said: str = ""
    tone: str = "ok"
    error: str = ""
    stored: str = ""

    @property
    def id(self) -> str:
        """Return its id on the page."""
        return self.path.replace(".", "-")

    @property
    def text(self) -> str:
        """Return the value as one text."""
        return "\n".join(self.texts)


def describe_field(
    path: str, info: FieldInfo, choices: Iterable[tuple[str, str]] | None = None
) -> FormField:
    """Return a field of a form for one of a model, without a value.

    ``choices`` are the values that it can have at present, such as the names of blob stores.
    """
    extra = extra_of(info)
    kind, is_nullable = _kind_of(info.annotation)
    options = tuple(choices) if choices is not None else _options_of(kind, is_nullable, extra)
    found = FormField(
        path=path,
        label=info.title or label_of(path.rpartition(".")[2]),
        hint=str(extra.get("hint", info.description or "")),
        widget=str(extra.get("widget") or _widget_of(kind, is_nullable, options, choices)),
        options=options,
        unit=str(extra.get("unit", "")),
        is_optional=not info.is_required()
        and _is_empty(info.get_default(call_default_factory=True), is_nullable),
        is_advanced=bool(extra.get("advanced")),
        rows=int(extra.get("rows", 4)),
        attrs=_bounds_of(info) if str(extra.get("unit", "")) not in SIZES else {},
    )
    if is_nullable and found.widget == "select" and choices is not None:
        return replace(found, options=(("", "none"), *found.options))
    return found


def extra_of(info: FieldInfo) -> Mapping[str, Any]:
    """Return what a model says of a field for forms."""
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def label_of(name: str) -> str:
    """Return the name of a field as a label: ``http_port`` is ``HTTP port``."""
    words = [each.upper() if each in ACRONYMS else each for each in name.split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def show_value(info: FieldInfo, value: Any) -> tuple[str, ...]:
    """Return a plain value as the texts of its input."""
    kind, _ = _kind_of(info.annotation)
    if value is None or (kind is SecretStr and value):
        return ()
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, Enum):
        return (str(value.value),)
    if isinstance(value, Mapping):
        return tuple(f"{key} = {_joined(each)}" for key, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(each if isinstance(each, str) else json.dumps(each) for each in value)
    size = SIZES.get(str(extra_of(info).get("unit", "")))
    return (f"{value / size:.10g}",) if size and isinstance(value, int) else (str(value),)


def read_value(info: FieldInfo, texts: Sequence[str], *, is_unset: bool = False) -> Any:
    """Return the plain value for the texts that a form has sent; ``UNSET``: it has to stay.

    What cannot be read is returned as text, and the model says what is wrong. ``is_unset`` says
    that the visitor wants a secret to be removed.
    """
    kind, is_nullable = _kind_of(info.annotation)
    whole = "\n".join(texts)
    if kind is SecretStr:
        return whole if whole or is_unset else UNSET
    if kind is bool:
        return _read_bool(texts, is_nullable=is_nullable)
    origin = get_origin(kind) or kind
    if origin in LISTS:
        return _none_if_empty(_lines(whole), info, is_nullable=is_nullable)
    if origin is dict:
        return _read_mapping(whole, kind)
    text = whole.strip()
    if not text and (is_nullable or not isinstance(kind, type) or not issubclass(kind, str)):
        return None if is_nullable else UNSET if not info.is_required() else ""
    if kind in (int, float):
        return _read_number(text, kind, SIZES.get(str(extra_of(info).get("unit", ""))))
    return text


def is_set_secret(info: FieldInfo, value: Any) -> bool:
    """Return whether a value stands for a secret that is stored."""
    return _kind_of(info.annotation)[0] is SecretStr and value == MASK


def _kind_of(annotation: Any) -> tuple[Any, bool]:
    """Return the type of a value, and whether it may be None."""
    if get_origin(annotation) is Annotated:
        return _kind_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        kinds = [each for each in get_args(annotation) if each is not NoneType]
        return _kind_of(kinds[0])[0], len(kinds) < len(get_args(annotation))
    return annotation, False


def _options_of(
    kind: Any, is_nullable: bool, extra: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
    labels = extra.get("labels", {})
    words: list[str] = []
    if isinstance(kind, type) and issubclass(kind, Enum):
        words = [str(each.value) for each in kind]
    elif get_origin(kind) is Literal:
        words = [str(each) for each in get_args(kind)]
    elif kind is bool and is_nullable:
        words, labels = ["true", "false"], {"": "As usual", "true": "Yes", "false": "No", **labels}
    elif kind is str:
        words = [*labels]  # The words that are known; there may be others.
    if words and is_nullable:
        words = ["", *words]
    return tuple((each, labels.get(each) or label_of(each) or "As usual") for each in words)


def _widget_of(kind: Any, is_nullable: bool, options: Sequence[Any], choices: Any) -> str:
    origin = get_origin(kind) or kind
    if kind is SecretStr:
        return "secret"
    if kind is bool and not is_nullable:
        return "check"
    if origin in LISTS:
        return "lines" if choices is None else "boxes"
    if origin is dict:
        return "lines"
    if choices is not None or options:
        return "select" if choices is not None or len(options) > RADIO_MAX else "radio"
    return "number" if kind in (int, float) else "text"


def _bounds_of(info: FieldInfo) -> dict[str, Any]:
    found = {}
    for each in info.metadata:
        for name, attribute in BOUNDS.items():
            if (value := getattr(each, name, None)) is not None:
                found[attribute] = value
    return found


def _is_empty(default: Any, is_nullable: bool) -> bool:
    return is_nullable or default in ("", (), [], {}) or isinstance(default, SecretStr)


def _joined(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _lines(text: str) -> list[str]:
    return [each.strip() for each in text.splitlines() if each.strip()]


def _none_if_empty(values: list[str], info: FieldInfo, *, is_nullable: bool) -> list[str] | None:
    return None if is_nullable and not values and info.default is None else values


def _read_bool(texts: Sequence[str], *, is_nullable: bool) -> bool | str | None:
    text = texts[-1] if texts else ""
    if is_nullable and text == "":
        return None
    return {"": False, "on": True, "true": True, "false": False}.get(text, text)


def _read_number(text: str, kind: type, size: int | None) -> Any:
    if size is not None and re.fullmatch(r"\d{1,15}(\.\d{1,6})?", text):
        return int(float(text) * size)
    try:
        return kind(text)
    except ValueError:
        return text


def _read_mapping(text: str, kind: Any) -> Any:
    """Return what lines such as ``key = a, b`` say; text, if there is another line."""
    values = get_args(kind)[1] if get_args(kind) else str
    found: dict[str, Any] = {}
    for line in _lines(text):
        key, equals, value = line.rpartition("=")
        if not equals:
            return text
        is_list = (get_origin(values) or values) in LISTS
        words = [word.strip() for word in value.split(",") if word.strip()]
        found[key.strip()] = words if is_list else value.strip()
    return found
