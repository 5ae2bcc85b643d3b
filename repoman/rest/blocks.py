"""Sections of settings as blocks of JSON in the REST API, made from the sections themselves.

A section is a block under its name in camel case, with its fields in camel case; what differs is
said by its ``in_rest``, see :class:`repoman.sections.Rest`. So a format needs no code for REST.

A block is a tree: fields under their names, and objects, which hold fields again. An object that
may be missing altogether is null in answers while nothing in it is set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator, Field, SecretStr, create_model
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from repoman.rest.resources import Resource
from repoman.sections import Rest, Section

LISTS = (tuple, list, set, frozenset)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field of a section under its name in JSON.

    Attributes:
        name: in JSON.
        key: of the field in the section.
        words: the values of the field by what stands for them in JSON; empty: any value.
    """

    name: str
    key: str
    rest: Rest
    field: FieldInfo
    words: Mapping[str, Any]

    @property
    def is_secret(self) -> bool:
        """Whether it is never in answers."""
        return self.field.annotation is SecretStr

    @property
    def is_required(self) -> bool:
        """Whether requests must have it."""
        return self.rest.is_required or self.field.is_required()

    @property
    def default(self) -> Any:
        """The default of the section."""
        value = self.field.get_default(call_default_factory=True)
        return None if self.field.is_required() else value

    @property
    def is_nullable(self) -> bool:
        """Whether it is null in answers while it is not set."""
        return self.is_secret or (not self.field.is_required() and self.default in (None, ""))

    def asked(self) -> Any:
        """Return its type in requests and its default."""
        kind = self._kind()
        if get_origin(kind) in LISTS and self.is_required:
            kind = Annotated[kind, Field(min_length=1)]
        if self.words:
            kind = Annotated[kind, BeforeValidator(self._spell)]
        if self.is_required:
            return kind, ...
        return Annotated[kind | None, BeforeValidator(_without_blank)], self._missing()

    def told(self) -> Any:
        """Return its type in answers."""
        has_more_words = self.words and not issubclass(self._bare(), Enum)
        kind = self._bare() if has_more_words else self._kind()
        return kind | None if self.is_nullable else kind

    def read(self, value: Any, *, is_given: bool) -> dict[str, Any]:
        """Return what a request sets; nothing for a secret that it leaves as it is.

        ``is_given`` says whether the request has the object that the field is in.
        """
        if value is None and is_given:
            if self.is_secret:
                return {}
            return {self.key: self.default if self.rest.empty is None else self.rest.empty}
        return {self.key: self.default if value is None else self.words.get(value, value)}

    def show(self, value: Any) -> Any:
        """Return what stands for a value of the field in JSON."""
        if self.words:
            return _spelled(value, self.rest) if value else None
        return None if value == "" else value

    def _missing(self) -> Any:
        """Return what null means in JSON, if it has a meaning that JSON can say."""
        value = self.default if self.rest.empty is None else self.rest.empty
        return None if self.is_secret else self.show(value)

    def _bare(self) -> Any:
        """Return the type of the field without None and the empty text."""
        annotation = self.field.annotation
        if get_origin(annotation) not in (Union, UnionType):
            return annotation
        left = [each for each in get_args(annotation) if each not in (NoneType, Literal[""])]
        return Union[tuple(left)]  # noqa: UP007 - their number varies

    def _kind(self) -> Any:
        """Return its type in JSON, with the limits of its values."""
        if self.words:
            return Literal[tuple(self.words)]
        kind = self._bare()
        for each in self.field.metadata:
            kind = Annotated[kind, each]
        return kind

    def _spell(self, value: Any) -> Any:
        """Return a word as it is in answers, whatever its case in a request."""
        if not isinstance(value, str):
            return value
        return next((each for each in self.words if each.lower() == value.lower()), value)


Tree = Mapping[str, "Leaf | Tree"]


def _without_blank(value: Any) -> Any:
    return None if value == "" else value


def _spelled(word: str, rest: Rest) -> str:
    return word.upper() if rest.is_upper else str(word)


def _words(rest: Rest, info: FieldInfo) -> Mapping[str, Any]:
    kinds = (info.annotation, *get_args(info.annotation))
    enums = [each for each in kinds if isinstance(each, type) and issubclass(each, Enum)]
    values = rest.words or (tuple(enums[0]) if enums else ())
    return {_spelled(each, rest): each for each in values}


