"""Makes ``docs/rest_api.md`` from the models of the REST API: ``make api``."""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import repoman_docker.plugin
import repoman_raw.plugin
from repoman import __version__
from repoman.plugins import create_plugin_manager
from repoman.rest.areas import AREAS
from repoman.rest.endpoints import API_ROOT, NEXUS_ROOT, Area, Endpoint
from repoman.rest.openapi import describe_api
from tests.architecture import ROOT

PAGE = ROOT / "docs" / "rest_api.md"
SERVER = "http://127.0.0.1:8081"
DEPTH_MAX = 4  # Of the fields in fields that a table shows.
INTRODUCTION = Path(__file__).with_name("rest_docs.txt")


def make_page() -> str:
    """Return the text of the page."""
    manager = create_plugin_manager([])
    for name, plugin in (("docker", repoman_docker.plugin), ("raw", repoman_raw.plugin)):
        if not manager.has_plugin(name):
            manager.register(plugin, name)
    areas = [*AREAS, *chain(*manager.hook.repoman_register_rest())]
    parts = [INTRODUCTION.read_text(encoding="utf-8")]
    for root in (NEXUS_ROOT, API_ROOT):
        chosen = [each for each in areas if each.root == root and each.endpoints]
        if chosen:
            parts += _Document(chosen, root).render()
    return "\n".join(parts).rstrip() + "\n"


class _Document:
    """The part of the page about the areas of one root."""

    def __init__(self, areas: list[Area], root: str) -> None:
        self._areas = areas
        self._root = root
        self._described = describe_api(areas, __version__, root)
        self._schemas = self._described["components"]["schemas"]

    def render(self) -> Iterator[str]:
        """Yield the parts."""
        for area in self._areas:
            yield f"## {area.title}\n\n{area.description} Paths are below `{self._root}`.\n"
            yield "| | | |\n|---|---|---|"
            yield from (self._row(each) for each in area.endpoints)
            yield ""
            if path := example_of(area):
                yield f"```sh\n{curl(self._root + path)}\n```\n"
            for each in area.endpoints:
                yield from self._details(each)

    def _operation(self, endpoint: Endpoint) -> dict[str, Any]:
        operation: dict[str, Any] = self._described["paths"][endpoint.path][endpoint.method.lower()]
        return operation

    def _row(self, endpoint: Endpoint) -> str:
        summary = self._operation(endpoint)["summary"]
        return f"| `{endpoint.method} {endpoint.path}` | {summary} | {endpoint.right.text} |"

    def _details(self, endpoint: Endpoint) -> Iterator[str]:
        operation = self._operation(endpoint)
        text = operation["description"].removesuffix(endpoint.right.text).strip()
        yield f"### {endpoint.method} {endpoint.path}\n"
        yield f"{operation['summary']} {text}".strip() + "\n"
        rows = [*self._parameters(operation)]
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"The body is `{kind}`.\n"
            rows += self._fields(content["schema"])
        if rows:
            yield "| parameter or field | type | default | |\n|---|---|---|---|"
            yield from rows
            yield ""
        yield self._answers(operation)

    def _parameters(self, operation: dict[str, Any]) -> Iterator[str]:
        for each in operation["parameters"]:
            if each["in"] == "query":
                schema = {**each["schema"], "description": each.get("description", "")}
                yield self._field(each["name"], schema, is_required=each["required"])

    def _fields(self, schema: dict[str, Any], prefix: str = "", depth: int = 0) -> Iterator[str]:
        model = self._resolved(schema)
        for name, each in model.get("properties", {}).items():
            is_required = name in model.get("required", ())
            yield self._field(prefix + name, each, is_required=is_required)
            inner, mark = self._inner(each)
            if depth < DEPTH_MAX and inner:
                yield from self._fields(inner, f"{prefix}{name}{mark}.", depth + 1)

    def _inner(self, schema: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Return the object that a field holds, and what marks a list of them."""
        for each in (schema, *schema.get("anyOf", ()), *schema.get("allOf", ())):
            is_list = each.get("type") == "array"
            found = self._resolved(each.get("items", {}) if is_list else each)
            if "properties" in found:
                return found, "[]" if is_list else ""
        return {}, ""

    def _field(self, name: str, schema: dict[str, Any], *, is_required: bool) -> str:
        default = "required" if is_required else ""
        if "default" in schema:
            default = f"`{_json(schema['default'])}`"
        found = self._resolved(schema)
        text = schema.get("description") or found.get("description", "")
        limits = ", ".join(_limits(schema))
        about = f"{' '.join(text.split())} {f'({limits})' if limits else ''}".strip()
        kind = self._type(schema).replace("|", "\\|")
        return f"| `{name}` | {kind} | {default} | {about.replace('|', chr(92) + '|')} |"

    def _type(self, schema: dict[str, Any]) -> str:
        if "anyOf" in schema:
            kinds = [self._type(each) for each in schema["anyOf"]]
            return " or ".join(dict.fromkeys(kinds))
        found = self._resolved(schema)
        if "enum" in found:
            return ", ".join(f"`{each}`" for each in found["enum"])
        if "const" in found:
            return f"`{found['const']}`"
        kind = found.get("type", "any")
        if kind == "array":
            return f"list of {self._type(found.get('items', {}))}"
        return "file" if found.get("format") == "binary" else str(kind)

    def _answers(self, operation: dict[str, Any]) -> str:
        told = []
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            if "$ref" in answer:
                told.append(status)
            elif content and "application/json" in content:
                told.append(f"{status} with {self._shape(content['application/json']['schema'])}")
            elif answer["description"] != "Done.":
                told.append(f"{status} ({answer['description'].rstrip('.')})")
            else:
                told.append(f"{status}{' with text' if content else ''}")
        return f"Answers: {', '.join(told)}.\n"

    def _shape(self, schema: dict[str, Any]) -> str:
        found = self._resolved(schema)
        if found.get("type") == "array":
            return f"a list of {self._shape(found.get('items', {}))}"
        names = ", ".join(f"`{each}`" for each in found.get("properties", {}))
        return names or self._type(found)

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        name = schema.get("$ref", "").rpartition("/")[2]
        return self._schemas[name] if name else schema


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    for each in (schema, *schema.get("anyOf", ())):
        for key, words in (
            ("minimum", "at least {}"),
            ("maximum", "at most {}"),
            ("maxLength", "at most {} characters"),
            ("minItems", "at least {} items"),
        ):
            if key in each:
                yield words.format(each[key])


def _json(value: Any) -> str:
    return json.dumps(value)


def example_of(area: Area) -> str:
    """Return the path of the example of an area: its own, or one that needs nothing."""
    if area.example:
        return area.example
    plain = [each for each in area.endpoints if each.method == "GET" and not each.names]
    return next((each.path for each in plain if _needs_nothing(each)), "")


def _needs_nothing(endpoint: Endpoint) -> bool:
    query = endpoint.inputs.get("query")
    return query is None or not any(each.is_required() for each in query.model_fields.values())


def curl(path: str) -> str:
    """Return the command of an example."""
    quoted = f"'{SERVER}{path}'" if "?" in path else SERVER + path
    return f"curl --fail --user admin:$PASSWORD {quoted}"


if __name__ == "__main__":
    PAGE.write_text(make_page(), encoding="utf-8")
