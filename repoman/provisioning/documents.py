"""The file: YAML or JSON, with references to secrets, and the paths of its values in messages.

::

    repositories:
      hub:
        recipe: raw-proxy
        settings:
          proxy: {remote_url: https://files.example.com}
          http_client: {username: robot, password: {secret: HUB_PASSWORD}}

Keys are text, and none may be given twice.
"""

import json
import os
import re
from collections.abc import Hashable, Iterator, Mapping
from itertools import chain, count
from typing import Any

import yaml
from pydantic import SecretStr
from yaml.constructor import ConstructorError

from repoman.errors import Invalid
from repoman.sections import Section

FILE_MAX_BYTES = 10 << 20  # The largest file that is read.
VALUES_MAX = 1_000_000  # Values in a file, where each reference counts as what it refers to.
SECRET = "secret"  # noqa: S105 - the key of a reference to a secret
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Secrets:
    """The values of secrets: given ones, and the variables of the environment.

    Args:
        given: values by the names of their references.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    def resolve(self, value: Any, path: str) -> Any:
        """Return the secret that a value refers to; a value that is no reference stays as it is.

        Raises:
            Invalid: there is no secret of this name.
        """
        if not (isinstance(value, Mapping) and list(value) == [SECRET]):
            return value
        name = str(value[SECRET])
        found = self._given.get(name, os.environ.get(name))
        if found is None:
            raise Invalid(
                f"{path}: the secret {name} is not known. Set the environment variable {name}, or "
                f"give --stdin {name} and the value on standard input.",
                path,
            )
        return found

    def resolve_section(
        self, kind: type[Section], values: Mapping[str, Any], path: str
    ) -> dict[str, Any]:
        """Return values of a section with the secrets that its keys refer to (Invalid)."""
        return {
            key: self.resolve(value, f"{path}.{key}") if key in secret_keys(kind) else value
            for key, value in values.items()
        }


def secret_keys(kind: type[Section]) -> set[str]:
    """Return the keys of a section whose values are secret."""
    return {key for key, field in kind.model_fields.items() if field.annotation is SecretStr}


def plain(section: Section) -> dict[str, Any]:
    """Return the values of a section as in JSON, but for its secrets, which stay what they are."""
    secrets = {key: getattr(section, key) for key in secret_keys(type(section))}
    return {**section.model_dump(mode="json"), **secrets}


def without_defaults(values: Mapping[str, Any], kind: type[Section]) -> dict[str, Any]:
    """Return the values of a section that differ from their defaults."""
    fields = kind.model_fields
    defaults = {
        key: field.get_default(call_default_factory=True)
        for key, field in fields.items()
        if not field.is_required()
    }
    usual = kind.model_construct(**defaults).model_dump(mode="json", include=set(defaults))
    return {key: value for key, value in values.items() if key not in usual or value != usual[key]}


def references(values: Any, name: str, taken: set[str]) -> Any:
    """Return values with a reference in place of each secret; empty secrets are left out.

    The name of a reference is made of ``name`` and the keys that lead to the secret, and with a
    number where it is ``taken``, to which it is added: names may differ by a dot alone.
    """
    if isinstance(values, SecretStr):
        usual = variable_name(name)
        names = chain([usual], (f"{usual}_{number}" for number in count(2)))
        variable = next(each for each in names if each not in taken)
        taken.add(variable)
        return {SECRET: variable}
    if isinstance(values, Mapping):
        return {
            key: references(value, f"{name} {key}", taken)
            for key, value in values.items()
            if not (isinstance(value, SecretStr) and not value.get_secret_value())
        }
    return values


def variable_name(text: str) -> str:
    """Return a name for a variable of the environment, made of any text."""
    return re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")


# Reading and writing -----------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Reads YAML with the plain values of YAML 1.2: ``no`` and ``3:00`` are text.

    Keys are always text, and none may be given twice.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012 - as the library has it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping with the keys as they are written."""
        seen: set[str] = set()
        for key, _ in _text_keys(node):
            if key.value in seen:
                problem = f"the key {key.value!r} is given twice"
                raise ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        self.flatten_mapping(node)  # Merged keys come first, so that own ones replace them.
        return {
            key.value: self.construct_object(value, deep=True) for key, value in _text_keys(node)
        }


def _text_keys(node: yaml.MappingNode) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    """Yield the keys of a mapping, each of which must be text, with their values."""
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ConstructorError(None, None, "a key must be text", key.start_mark)
        yield key, value


for _tag, _pattern, _beginnings in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _beginnings
    )


def parse_document(data: bytes) -> dict[str, Any]:
    """Return the sections of a file.

    Raises:
        Invalid: it is not a mapping in YAML or JSON, or a key is given twice.
    """
    if len(data) > FILE_MAX_BYTES:
        raise Invalid(f"The file is larger than {FILE_MAX_BYTES} bytes.")
    try:
        document = _load(data)
        _check_values(document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}" if mark else ""
        raise Invalid(f"The file is neither YAML nor JSON: {error.problem}{where}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(f"The file is neither YAML nor JSON: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise Invalid("The file must be a mapping, such as 'repositories:' with names below it.")
    return document


def _load(data: bytes) -> object:
    """Return what a file says; YAML reads JSON too, but not all of its escapes."""
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return yaml.load(data, _Loader)  # noqa: S506 - a SafeLoader


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is given twice.")
        found[key] = value
    return found


def _refuse(constant: str) -> None:
    raise json.JSONDecodeError(f"{constant} is no value", "", 0)


def _check_values(document: object) -> None:
    """Return if a document is small and its text can be stored (ValueError).

    References within a file make small files large.
    """
    waiting, count = [document], 0
    while waiting:
        value = waiting.pop()
        count += 1
        if count > VALUES_MAX:
            raise ValueError(f"it has more than {VALUES_MAX} values.")
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            value.encode()


def render_document(document: Mapping[str, Any], form: str) -> str:
    """Return sections as text; ``form`` is yaml or json."""
    plain_json = json.dumps(document, indent=2, ensure_ascii=False)
    if form == "json":
        return f"{plain_json}\n"
    # The library writes some line breaks of Unicode so that they are read as spaces.
    is_printable = plain_json.replace("\n", "").isprintable()
    text: str = yaml.safe_dump(
        dict(document), allow_unicode=is_printable, sort_keys=False, width=100
    )
    return text
