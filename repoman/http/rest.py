"""Serves the endpoints of :mod:`repoman.rest`: from a request to their models, and back."""

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache, cached_property, partial
from itertools import chain
from typing import Any, TypeVar, get_origin

from flask import Blueprint, Flask, Response, request
from pydantic import TypeAdapter, ValidationError
from werkzeug.exceptions import NotAcceptable, PreconditionFailed, UnsupportedMediaType

from repoman import __version__
from repoman.core import Repoman
from repoman.errors import Invalid
from repoman.http.addresses import main_address
from repoman.http.body import body_length, close_untaken, read_body
from repoman.http.current import AUDIT, current_actor, current_environ
from repoman.http.formats import Format, name_of_file
from repoman.http.multipart import OpenForm, receive_form
from repoman.http.rest_errors import ENDPOINT, JSON, empty, input_error
from repoman.http.rest_sessions import refuse_forged, take_proof
from repoman.http.sessions import current_session
from repoman.plugins import unique
from repoman.rest.audit import EventQuery, EventView, export_events, find_events
from repoman.rest.endpoints import API_ROOT, NEXUS_ROOT, Area, Call, Endpoint, Function, Reply
from repoman.rest.openapi import MERGE_PATCH, describe_api
from repoman.rest.resources import Page, Query

TEXT = "text/plain"
YAML = "application/yaml"  # JSON is YAML as well.
METRICS_ROOT = "/service/metrics"  # Where exporters look for what is below NEXUS_ROOT as well.
ROOTS = (NEXUS_ROOT, METRICS_ROOT, API_ROOT)
# From the address of a description to what it describes; the second one is that of Nexus.
DESCRIPTIONS = {
    f"{NEXUS_ROOT}/openapi.json": NEXUS_ROOT,
    f"{NEXUS_ROOT}/swagger.json": NEXUS_ROOT,
    f"{NEXUS_ROOT}/swagger.yaml": NEXUS_ROOT,
    f"{API_ROOT}/openapi.json": API_ROOT,
}
# Where old scripts look for something, and where it is.
OLD_PATHS = (
    (f"{NEXUS_ROOT}/beta/", f"{NEXUS_ROOT}/v1/"),
    (f"{METRICS_ROOT}/", f"{NEXUS_ROOT}/metrics/"),
)
GENERIC_STEPS = ("", "v1", "internal", "security")  # Steps of a path that name no kind of resource.
PATCH_TYPES = (MERGE_PATCH, JSON)  # Media types of merge patches.
BODY_MAX_BYTES = 1 << 20  # The largest JSON or text body.
TAG_CHARS = 32  # Of the hash of an answer.

AnyQuery = TypeVar("AnyQuery", bound=Query)


def create_rest(repoman: Repoman, formats: Mapping[str, Format]) -> Blueprint:
    """Return the routes of all areas, those of plugins too, and of their descriptions.

    Raises:
        Conflict: two of them answer the same method on the same path, or have one name.
    """
    # Their many models take a third of a second to make, and commands need none of them.
    from repoman.rest.areas import AREAS
    from repoman.rest.repository_settings import settings_area

    settings = settings_area(repoman.repositories.list_recipes())
    areas = [*AREAS, settings, *chain(*repoman.plugins.hook.repoman_register_rest())]
    endpoints = [each for area in areas for each in area.endpoints]
    unique("REST endpoint", [(f"{each.method} {each.url}", each) for each in endpoints])
    unique("REST operation", [(each.operation_id, each) for each in endpoints])
    blueprint = Blueprint("repoman_rest", __name__)
    shown = {each.matches for each in endpoints}
    changing: dict[tuple[str, ...], object] = {}
    views = [_View(repoman, formats, each, shown, changing) for each in endpoints]
    by_function = {each.function: view for each, view in zip(endpoints, views, strict=True)}
    for each, view in zip(endpoints, views, strict=True):
        if each.matches is not None:
            view.shown = by_function[each.matches]
        rule = each.url.replace("{", "<").replace("}", ">")
        blueprint.add_url_rule(
            rule, each.operation_id, view, methods=[each.method], strict_slashes=False
        )
    _add_descriptions(blueprint, areas, repoman.settings.server.nexus_compatibility)
    return blueprint


def _add_descriptions(blueprint: Blueprint, areas: list[Area], nexus_version: str) -> None:
    """Add the routes of the descriptions, each of which is made when somebody first asks for it."""

    @cache
    def describe(root: str) -> str:
        described = [each for each in areas if each.root == root]
        return json.dumps(describe_api(described, nexus_version or __version__, root), indent=2)

    def show(root: str, media_type: str) -> Response:
        return Response(describe(root), mimetype=media_type)

    for path, root in DESCRIPTIONS.items():
        media_type = YAML if path.endswith(".yaml") else JSON
        blueprint.add_url_rule(path, path.replace(".", "_"), partial(show, root, media_type))


