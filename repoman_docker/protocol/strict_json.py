"""JSON from outside, read so strictly that no two parsers can understand it differently.

Duplicate keys, known fields in another case (some parsers ignore case), NaN, text after the value,
encodings other than UTF-8, unpaired surrogates and excessive nesting are refused.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NoReturn

from repoman_docker.protocol.errors import ErrorCode, RegistryError, quoted

MAX_SIZE = 2**63 - 1
"""The largest size in bytes that a descriptor may state."""

_MAX_DIGITS = 400  # maximum length of a number; no meaningful number is nearly as long


def parse_object(body: bytes) -> "JsonObject":
    """Parse a JSON object strictly.

    Raises:
        RegistryError: MANIFEST_INVALID, it is not JSON, not an object or ambiguous.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object_of,
            parse_int=_int_of,
            parse_float=_float_of,
            parse_constant=_refuse_constant,
        )
    except ValueError as error:
        raise _invalid(f"The manifest is not JSON: {error}.") from error
    except RecursionError as error:
        raise _invalid("The manifest is nested too deeply.") from error
    if not isinstance(value, dict):
        raise _invalid("The manifest is not a JSON object.")
    return JsonObject(value)


def parse_loosely(body: bytes) -> "JsonObject":
    """Parse a JSON object leniently.

    Raises:
        RegistryError: MANIFEST_INVALID, it is not JSON or not an object.
    """
    try:
        value = json.loads(body, parse_int=_int_of, parse_float=_float_of)
    except (ValueError, RecursionError) as error:
        raise _invalid("The manifest is not JSON.") from error
    if not isinstance(value, dict):
        raise _invalid("The manifest is not a JSON object.")
    return JsonObject(value)


class JsonObject:
    """The fields of an object, each read with the type it must have; null counts as absent.

    Every method raises RegistryError MANIFEST_INVALID with the place if the type is wrong.
    """

    __slots__ = ("_fields", "_place")

    def __init__(self, fields: Mapping[str, object], place: str = "") -> None:
        self._fields = fields
        self._place = place

    def __contains__(self, key: str) -> bool:
        return self._fields.get(key) is not None

    def is_given(self, key: str) -> bool:
        """Return whether the field exists, even as null."""
        return key in self._fields

    def check_case(self, known: Mapping[str, str]) -> None:
        """Refuse fields that some parsers would mistake for a known one.

        Args:
            known: the exact names by their case-folded form.
        """
        for key in self._fields:
            name = known.get(key.casefold(), key)
            if name != key:
                raise self.error(key, f"must be written {name}")

    def text(self, key: str) -> str:
        """Return a string, empty if absent."""
        value = self._fields.get(key)
        if value is None:
            return ""
        return self._checked_text(key, value)

    def loose_text(self, key: str) -> str:
        """Return a string, empty if it is not a string; raises nothing."""
        value = self._fields.get(key)
        return value if isinstance(value, str) else ""

    def integer(self, key: str) -> int | None:
        """Return an integer (2.0 and true are not integers), or None if absent."""
        value = self._fields.get(key)
        if value is not None and type(value) is not int:
            raise self.error(key, "must be an integer")
        return value

    def size(self, key: str) -> int:
        """Return a number of bytes, which must be present."""
        value = self.integer(key)
        if value is None or not 0 <= value <= MAX_SIZE:
            raise self.error(key, "must be a number of bytes")
        return value

    def record(self, key: str) -> "JsonObject | None":
        """Return an object, or None if absent."""
        value = self._fields.get(key)
        return None if value is None else self._checked_object(key, value)

    def records(self, key: str) -> "Iterator[JsonObject]":
        """Yield the objects of a list, nothing if absent."""
        for number, value in enumerate(self._list(key)):
            yield self._checked_object(f"{key}[{number}]", value)

    def count(self, key: str) -> int:
        """Return the length of a list, 0 if absent."""
        return len(self._list(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the strings of a list, none if absent."""
        return tuple(self._checked_text(key, value) for value in self._list(key))

    def text_map(self, key: str) -> dict[str, str]:
        """Return an object whose values are strings, empty if absent."""
        found = self.record(key)
        fields = {} if found is None else found._fields
        return {
            self._checked_text(key, name): self._checked_text(f"{key}.{name}", value)
            for name, value in fields.items()
        }

    def values_of(self, key: str) -> "Iterator[object]":
        """Yield the values of all fields with that name, at any depth."""
        pending: list[object] = [self._fields]
        while pending:
            value = pending.pop()
            if isinstance(value, dict):
                pending.extend(value.values())
                if key in value:
                    yield value[key]
            elif isinstance(value, list):
                pending.extend(value)

    def error(self, key: str, text: str) -> RegistryError:
        """Return the error that says where in the manifest something is wrong."""
        place = f"{self._place}.{key}" if self._place else key
        return _invalid(f"In the manifest, {quoted(place)} {text}.")

    def _list(self, key: str) -> list[object]:
        value = self._fields.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(key, "must be a list")
        return value

    def _checked_object(self, key: str, value: object) -> "JsonObject":
        if not isinstance(value, dict):
            raise self.error(key, "must be an object")
        return JsonObject(value, f"{self._place}.{key}" if self._place else key)

    def _checked_text(self, key: str, value: object) -> str:
        if not isinstance(value, str):
            raise self.error(key, "must be a string")
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise self.error(key, "contains an unpaired surrogate")
        return value


def _object_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise _invalid(f"The manifest has the field {quoted(twice)} more than once in one object.")
    return fields


def _int_of(text: str) -> int | float:
    return int(text) if len(text) <= _MAX_DIGITS else math.inf


def _float_of(text: str) -> float:
    return float(text) if len(text) <= _MAX_DIGITS else math.inf


def _refuse_constant(text: str) -> NoReturn:
    raise _invalid(f"The manifest is not JSON: {text} is not a number.")


def _invalid(message: str) -> RegistryError:
    return RegistryError(ErrorCode.MANIFEST_INVALID, message)
