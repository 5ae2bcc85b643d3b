"""The config of an image: how it runs, and the steps that made its layers.

A config is what its pusher has written: everything is read as far as it has the right shape, and
anything else is left out.

Sources: OCI image-spec, Image Configuration; docker's image specification for ``Healthcheck``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from repoman_docker.protocol.descriptor import Platform

STEPS_MAX = 2_000
"""Further steps of a history are left out."""
VALUES_MAX = 2_000
"""Further variables, labels, ports or volumes are left out."""
TIME_MAX_S = 253_402_300_800.0  # The year 10,000, which no date can show.

_NOP = re.compile(r"^(?:/bin/sh -c )?#\(nop\)\s*")
_SHELL = re.compile(
    r"^(?:\|\d+ (?:[^=\s]+=\S* )*)?/bin/(?:ba|a|da)?sh (?:-\w+ (?:\w+ )?)*?-\w*c\s+"
)
_VERBS = frozenset(
    re.findall(
        r"\w+",
        "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN "
        "SHELL STOPSIGNAL USER VOLUME WORKDIR",
    )
)
_BUILDKIT = "# buildkit"
_FRACTION = re.compile(r"\.(\d{6})\d+")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the build.

    Attributes:
        verb: the instruction, such as ``RUN``; empty if it is not known.
        text: what comes after it.
        created_at: when it was done, in seconds since the epoch; None: not known.
        is_empty: whether it made no layer.
    """

    verb: str
    text: str
    created_at: float | None = None
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How an engine finds out whether a container works; ``interval_s`` is 0 if not given."""

    command: tuple[str, ...]
    interval_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What a config says; empty is what it does not say."""

    platform: Platform = field(default_factory=lambda: Platform("", ""))
    created_at: float | None = None
    author: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    directory: str = ""
    stop_signal: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    health_check: HealthCheck | None = None
    steps: tuple[Step, ...] = ()
    diff_ids: tuple[str, ...] = ()


def parse_config(body: bytes) -> ImageConfig | None:
    """Return what a config says; None if it is not a JSON object."""
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False)
        fields = json.loads(text.encode("utf-8", "replace"))  # no halves of surrogate pairs
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    run = _record(fields.get("config"))
    rootfs = _record(fields.get("rootfs"))
    return ImageConfig(
        platform=Platform(
            _text(fields.get("os")), _text(fields.get("architecture")), _text(fields.get("variant"))
        ),
        created_at=parse_time(fields.get("created")),
        author=_text(fields.get("author")),
        entrypoint=_texts(run.get("Entrypoint")),
        command=_texts(run.get("Cmd")),
        user=_text(run.get("User")),
        directory=_text(run.get("WorkingDir")),
        stop_signal=_text(run.get("StopSignal")),
        ports=tuple(sorted(_record(run.get("ExposedPorts")), key=_port))[:VALUES_MAX],
        volumes=tuple(sorted(_record(run.get("Volumes"))))[:VALUES_MAX],
        environment=_variables(run.get("Env")),
        labels=_map(run.get("Labels")),
        health_check=_health_check(_record(run.get("Healthcheck"))),
        steps=tuple(_steps(fields.get("history"))),
        diff_ids=_texts(rootfs.get("diff_ids")),
    )


def parse_time(value: object) -> float | None:
    """Return a time (RFC 3339) in seconds since the epoch; None if it is none, or means nothing."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r".\1", value))
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    # Reproducible builds say 1970, or the year 1.
    return seconds if 0 < seconds < TIME_MAX_S else None


def parse_step(created_by: str, *, is_empty: bool = False, created_at: float | None = None) -> Step:
    """Return a step, given how a history tells of it."""
    text = created_by.strip().removesuffix(_BUILDKIT).strip()
    nop = _NOP.match(text)
    plain = text[nop.end() :] if nop else text
    verb, _, rest = plain.partition(" ")
    if verb in _VERBS:
        rest = _SHELL.sub("", rest.strip()) if verb == "RUN" else rest.strip()
        return Step(verb, rest, created_at, is_empty)
    shell = _SHELL.match(plain)
    if shell:
        return Step("RUN", plain[shell.end() :].strip(), created_at, is_empty)
    return Step("", plain, created_at, is_empty)


def _steps(history: object) -> Iterator[Step]:
    for each in history[:STEPS_MAX] if isinstance(history, list) else ():
        entry = _record(each)
        made = _text(entry.get("created_by")) or _text(entry.get("comment"))
        is_empty = entry.get("empty_layer") is True
        yield parse_step(made, is_empty=is_empty, created_at=parse_time(entry.get("created")))


def _health_check(fields: Mapping[str, Any]) -> HealthCheck | None:
    test = _texts(fields.get("Test"))
    kind, command = test[:1], test[1:]
    if not command or kind not in (("CMD",), ("CMD-SHELL",)):
        return None
    interval = fields.get("Interval")
    seconds = interval / 1e9 if isinstance(interval, int) and 0 < interval < 1 << 62 else 0.0
    return HealthCheck(command, seconds)


def _variables(value: object) -> dict[str, str]:
    pairs = (each.partition("=") for each in _texts(value))
    return {name: text for name, _, text in pairs}


def _map(value: object) -> dict[str, str]:
    items = list(_record(value).items())[:VALUES_MAX]
    return {key: text for key, text in items if isinstance(text, str)}


def _port(text: str) -> tuple[int, str]:
    number = text.partition("/")[0]
    return (int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 0), text


def _record(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    found = value[:VALUES_MAX] if isinstance(value, list) else ()
    return tuple(each for each in found if isinstance(each, str))