def present_path(path: str) -> str:
    """Return the path of what is asked for by a path, which may be one of former times."""
    for old, new in OLD_PATHS:
        if path.startswith(old):
            return new + path.removeprefix(old)
    return path


class _View:
    """Calls an endpoint for a request.

    Args:
        changing: what clients change that have to have seen its state, of all endpoints.

    Attributes:
        shown: shows the resource that the endpoint changes, if clients may say which state of it
            they have seen.
    """

    def __init__(
        self,
        repoman: Repoman,
        formats: Mapping[str, Format],
        endpoint: Endpoint,
        shown: set[Function | None],
        changing: dict[tuple[str, ...], object],
    ) -> None:
        self.shown: _View | None = None
        self._repoman = repoman
        self._formats = formats
        self._endpoint = endpoint
        # A patch answers as what shows the resource.
        self._has_tag = endpoint.function in shown or endpoint.method == "PATCH"
        self._changing = changing

    # Made when somebody first asks: for all endpoints together it takes longer than the start of
    # everything else.

    @cached_property
    def _names(self) -> list[str]:
        takes = inspect.signature(self._endpoint.function).parameters
        return [name for name in self._endpoint.names if name in takes]

    @cached_property
    def _body(self) -> TypeAdapter[Any] | None:
        body = self._endpoint.inputs.get("body")
        return None if body is None else TypeAdapter(body)

    @cached_property
    def _output(self) -> TypeAdapter[Any] | None:
        output = self._endpoint.output
        return None if output in (None, str, Reply) else TypeAdapter(output)

    @property
    def takes_form(self) -> bool:
        """Whether it reads a multipart form."""
        return self._endpoint.open_part is not None

    def __call__(self, **path: str) -> Response:
        """Return the answer."""
        environ, endpoint = current_environ(), self._endpoint
        environ[ENDPOINT] = endpoint
        call = Call(
            repoman=self._repoman,
            actor=current_actor(),
            address=request.remote_addr or "",
            base_url=main_address(),
            accept=request.headers.get("Accept", ""),
            is_session=current_session() is not None,
            name_of=self._name_of,
        )
        try:
            endpoint.right.check(call, {**request.args, **path})
            self._check_accepted()
            inputs = dict(self._inputs(call))
            with inputs.get("form") or nullcontext(), self._unchanged(call, path):
                answer = self._answer(call, path, inputs)
        finally:
            close_untaken(environ)
        return self._render(answer)

    def _answer(self, call: Call, path: Mapping[str, str], inputs: Mapping[str, Any]) -> Any:
        named = {name: path[name] for name in self._names}
        return self._endpoint.function(call, **named, **inputs)

    @contextmanager
    def _unchanged(self, call: Call, path: Mapping[str, str]) -> Iterator[None]:
        """Hold the block only if the resource is as the client has seen it (PreconditionFailed).

        While one client changes it, another one that also has to have seen its state is refused,
        in whichever API: it has not seen what comes.
        """
        given = request.if_match
        if self.shown is None or not given:
            yield
            return
        changing, key, me = self._changing, self.shown._resource(path), object()
        if changing.setdefault(key, me) is not me:  # one of two threads is the first
            raise PreconditionFailed("Another client is changing this at the moment.")
        try:
            now = _tag_of(self.shown._dump(self.shown._answer(call, path, {})))
            if not given.contains(now):
                raise PreconditionFailed("This has changed since it was read. Read it again.")
            yield
        finally:
            del changing[key]

    def _resource(self, path: Mapping[str, str]) -> tuple[str, ...]:
        """Return what a path names: the same in all APIs, and however the name is spelled.

        Settings of the server have no names; each address of them is a resource of its own.
        """
        if not path:
            return (self._endpoint.url,)
        before = self._endpoint.path.partition("{")[0]
        steps = [each for each in before.split("/") if each not in GENERIC_STEPS]
        # Besides the name of a repository a path may say its format and type.
        kind = steps[0] if steps[0] == "repositories" else "-".join(steps)
        return (kind, *map(str.lower, path.values()))

    def _name_of(self, format_: str, path: str) -> str:
        found = self._formats.get(format_)
        return name_of_file(path) if found is None else found.name_of(path)

    def _check_accepted(self) -> None:
        accepted = request.accept_mimetypes
        if self._output is not None and accepted.provided and not accepted.quality(JSON):
            raise NotAcceptable("This address answers with application/json only.")

    def _inputs(self, call: Call) -> Iterator[tuple[str, Any]]:
        """Yield what the function takes besides parts of the path; the body comes last."""
        environ, endpoint = current_environ(), self._endpoint
        inputs = endpoint.inputs
        if "query" in inputs:
            yield "query", parse_query(inputs["query"])
        if self._body is not None:
            kinds = PATCH_TYPES if endpoint.method == "PATCH" else (JSON,)
            yield "body", _parse_body(self._body, kinds)
        elif "text" in inputs:
            if request.mimetype == JSON and not endpoint.takes_any_type:
                raise UnsupportedMediaType("The body must be text/plain.")
            yield "text", _decode(read_body(environ, BODY_MAX_BYTES))
        elif endpoint.open_part is not None:
            form = receive_form(environ, partial(endpoint.open_part, call))
            yield "form", _proven(form)
        elif endpoint.refuses_body:
            _refuse_body(inputs.get("query"))

    def _dump(self, answer: Any) -> bytes:
        """Return a model as JSON."""
        assert self._output is not None  # noqa: S101  # only models have tags
        return self._output.dump_json(answer, indent=2, by_alias=True)

    def _render(self, answer: Any) -> Response:
        status = self._endpoint.status
        if isinstance(answer, Reply):
            response = empty(answer.status or status)
            if answer.body:
                response = Response(answer.body, response.status, mimetype=answer.media_type)
            response.headers.update(answer.headers)
            return response
        if self._output is None:
            return empty(status) if answer is None else Response(answer, status, mimetype=TEXT)
        data = self._dump(answer)
        response = Response(data, status, mimetype=JSON)
        if self._has_tag:
            response.set_etag(_tag_of(data))
            response.make_conditional(request)
        return response