def _plant(kind: type[Section]) -> Tree:
    """Return the tree of a section."""
    root: dict[str, Any] = {}
    for key, rest in kind.rest_fields().items():
        *objects, name = (rest.name or to_camel(key)).split(".")
        place = root
        for each in objects:
            place = place.setdefault(each, {})
        info = kind.model_fields[key]
        place[name] = Leaf(name, key, rest, info, _words(rest, info))
    return root


def _leaves(tree: Tree) -> list[Leaf]:
    return [
        leaf
        for each in tree.values()
        for leaf in ([each] if isinstance(each, Leaf) else _leaves(each))
    ]


def _is_nullable(tree: Tree) -> bool:
    return all(each.is_nullable for each in _leaves(tree))


@dataclass(frozen=True, slots=True)
class Block:
    """A section in JSON.

    Attributes:
        request: the model of requests.
        answer: the model of answers.
    """

    kind: type[Section]
    tree: Tree
    request: type[Resource] = field(init=False)
    answer: type[Resource] = field(init=False)

    def __post_init__(self) -> None:
        """Make the models."""
        name = self.kind.__name__.removesuffix("Section")
        object.__setattr__(self, "request", _ask(name, self.tree))
        object.__setattr__(self, "answer", _tell(name, self.tree))

    @property
    def is_required(self) -> bool:
        """Whether requests must have it, because something in it is required."""
        return any(each.is_required for each in self.tree.values() if isinstance(each, Leaf))

    @property
    def is_nullable(self) -> bool:
        """Whether it is null in answers while nothing in it is set."""
        return _is_nullable(self.tree)

    def find(self, key: str) -> Leaf | None:
        """Return the field with this key in the section, or None."""
        return next((each for each in _leaves(self.tree) if each.key == key), None)

    def read(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the values that a request sets, given the block as plain values by name.

        What the request leaves out is set to what that means; secrets are kept.
        """
        return self.kind.from_rest(_read(self.tree, given))

    def show(self, section: Section) -> dict[str, Any] | None:
        """Return what answers tell of a section."""
        return _show(self.tree, section)


def _ask(name: str, tree: Tree) -> type[Resource]:
    fields: dict[str, Any] = {}
    for key, each in tree.items():
        if isinstance(each, Leaf):
            kind, default = each.asked()
            fields[each.key] = (
                kind,
                Field(default, alias=key, description=each.field.description),
            )
        else:
            fields[key] = (_ask(_inner(name, key), each) | None, Field(None, alias=key))
    return create_model(f"{name}AttributesRequest", __base__=Resource, **fields)


def _tell(name: str, tree: Tree) -> type[Resource]:
    fields: dict[str, Any] = {}
    for key, each in tree.items():
        if not isinstance(each, Leaf):
            inner: Any = _tell(_inner(name, key), each)
            fields[key] = (inner | None if _is_nullable(each) else inner, Field(alias=key))
        elif not each.is_secret:
            info = Field(alias=key, description=each.field.description)
            fields[each.key] = (each.told(), info)
    return create_model(f"{name}Attributes", __base__=Resource, **fields)


def _inner(name: str, key: str) -> str:
    return f"{name}{key[0].upper()}{key[1:]}"


def _read(tree: Tree, given: Mapping[str, Any] | None) -> dict[str, Any]:
    is_given = given is not None or not _is_nullable(tree)
    found: dict[str, Any] = {}
    for name, each in tree.items():
        value = None if given is None else given.get(name)
        if isinstance(each, Leaf):
            found |= each.read(value, is_given=is_given)
        else:
            found |= _read(each, value)
    return found


def _show(tree: Tree, section: Section) -> dict[str, Any] | None:
    leaves = {
        name: (each, each.show(getattr(section, each.rest.shows or each.key)))
        for name, each in tree.items()
        if isinstance(each, Leaf) and not each.is_secret
    }
    inner = {
        name: _show(each, section) for name, each in tree.items() if not isinstance(each, Leaf)
    }
    is_set = any(value is not None for _, value in leaves.values()) or any(inner.values())
    if _is_nullable(tree) and not is_set:
        return None
    shown = {
        name: leaf.show(leaf.rest.empty) if value is None else value
        for name, (leaf, value) in leaves.items()
    }
    return {**shown, **inner}


@cache
def block_of(kind: type[Section]) -> Block | None:
    """Return a section in JSON; None if the REST API shows nothing of it."""
    tree = _plant(kind)
    return Block(kind, tree) if tree else None
