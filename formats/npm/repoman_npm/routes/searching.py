"""The search of npm: names of packages that are hosted, and what remotes find."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, jsonify, request

from repoman.plugin import (
    READING,
    FileRepository,
    Invalid,
    Metadata,
    NotFound,
    RemoteQuery,
    RepomanError,
    current_actor,
    current_ref,
    current_security,
    read_json,
)
from repoman_npm.routes.remotes import Serves, backends, serves_of

ALL = Metadata("-/all")  # The names of all packages of a hosted repository.
SIZE, SIZE_MAX, FROM_MAX = 20, 250, 1000

Describe = Callable[[], list[dict[str, Any]]]
"""Returns what is told of a package that was found."""


def add_routes(blueprint: Blueprint) -> None:
    """Add the route."""
    blueprint.get("/-/v1/search")(search)


def search() -> Any:
    """Return packages that the visitor may read, those of the first backend first."""
    size, start = _number("size", SIZE, SIZE_MAX), _number("from", 0, FROM_MAX)
    text = request.args.get("text", "").strip()
    found: dict[str, Describe] = {}
    may = current_security().authorizer.name_filter(
        current_actor(), current_ref(), READING, lambda name: f"/{name}"
    )
    for backend in backends():
        served = serves_of(backend)

        def sees(name: str, serves: Serves = served) -> bool:
            return name not in found and (may is None or may(name)) and serves(name)

        if wanted := start + size - len(found):
            found.update(islice(_found_in(backend.service, text, sees, start + size), wanted))
    objects = [each for describe in islice(found.values(), start, None) for each in describe()]
    now = f"{datetime.now(UTC):%a %b %d %Y %H:%M:%S GMT+0000 (UTC)}"
    return jsonify(objects=objects, total=len(found), time=now)


def _found_in(
    service: FileRepository, text: str, sees: Serves, limit: int
) -> Iterator[tuple[str, Describe]]:
    """Yield the names that one backend finds; a remote that fails has nothing."""
    try:
        query = urlencode({"text": text, "size": min(limit, SIZE_MAX)})
        body = service.ask_remote(RemoteQuery(f"-/v1/search?{query}"))
        if body is None:
            yield from _hosted(service, text, sees)
            return
        for each in read_json(body)["objects"]:
            if isinstance(name := each["package"]["name"], str) and sees(name):
                yield name, partial(list, [each])
    except (RepomanError, ValueError, KeyError, TypeError):
        return


def _hosted(service: FileRepository, text: str, sees: Serves) -> Iterator[tuple[str, Describe]]:
    words = [each for each in text.lower().split() if ":" not in each]
    scopes = [f"@{each[6:].lstrip('@')}/" for each in text.split() if each.startswith("scope:")]
    for name in service.document(ALL).value:
        if (
            all(word in name.lower() for word in words)
            and (not scopes or name.startswith(tuple(scopes)))
            and sees(name)
        ):
            yield name, partial(_describe, service, name)


def _describe(service: FileRepository, name: str) -> list[dict[str, Any]]:
    """Return what is told of a hosted package; nothing if it was deleted meanwhile."""
    try:
        return [_object(service.document(Metadata(name, name)).value)]
    except NotFound:
        return []


def _object(packument: dict[str, Any]) -> dict[str, Any]:
    latest = packument["versions"][packument["dist-tags"]["latest"]]
    package = {
        "name": packument["name"],
        "version": latest["version"],
        "description": packument.get("description", ""),
        "keywords": packument.get("keywords") or [],
        "date": packument["time"]["modified"],
        "links": {},
        "maintainers": packument.get("maintainers") or [],
        "publisher": {"username": ""},
    }
    score = {"final": 1, "detail": {"quality": 1, "popularity": 1, "maintenance": 1}}
    return {"package": package, "score": score, "searchScore": 1}


def _number(name: str, default: int, most: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Invalid(f"{name}: must be a number.", field=name)
    return min(int(text), most)
