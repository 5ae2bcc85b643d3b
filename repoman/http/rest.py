"""Serves the endpoints of :mod:`repoman.rest`: from a request to their models, and back."""

import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from itertools import chain
from typing import Any, TypeVar, get_origin

from flask import Blueprint, Flask, Response, request
from pydantic import TypeAdapter, ValidationError
from werkzeug.exceptions import NotAcceptable, UnsupportedMediaType

from repoman import __version__
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.http.addresses import main_address
from repoman.http.body import close_untaken, read_body
from repoman.http.current import AUDIT, current_actor, current_environ
from repoman.http.errors import Failure, render_plain
from repoman.http.formats import Format, name_of_file
from repoman.http.multipart import receive_form
from repoman.plugins import unique
from repoman.problems import problem_of
from repoman.rest.areas import AREAS
from repoman.rest.audit import EventQuery, EventView, find_events
from repoman.rest.endpoints import Call, Endpoint
from repoman.rest.openapi import describe_api
from repoman.rest.resources import Page, Problem, Query

ROOT = "/service/rest"
DESCRIPTIONS = ("/openapi.json", "/swagger.json")  # The second one is that of Nexus Repository 3.
OLD_VERSION = ("/v1/", "/beta/")  # Scripts use the second one for the first.
BODY_MAX_BYTES = 1 << 20  # The largest JSON or text body.
ENDPOINT = "repoman.endpoint"  # environ: the Endpoint that a request reached
JSON = "application/json"
PARAMETER = "PARAMETER "  # In front of the name of a field or parameter that is invalid.

AnyQuery = TypeVar("AnyQuery", bound=Query)