def _tag_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:TAG_CHARS]


def _proven(form: OpenForm) -> OpenForm:
    """Return a form that has arrived, unless a page of another site may have sent it."""
    if take_proof(form.fields):
        return form
    form.close()
    raise refuse_forged()


def takes_form(app: Flask) -> bool:
    """Return whether an endpoint answers the request that reads a multipart form."""
    view = app.view_functions.get(request.endpoint or "")
    return isinstance(view, _View) and view.takes_form


def is_rest(path: str) -> bool:
    """Return whether a path belongs to the REST API, whether or not there is anything."""
    return path.startswith(tuple(f"{root}/" for root in ROOTS))


def install_server_name(app: Flask, nexus_version: str) -> None:
    """Have answers of the REST API name a version of Nexus Repository, for clients that check it.

    So does the start page, where some clients look for it. An empty version: they name the product,
    as all answers do.
    """
    if not nexus_version:
        return

    @app.after_request
    def _name(response: Response) -> Response:
        if request.path == "/" or request.path.startswith(f"{NEXUS_ROOT}/"):
            response.headers["Server"] = f"Nexus/{nexus_version} (OSS)"
        return response


def parse_query(model: type[AnyQuery]) -> AnyQuery:
    """Return the parameters of the request as a model.

    Raises:
        Invalid: one is missing or wrong.
    """
    given = request.args
    is_list = {
        name: get_origin(each.annotation) in (list, tuple, set, frozenset)
        for key, each in model.model_fields.items()
        for name in (key, each.alias)
    }
    # What a model takes without declaring it may be there several times.
    values = {key: given.getlist(key) if is_list.get(key, True) else given[key] for key in given}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise input_error(error) from error


def _parse_body(adapter: TypeAdapter[Any], kinds: tuple[str, ...]) -> Any:
    """Return the body, which is of the first of these media types or another one of them."""
    if request.mimetype not in kinds:
        raise UnsupportedMediaType(f"The body must be {kinds[0]}.")
    data = read_body(current_environ(), BODY_MAX_BYTES)
    try:
        return adapter.validate_json(data)
    except ValidationError as error:
        raise input_error(error, is_body=True) from error


def _refuse_body(query: type[Query] | None) -> None:
    """Return if the request has no body, or an empty object (Invalid); ``query`` is what it has."""
    environ = current_environ()
    if body_length(environ) == 0 or read_body(environ, BODY_MAX_BYTES).strip() in (b"", b"{}"):
        return
    names = [each.alias or key for key, each in query.model_fields.items()] if query else []
    where = f" What it takes is in the address: ?{'=…&'.join(names)}=…" if names else ""
    raise Invalid(f"This request takes no body.{where}")


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Invalid("The body is not UTF-8 text.") from error


def requested_events() -> Page[EventView]:
    """Return the page of the audit log that the parameters of the request ask for.

    Raises:
        Invalid: a parameter is not valid.
    """
    return find_events(current_environ()[AUDIT], parse_query(EventQuery))


def requested_event_lines() -> Iterator[str]:
    """Return the events of the audit log that the request asks for, as lines of JSON.

    Raises:
        Invalid: a parameter is not valid.
    """
    return export_events(current_environ()[AUDIT], parse_query(EventQuery))
