"""Known vulnerabilities: remotes of proxies know them. They learn no names that others serve."""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from repoman.plugin import (
    Invalid,
    NotFound,
    RemoteQuery,
    RepomanError,
    TooLarge,
    current_environ,
    read_body,
    read_json,
)
from repoman_npm.routes.remotes import Serves, backends, serves_of

BODY_MAX_BYTES = 8 << 20  # Of a request, once it is decompressed.
NAMES_MAX = 20_000  # Of packages in a request: each is looked up.
DEPTH_MAX = 100  # Of a tree of dependencies.
PARTS = ("requires", "dependencies")
BULK, OLD, KEYS = "-/npm/v1/security/advisories/bulk", "-/npm/v1/security/", "-/npm/v1/keys"
LEVELS = ("info", "low", "moderate", "high", "critical")
COUNTS = ("dependencies", "devDependencies", "optionalDependencies", "totalDependencies")


def add_routes(blueprint: Blueprint) -> None:
    """Add the routes."""
    blueprint.post(f"/{BULK}")(bulk)
    blueprint.post(f"/{OLD}audits")(audit)
    blueprint.post(f"/{OLD}audits/quick")(audit)
    blueprint.get(f"/{KEYS}")(keys)


def bulk() -> Response:
    """Return the advisories for names and versions, of all remotes."""
    given, found = _body(), dict[str, Any]()
    _check_room(len(given))
    answers = _ask(BULK, lambda serves: {key: each for key, each in given.items() if serves(key)})
    for each in reversed(answers):
        found |= each
    return jsonify(found)


def audit() -> Response:
    """Return a report for a whole tree, as old clients ask for it: that of the first remote."""
    given = _body()
    _check_tree(given)
    path = request.path.removeprefix("/")
    nothing = {
        "actions": [],
        "advisories": {},
        "muted": [],
        "metadata": {"vulnerabilities": dict.fromkeys(LEVELS, 0), **dict.fromkeys(COUNTS, 0)},
    }
    answers = _ask(path, lambda serves: _served(given, serves))
    return jsonify(answers[0] if answers else nothing)


def keys() -> Response:
    """Return the keys with which a registry signs: those of the first remote that has some."""
    failure: RepomanError = NotFound("This registry does not sign packages.")
    for backend in backends():
        try:
            body = backend.service.ask_remote(RemoteQuery(KEYS))
        except RepomanError as error:
            failure = error
            continue
        if body is not None:
            return Response(body, mimetype="application/json")
    raise failure


def _ask(path: str, make: Callable[[Serves], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what remotes answer, each to what is its business (UpstreamError: all failed)."""
    answers: list[dict[str, Any]] = []
    failure: RepomanError | None = None
    for backend in backends():
        if not (wanted := make(serves_of(backend))):
            continue
        body = json.dumps(wanted).encode()
        try:
            answer = backend.service.ask_remote(
                RemoteQuery(path, "POST", {"Content-Type": "application/json"}, body)
            )
            if answer is not None:
                answers.append(_parsed(answer))
        except RepomanError as error:
            failure = error
    if failure is not None and not answers:
        raise failure
    return answers


def _check_tree(tree: Mapping[str, Any]) -> None:
    """Return if a tree is neither too wide nor too deep (TooLarge)."""
    names, depth, level = 0, 0, _objects([tree])
    while level:
        parts = _objects(each.get(key) for each in level for key in PARTS)
        names, depth = names + sum(map(len, parts)), depth + 1
        _check_room(names)
        if depth > DEPTH_MAX:
            raise TooLarge(f"The tree is nested more than {DEPTH_MAX} deep.")
        level = _objects(each for part in parts for each in part.values())


def _check_room(names: int) -> None:
    if names > NAMES_MAX:
        raise TooLarge(f"An audit is about {NAMES_MAX} packages at most.")


def _objects(values: Iterable[Any]) -> list[Mapping[str, Any]]:
    return [each for each in values if isinstance(each, Mapping)]


def _served(tree: Mapping[str, Any], serves: Serves) -> dict[str, Any]:
    """Return a tree of dependencies without those that are none of a remote's business."""
    kept = dict(tree)
    for key in PARTS:
        parts = kept.get(key)
        if isinstance(parts, Mapping):
            kept[key] = {
                name: _served(each, serves) if isinstance(each, Mapping) else each
                for name, each in parts.items()
                if serves(name)
            }
    return kept


def _body() -> dict[str, Any]:
    """Return the JSON object that was sent, which npm compresses."""
    data = read_body(current_environ(), BODY_MAX_BYTES)
    if "gzip" in request.headers.get("Content-Encoding", ""):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            data = unpacker.decompress(data, BODY_MAX_BYTES)
        except zlib.error as error:
            raise Invalid(f"The body is not compressed as it says: {error}.") from error
        if unpacker.unconsumed_tail:
            raise TooLarge(f"The body has more than {BODY_MAX_BYTES} bytes.")
    return _parsed(data)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = read_json(data)
    except ValueError as error:
        raise Invalid(f"This is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Invalid("This is no JSON object.")
    return found
