"""The OpenAPI description of the REST API, made from the same data that serves it."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from pydantic import TypeAdapter

from repoman.rest.endpoints import EVERYBODY, Area, Endpoint
from repoman.rest.resources import Problem

OPENAPI_VERSION = "3.1.0"
REF = "#/components/schemas/{model}"

Mode = Literal["validation", "serialization"]
Key = tuple[str, Mode]
TEXT = {"text/plain": {"schema": {"type": "string"}}}
ERRORS = {
    400: "The request is invalid: a list of what is wrong, each with the field or parameter.",
    401: "Authentication is required, or the credentials are wrong.",
    403: "You are not allowed to do this.",
    404: "It does not exist, or you have no access to it.",
}


def describe_api(areas: Iterable[Area], version: str, root: str) -> dict[str, Any]:
    """Return the OpenAPI document of areas; ``root`` is the path in front of theirs."""
    areas = list(areas)
    endpoints = [each for area in areas for each in area.endpoints]
    schemas, definitions = TypeAdapter.json_schemas(
        [("problem", "serialization", TypeAdapter(Problem)), *_types(endpoints)],
        ref_template=REF,
    )
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        operation = _describe(each, schemas)
        paths.setdefault(each.path, {})[each.method.lower()] = operation
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": "repoman", "version": version},
        "servers": [{"url": root}],
        "tags": [{"name": each.title, "description": each.description} for each in areas],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
    }


def _key(endpoint: Endpoint, what: str) -> str:
    return f"{endpoint.method} {endpoint.path} {what}"


def _types(endpoints: Iterable[Endpoint]) -> Iterator[tuple[str, Mode, TypeAdapter[Any]]]:
    for each in endpoints:
        for what in ("query", "body"):
            if what in each.inputs:
                yield _key(each, what), "validation", TypeAdapter(each.inputs[what])
        if each.output not in (None, str):
            yield _key(each, "output"), "serialization", TypeAdapter(each.output)


def _describe(endpoint: Endpoint, schemas: dict[Key, dict[str, Any]]) -> dict[str, Any]:
    summary, _, rest = (endpoint.function.__doc__ or "").strip().partition("\n")
    words = " ".join(rest.split())
    is_open = endpoint.right == EVERYBODY
    described: dict[str, Any] = {
        "tags": [endpoint.area.title],
        "operationId": endpoint.function.__name__,
        "summary": summary,
        "description": f"{words} {endpoint.right.text}".strip(),
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": _responses(endpoint, schemas, is_open=is_open),
        "security": [] if is_open else [{"basic": []}],
    }
    if body := _request_body(endpoint, schemas):
        described["requestBody"] = {"required": True, "content": body}
    return described


def _path_parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for name in endpoint.names:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    if "query" not in endpoint.inputs:
        return
    model = endpoint.inputs["query"].model_json_schema(ref_template=REF)
    for name, schema in model["properties"].items():
        is_required = name in model.get("required", ())
        found = {"name": name, "in": "query", "required": is_required}
        if text := schema.pop("description", ""):
            found["description"] = text
        yield {**found, "schema": schema}


def _request_body(endpoint: Endpoint, schemas: dict[Key, dict[str, Any]]) -> dict[str, Any]:
    if "body" in endpoint.inputs:
        return {"application/json": {"schema": schemas[_key(endpoint, "body"), "validation"]}}
    if "text" in endpoint.inputs:
        return TEXT
    if "form" in endpoint.inputs:
        return {"multipart/form-data": {"schema": {"type": "object"}}}
    return {}


def _responses(
    endpoint: Endpoint, schemas: dict[Key, dict[str, Any]], *, is_open: bool
) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if endpoint.output is str:
        content = TEXT
    elif endpoint.output is not None:
        schema = schemas[_key(endpoint, "output"), "serialization"]
        content = {"application/json": {"schema": schema}}
    answers: dict[str, Any] = {
        str(endpoint.status): {"description": "Done.", **({"content": content} if content else {})}
    }
    problem = schemas["problem", "serialization"]
    for status, text in ERRORS.items():
        if (status == 400 and not endpoint.inputs) or (status in (401, 403) and is_open):
            continue
        if status == 404 and not endpoint.names:
            continue
        schema = {"oneOf": [problem, {"type": "array", "items": problem}]}
        shown = TEXT if endpoint.has_plain_errors else {"application/json": {"schema": schema}}
        answers[str(status)] = {"description": text, "content": shown}
    return answers