class InvalidInput(Invalid):
    """Several things are wrong with what a request has.

    Attributes:
        problems: each of them.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(
            " ".join(f"{each.id.removeprefix(PARAMETER)}: {each.message}" for each in problems)
        )
        self.problems = problems


def create_rest(repoman: Repoman, formats: Mapping[str, Format]) -> Blueprint:
    """Return the routes of all areas, those of plugins too, and of their description.

    Raises:
        Conflict: two of them answer the same method on the same path.
    """
    areas = [*AREAS, *chain(*repoman.plugins.hook.repoman_register_rest())]
    endpoints = [each for area in areas for each in area.endpoints]
    unique("REST endpoint", [(f"{each.method} {each.path}", each) for each in endpoints])
    blueprint = Blueprint("repoman_rest", __name__, url_prefix=ROOT)
    for number, each in enumerate(endpoints):
        rule = each.path.replace("{", "<").replace("}", ">")
        view = _View(repoman, formats, each)
        for path in {rule, rule.replace(*OLD_VERSION)}:
            blueprint.add_url_rule(
                path, f"rest{number}", view, methods=[each.method], strict_slashes=False
            )
    description = json.dumps(describe_api(areas, __version__, ROOT), indent=2)

    def describe() -> Response:
        return Response(description, mimetype=JSON)

    for path in DESCRIPTIONS:
        blueprint.add_url_rule(path, "describe", describe)
    return blueprint


class _View:
    """Calls an endpoint for a request."""

    def __init__(self, repoman: Repoman, formats: Mapping[str, Format], endpoint: Endpoint) -> None:
        self._repoman = repoman
        self._formats = formats
        self._endpoint = endpoint
        takes = inspect.signature(endpoint.function).parameters
        self._names = [name for name in endpoint.names if name in takes]
        body, output = endpoint.inputs.get("body"), endpoint.output
        self._body: TypeAdapter[Any] | None = None if body is None else TypeAdapter(body)
        self._output: TypeAdapter[Any] | None = (
            None if output in (None, str) else TypeAdapter(output)
        )

    def __call__(self, **path: str) -> Response:
        """Return the answer."""
        environ, endpoint = current_environ(), self._endpoint
        environ[ENDPOINT] = endpoint
        call = Call(
            repoman=self._repoman,
            actor=current_actor(),
            address=request.remote_addr or "",
            base_url=main_address(),
            name_of=self._name_of,
        )
        try:
            endpoint.right.check(call, {**request.args, **path})
            self._check_accepted()
            inputs = dict(self._inputs(call))
            with inputs.get("form") or nullcontext():
                answer = endpoint.function(
                    call, **{name: path[name] for name in self._names}, **inputs
                )
        finally:
            close_untaken(environ)
        return self._render(answer)

    def _name_of(self, format_: str, path: str) -> str:
        found = self._formats.get(format_)
        return name_of_file(path) if found is None else found.name_of(path)

    def _check_accepted(self) -> None:
        accepted = request.accept_mimetypes
        if self._output is not None and accepted.provided and not accepted.quality(JSON):
            raise NotAcceptable("This address answers with application/json only.")

    def _inputs(self, call: Call) -> Iterator[tuple[str, Any]]:
        """Yield what the function takes besides parts of the path; the body comes last."""
        environ, inputs = current_environ(), self._endpoint.inputs
        if "query" in inputs:
            yield "query", parse_query(inputs["query"])
        if self._body is not None:
            yield "body", _parse_body(self._body)
        elif "text" in inputs:
            yield "text", _decode(read_body(environ, BODY_MAX_BYTES))
        elif self._endpoint.open_part is not None:
            yield "form", receive_form(environ, partial(self._endpoint.open_part, call))

    def _render(self, answer: Any) -> Response:
        status = self._endpoint.status
        if self._output is not None:
            text = self._output.dump_json(answer, indent=2, by_alias=True)
            return Response(text, status, mimetype=JSON)
        return Response(answer, status, mimetype="text/plain")


def is_rest(path: str) -> bool:
    """Return whether a path belongs to the REST API, whether or not there is anything."""
    return path.startswith(f"{ROOT}/")


def install_server_name(app: Flask, nexus_version: str) -> None:
    """Have answers of the REST API name a version of Nexus Repository, for clients that check it.

    An empty version: they name the product, as all answers do.
    """
    if not nexus_version:
        return

    @app.after_request
    def _name(response: Response) -> Response:
        if is_rest(request.path):
            response.headers["Server"] = f"Nexus/{nexus_version} (OSS)"
        return response


def parse_query(model: type[AnyQuery]) -> AnyQuery:
    """Return the parameters of the request as a model.

    Raises:
        InvalidInput: one is missing or wrong.
    """
    given = request.args
    lists = {
        name
        for key, each in model.model_fields.items()
        if get_origin(each.annotation) in (list, tuple, set, frozenset)
        for name in (key, each.alias)
    }
    values = {key: given.getlist(key) if key in lists else given[key] for key in given}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidInput(list(_problems(error))) from error


def _parse_body(adapter: TypeAdapter[Any]) -> Any:
    if request.mimetype != JSON:
        raise UnsupportedMediaType("The body must be application/json.")
    data = read_body(current_environ(), BODY_MAX_BYTES)
    try:
        return adapter.validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise Invalid(f"Could not process the input: {first['msg']}.") from error
        raise InvalidInput(list(_problems(error))) from error


def _problems(error: ValidationError) -> Iterator[Problem]:
    for each in error.errors():
        name = str(each["loc"][-1]) if each["loc"] else "*"
        yield Problem(id=f"{PARAMETER}{name}", message=f"{problem_of(each)}.")


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Invalid("The body is not UTF-8 text.") from error


def render_rest(failure: Failure) -> Response:
    """Return a failure in the form that clients of the REST API know.

    What is wrong with fields and parameters is a list, all else one object; both are JSON, unless
    the endpoint has plain errors.
    """
    endpoint: Endpoint | None = current_environ().get(ENDPOINT)
    if endpoint is not None and failure.status in endpoint.bare:
        return Response(status=failure.status)
    if endpoint is not None and endpoint.has_plain_errors:
        return render_plain(failure)
    error = failure.error
    told: Any = {"id": "*", "message": failure.message}
    if isinstance(error, InvalidInput):
        told = [each.model_dump() for each in error.problems]
    elif isinstance(error, Invalid) and error.field:
        message = failure.message.removeprefix(f"{error.field}: ")
        told = [{"id": error.field, "message": message}]
    return Response(json.dumps(told, indent=2), failure.status, mimetype=JSON)


def requested_events() -> Page[EventView]:
    """Return the page of the audit log that the parameters of the request ask for.

    Raises:
        Invalid: a parameter is not valid.
    """
    return find_events(current_environ()[AUDIT], parse_query(EventQuery))
