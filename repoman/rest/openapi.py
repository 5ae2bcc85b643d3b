"""The OpenAPI description of the REST API, made from the same data that serves it."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel

from repoman.rest.endpoints import API_ROOT, EVERYBODY, Area, Endpoint, Reply
from repoman.rest.resources import Problem, ProblemDetails

OPENAPI_VERSION = "3.1.0"
REF = "#/components/schemas/{model}"
JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
MERGE_PATCH = "application/merge-patch+json"
METHODS_OF_CHANGE = ("POST", "PUT", "PATCH", "DELETE")

Mode = Literal["validation", "serialization"]
Key = tuple[str, Mode]
Json = dict[str, Any]
TEXT: Json = {"text/plain": {"schema": {"type": "string"}}}
BINARY: Json = {
    "type": "string",
    "format": "binary",
    "contentMediaType": "application/octet-stream",
}
ERRORS = {
    400: "The request is invalid: what is wrong, each with the field or parameter.",
    401: "Authentication is required, or the credentials are wrong.",
    403: "You are not allowed to do this.",
    404: "It does not exist, or you have no access to it.",
    405: "It does not support this.",
    406: "The client does not accept the media type of the answer.",
    409: "It conflicts with the present state.",
    412: "It has changed since the client read it (If-Match).",
    413: "The body is too large.",
    415: "The body has another media type.",
    429: "Too many wrong passwords, or too many requests.",
    503: "The server cannot do this at the moment.",
    507: "There is not enough disk space.",
}
LINK_STEPS = 3  # What is created at a path is shown below it, or below one or two steps above.
BARE = frozenset({401, 403, 406, 415})  # These have no body below the root of Nexus.


def describe_api(areas: Iterable[Area], version: str, root: str) -> Json:
    """Return the OpenAPI document of areas; ``root`` is the path in front of theirs."""
    return _Description(list(areas), root).render(version)


class _Description:
    """The parts of the document."""

    def __init__(self, areas: list[Area], root: str) -> None:
        self._areas = areas
        self._root = root
        self._endpoints = [each for area in areas for each in area.endpoints]
        problem = ProblemDetails if root == API_ROOT else Problem
        self._schemas, definitions = TypeAdapter.json_schemas(
            [("problem", "serialization", TypeAdapter(problem)), *_types(self._endpoints)],
            ref_template=REF,
        )
        self._definitions: dict[str, Json] = definitions.get("$defs", {})

    def render(self, version: str) -> Json:
        """Return the document."""
        paths: dict[str, Json] = {}
        for each in self._endpoints:
            paths.setdefault(each.path, {})[each.method.lower()] = self._operation(each)
        return {
            "openapi": OPENAPI_VERSION,
            "info": {"title": "repoman", "version": version},
            "servers": [{"url": self._root}],
            "tags": [{"name": each.title, "description": each.description} for each in self._areas],
            "paths": paths,
            "components": {
                "schemas": self._definitions,
                "responses": {str(status): self._error(status) for status in ERRORS},
                "securitySchemes": {
                    "basic": {
                        "type": "http",
                        "scheme": "basic",
                        "description": "A user and the password, or a user token in its place.",
                    }
                },
            },
        }

    def _operation(self, endpoint: Endpoint) -> Json:
        summary, _, rest = (endpoint.function.__doc__ or "").strip().partition("\n")
        words = " ".join(rest.split())
        is_open = endpoint.right == EVERYBODY
        described: Json = {
            "tags": [endpoint.area.title],
            "operationId": endpoint.operation_id,
            "summary": summary,
            "description": f"{words} {endpoint.right.text}".strip(),
            "parameters": [*self._parameters(endpoint)],
            "responses": self._responses(endpoint, is_open=is_open),
            "security": [] if is_open else [{"basic": []}],
        }
        if body := self._request_body(endpoint):
            described["requestBody"] = {"required": True, "content": body}
        return described

    def _parameters(self, endpoint: Endpoint) -> Iterator[Json]:
        for name in endpoint.names:
            yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        if "query" in endpoint.inputs:
            model = self.resolved(self._schemas[_key(endpoint, "query"), "validation"])
            for name, schema in model.get("properties", {}).items():
                is_required = name in model.get("required", ())
                shown = _without_null(schema)
                found = {"name": name, "in": "query", "required": is_required, "schema": shown}
                if text := schema.get("description", ""):
                    found["description"] = text
                yield found
        if endpoint.matches is not None:
            text = (
                "The ETag of the state that the client has read; without it any state is changed."
            )
            schema = {"type": "string"}
            yield {"name": "If-Match", "in": "header", "description": text, "schema": schema}

    def resolved(self, schema: Json) -> Json:
        """Return a schema, or the one that it refers to."""
        name = schema.get("$ref", "").rpartition("/")[2]
        return self._definitions[name] if name else schema

    def _request_body(self, endpoint: Endpoint) -> Json:
        if "body" in endpoint.inputs:
            kind = MERGE_PATCH if endpoint.method == "PATCH" else JSON
            return {kind: {"schema": self._schemas[_key(endpoint, "body"), "validation"]}}
        if "text" in endpoint.inputs:
            return TEXT
        if "form" not in endpoint.inputs:
            return {}
        schema = self._schemas.get((_key(endpoint, "form"), "validation"), {"type": "object"})
        for name, field in self.resolved(schema).get("properties", {}).items():
            if _without_null(field).get("format") == "binary":
                kept = {key: each for key, each in field.items() if key in ("title", "description")}
                self.resolved(schema)["properties"][name] = {**BINARY, **kept}
        return {"multipart/form-data": {"schema": schema}}

    def _responses(self, endpoint: Endpoint, *, is_open: bool) -> Json:
        content: Json = {}
        if endpoint.output is str:
            content = TEXT
        elif _has_model(endpoint):
            content = {JSON: {"schema": self._schemas[_key(endpoint, "output"), "serialization"]}}
        done: Json = {"description": "Done.", **({"content": content} if content else {})}
        if links := self._links(endpoint):
            done["links"] = links
        answers: Json = {str(endpoint.status): done}
        for status in sorted(_errors_of(endpoint, is_open=is_open)):
            if status in endpoint.bare:
                answers[str(status)] = {"description": ERRORS.get(status, "It is refused.")}
            elif endpoint.has_plain_errors and status not in {*BARE, 429}:
                answers[str(status)] = {"description": ERRORS[status], "content": TEXT}
            else:
                answers[str(status)] = {"$ref": f"#/components/responses/{status}"}
        for status, text in endpoint.answers.items():
            answers[str(status)] = {"description": text}
        return answers

    def _links(self, endpoint: Endpoint) -> Json:
        """Return where what a request has created is shown, changed and deleted."""
        if endpoint.method != "POST":
            return {}
        sources = {
            **self._properties(endpoint, "body", "validation", "$request"),
            **self._properties(endpoint, "output", "serialization", "$response"),
        }
        above = [endpoint.path.rsplit("/", count)[0] for count in range(LINK_STEPS)]
        begins = tuple(f"{path}/{{" for path in above)
        links: Json = {}
        for each in self._endpoints:
            found = {name: sources.get(_field_of(name, sources)) for name in each.names}
            if each.path.startswith(begins) and all(found.values()):
                links[each.operation_id] = {"operationId": each.operation_id, "parameters": found}
        return links

    def _properties(self, endpoint: Endpoint, what: str, mode: Mode, place: str) -> dict[str, str]:
        """Return expressions for the fields of a body, by their names."""
        schema = self.resolved(self._schemas.get((_key(endpoint, what), mode), {}))
        return {name: f"{place}.body#/{name}" for name in schema.get("properties", {})}

    def _error(self, status: int) -> Json:
        problem = self._schemas["problem", "serialization"]
        if self._root == API_ROOT:
            content = {PROBLEM_JSON: {"schema": problem}}
        else:
            content = {JSON: {"schema": {"oneOf": [problem, {"type": "array", "items": problem}]}}}
            if status == 503:
                content |= TEXT
        is_bare = self._root != API_ROOT and status in BARE
        return {"description": ERRORS[status], **({} if is_bare else {"content": content})}


def _field_of(name: str, fields: Container[str]) -> str:
    """Return the field of a body that a part of a path is: ``role_id`` may be its ``id``."""
    whole = to_camel(name)
    return whole if whole in fields else name.rpartition("_")[2]


def _without_null(schema: Json) -> Json:
    """Return the schema of a parameter: an absent one is what null is in a body."""
    shown = {key: each for key, each in schema.items() if key != "description"}
    if shown.get("default", ...) is None:
        del shown["default"]
    kinds = [each for each in shown.get("anyOf", ()) if each != {"type": "null"}]
    if len(kinds) == 1:
        del shown["anyOf"]
        shown |= kinds[0]
    return shown


def _key(endpoint: Endpoint, what: str) -> str:
    return f"{endpoint.method} {endpoint.path} {what}"


def _types(endpoints: Iterable[Endpoint]) -> Iterator[tuple[str, Mode, TypeAdapter[Any]]]:
    for each in endpoints:
        for what in ("query", "body"):
            if what in each.inputs:
                yield _key(each, what), "validation", TypeAdapter(each.inputs[what])
        if each.form_model is not None:
            yield _key(each, "form"), "validation", TypeAdapter(each.form_model)
        if _has_model(each):
            yield _key(each, "output"), "serialization", TypeAdapter(each.output)


def _has_model(endpoint: Endpoint) -> bool:
    return endpoint.output not in (None, str, Reply)


def _errors_of(endpoint: Endpoint, *, is_open: bool) -> set[int]:
    """Return the statuses with which a request to an endpoint may fail."""
    inputs: Mapping[str, Any] = endpoint.inputs
    has_names = bool(endpoint.names or "query" in inputs)
    found = {401, 429, *endpoint.bare}
    for applies, statuses in (
        (not is_open or has_names, {403}),
        (has_names or inputs, {400}),
        (has_names, {404, 405}),
        (_has_model(endpoint), {406}),
        ({"body", "text"} & inputs.keys(), {413, 415}),
        ("form" in inputs, {413, 507}),
        (endpoint.method in METHODS_OF_CHANGE, {403, 405, 409, 503}),
        (endpoint.matches is not None, {412}),
    ):
        if applies:
            found |= statuses
    return found - endpoint.answers.keys()
