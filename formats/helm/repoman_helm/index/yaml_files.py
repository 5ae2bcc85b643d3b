"""YAML, read with all scalars as texts: nothing is a date or a number by its looks.

It is read event by event. The library would compose a large document in one piece, and no other
thread of the server could run meanwhile.
"""

import json
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

ALIASES_MAX_CHARS = 1 << 20  # A document whose aliases stand for more is refused.

LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def parse_yaml(body: bytes) -> Any:
    """Return the value of a document in JSON, or else YAML (ValueError: it cannot be read)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    try:
        events = yaml.parse(body, LOADER)
        return _Reader(each for each in events if isinstance(each, _PARTS)).read()
    except (yaml.YAMLError, RecursionError, TypeError) as error:
        raise ValueError(" ".join(str(error).split())) from error


_PARTS = (NodeEvent, MappingEndEvent, SequenceEndEvent)


class _Reader:
    """Makes values of events."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self._anchors: dict[str, Any] = {}
        self._left = ALIASES_MAX_CHARS

    def read(self) -> Any:
        """Return the next value (ValueError: there is none)."""
        event = next(self._events, None)
        if event is None:
            raise ValueError("it is empty")
        return self._value(event)

    def _value(self, event: Event) -> Any:
        if isinstance(event, ScalarEvent):
            return self._noted(event, event.value)
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise ValueError(f"there is no anchor {event.anchor}")
            value = self._anchors[event.anchor]
            self._spend(value)
            return value
        if isinstance(event, SequenceStartEvent):
            return self._noted(event, self._sequence())
        if isinstance(event, MappingStartEvent):
            return self._noted(event, self._mapping())
        raise ValueError("it ends too early")

    def _noted(self, event: Any, value: Any) -> Any:
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _spend(self, value: Any) -> None:
        """Count what an alias repeats: few of them could stand for more than any memory holds."""
        self._left -= 1 + (len(value) if isinstance(value, str) else 0)
        if self._left < 0:
            raise ValueError(f"its aliases stand for more than {ALIASES_MAX_CHARS} characters")
        if isinstance(value, list | dict):
            for each in value:
                self._spend(each)
        if isinstance(value, dict):
            for each in value.values():
                self._spend(each)

    def _sequence(self) -> list[Any]:
        found: list[Any] = []
        for event in self._events:
            if isinstance(event, SequenceEndEvent):
                break
            found.append(self._value(event))
        return found

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                break
            found[self._value(event)] = self.read()
        return found
