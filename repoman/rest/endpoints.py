"""Endpoints of the REST API as data: a path, a right, and a function from models to a model.

::

    users = Area("Users", "Users and their roles.")

    @users.get("/v1/users/{name}", Permission("users", "read"))
    def show_user(call: Call, name: str) -> UserView:
        "Show a user."
        return UserView(...)

The parameters of the function declare what it needs of the request. ``call`` comes first; names of
the path get their parts of it; ``query`` gets the parameters of the address as a
:class:`~repoman.rest.resources.Query`; ``body`` gets a JSON body of any type that pydantic knows;
``text`` gets a body of plain text; ``form`` gets a multipart form, whose files go to the sinks that
``open_part`` returns while they arrive. The return value is the answer: None is 204 without a body,
a ``str`` is plain text, a :class:`Reply` is what it says, everything else is JSON. The right is
checked before the body is read.

What one of two clients has changed, the other one must not lose unseen. A function that changes a
resource names, as ``matches``, the function that shows it: that one then answers with an ETag, and
the change is refused if the client sends one (``If-Match``) that is not of today.
"""

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import UnionType
from typing import Any, Protocol, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from repoman.core import Repoman
from repoman.errors import Denied, NotFound, Unauthenticated
from repoman.repositories.model import Repository
from repoman.security.actors import Access, Action, Actor
from repoman.security.authorization import Authorizer

NEXUS_ROOT = "/service/rest"  # In front of the paths that Sonatype Nexus Repository 3 has too.
API_ROOT = "/api/v1"  # In front of those that are our own.
SOURCES = ("query", "body", "text", "form")  # Parameters that are not parts of the path.

Function = Callable[..., Any]


@dataclass(slots=True)
class Call:
    """One request to an endpoint, as its function sees it.

    Attributes:
        repoman: the services.
        actor: who makes the request.
        address: of the client.
        base_url: the address of the main port as clients know it, without a slash at its end.
        name_of: takes a format and a path in a repository of it, and returns the name in the path
            with which patterns of tokens are compared.
        accept: the media types that the client accepts, as it wrote them.
        is_session: whether the session of a browser vouches for the actor, and no password.
        repository: the repository that the right of the endpoint refers to.
    """

    repoman: Repoman
    actor: Actor
    address: str
    base_url: str
    name_of: Callable[[str, str], str]
    accept: str = ""
    is_session: bool = False
    _repository: Repository | None = None

    @property
    def has_no_repository(self) -> bool:
        """Whether the right of the endpoint refers to no repository that is there already."""
        return self._repository is None

    @property
    def repository(self) -> Repository:
        """Return the repository that the right of the endpoint refers to."""
        if self._repository is None:
            raise RuntimeError("The right of this endpoint refers to no repository.")
        return self._repository

    @repository.setter
    def repository(self, repository: Repository) -> None:
        self._repository = repository

    def check_content(self, action: Action, path: str) -> None:
        """Return if the actor may do this with a path in the repository (Unauthenticated, Denied).

        The path is one as content selectors see it.
        """
        name = self.name_of(self.repository.config.format, path)
        access = Access(frozenset({action}), path, name)
        self.repoman.security.authorizer.check(self.actor, self.repository.ref, access)

    def require_login(self) -> None:
        """Return if somebody has logged in (Unauthenticated)."""
        require_login(self.actor)


def require_login(actor: Actor) -> None:
    """Return if this is somebody who has logged in (Unauthenticated)."""
    if actor.is_anonymous:
        raise Unauthenticated("Authentication is required.")


class Right(Protocol):
    """What a request needs before its endpoint is called."""

    @property
    def text(self) -> str:
        """Return it as a sentence, for the description of the API."""

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it; ``values`` are those of the path and the query.

        Raises:
            Unauthenticated, Denied: the actor does not have it.
            NotFound: the actor may not know that its repository exists.
        """


@dataclass(frozen=True, slots=True)
class Everybody:
    """Anybody, without a login."""

    text: str = "Open to everybody."

    def allows(self, actor: Actor, authorizer: Authorizer) -> bool:
        """Return True."""
        return True

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Any user who has logged in."""

    text: str = "Needs a login."

    def allows(self, actor: Actor, authorizer: Authorizer) -> bool:
        """Return whether somebody has logged in."""
        return not actor.is_anonymous

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if somebody has logged in (Unauthenticated)."""
        call.require_login()


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission on the server itself, such as ``users:read``."""

    domain: str
    action: str

    @property
    def text(self) -> str:
        """Return it as a sentence."""
        return f"Needs the permission `nexus:{self.domain}:{self.action}`."

    def allows(self, actor: Actor, authorizer: Authorizer) -> bool:
        """Return whether the actor has logged in and has it."""
        return not actor.is_anonymous and authorizer.may_administer(actor, self.domain, self.action)

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor has it (Unauthenticated, Denied)."""
        self.require(call.actor, call.repoman.security.authorizer)

    def require(self, actor: Actor, authorizer: Authorizer) -> None:
        """Return if the actor has it (Unauthenticated, Denied)."""
        require_login(actor)
        if not self.allows(actor, authorizer):
            name = f"nexus:{self.domain}:{self.action}"
            raise Denied(
                f"This needs the permission {name}, which {actor.name} does not have. "
                "Ask an administrator."
            )


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """The right to an action on the settings of the repository that ``parameter`` names."""

    action: Action
    parameter: str = "name"

    @property
    def text(self) -> str:
        """Return it as a sentence."""
        return f"Needs the right to {self.action} the settings of the repository."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor may (Unauthenticated, NotFound, Denied)."""
        call.require_login()
        name = values.get(self.parameter, "")
        found = call.repoman.repositories.find(name)
        may_configure = call.repoman.security.authorizer.may_configure
        if found is not None and may_configure(call.actor, found.ref, self.action):
            call.repository = found  # It takes no right to the content.
            return
        if found is not None and any(may_configure(call.actor, found.ref, each) for each in Action):
            repository = found
        else:
            repository = _known_repository(call, name)
        what = f"{self.action} the settings of {repository.name}"
        raise Denied(f"{call.actor.name} is not allowed to {what}.")


@dataclass(frozen=True, slots=True)
class RepositoryContent:
    """Any right in the repository that ``parameter`` names; the function checks the paths."""

    parameter: str = "name"
    text: str = "Needs any right in the repository."

    def check(self, call: Call, values: Mapping[str, str]) -> None:
        """Return if the actor may know of the repository (Unauthenticated, NotFound)."""
        _known_repository(call, values.get(self.parameter, ""))


def _known_repository(call: Call, name: str) -> Repository:
    repository = call.repoman.repositories.find(name)
    knows = call.repoman.security.authorizer.knows
    if repository is None or not knows(call.actor, repository.ref):
        call.require_login()
        raise NotFound("The repository does not exist, or you have no access to it.")
    call.repository = repository
    return repository


EVERYBODY = Everybody()
SIGNED_IN = SignedIn()


class PartSink(Protocol):
    """Takes a file of a form while it arrives."""

    def write(self, data: bytes) -> object:
        """Store the next bytes (RepomanError: they cannot be stored)."""

    def close(self) -> None:
        """Release everything; always called at the end of the request."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a form: the name of its field, its file name, its type, and its sink."""

    field: str
    filename: str
    media_type: str
    sink: Any


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form: texts by the names of their fields, and files in their order."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)


# Takes a call, the name of a field, a file name and a media type; returns the sink for the file.
OpenPart = Callable[[Call, str, str, str], PartSink]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is no model, such as a redirect, a refusal without a body, or a file.

    Attributes:
        status: None: that of the endpoint.
        headers: more of them, such as ``Location``.
    """

    body: str | bytes | Iterable[bytes] = ""
    media_type: str = "text/plain"
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method on a path.

    Attributes:
        area: the area to which it belongs.
        path: below the root of its area, with ``{name}`` for its variable parts.
        inputs: the types of the parameters ``query``, ``body``, ``text`` and ``form``, by name.
        output: the type of the answer; None: it has no body; Reply: the function decides.
        operation_id: its name in the description of the API.
        has_plain_errors: whether errors are plain text instead of JSON.
        bare: statuses of errors that have no body.
        takes_any_type: whether ``text`` may have the media type of JSON.
        ignores_body: whether it neither takes nor refuses a body; below ``/service/rest`` none is
            refused, since clients of Nexus send some without a meaning.
        form_model: describes the fields of ``form``; those of type bytes are files.
        matches: the function that shows the resource which this one changes.
        answers: further statuses, each with what it means.
    """

    area: "Area"
    method: str
    path: str
    right: Right
    function: Function
    status: int
    inputs: Mapping[str, Any]
    output: Any
    operation_id: str
    bare: frozenset[int] = frozenset()
    open_part: OpenPart | None = None
    has_plain_errors: bool = False
    takes_any_type: bool = False
    ignores_body: bool = False
    form_model: type[BaseModel] | None = None
    matches: Function | None = None
    answers: Mapping[int, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return the whole path."""
        return self.area.root + self.path

    @property
    def refuses_body(self) -> bool:
        """Whether what a body asks for would not be done."""
        takes_one = {"body", "text", "form"} & self.inputs.keys()
        is_ignored = self.ignores_body or self.method == "GET" or self.area.root != API_ROOT
        return not takes_one and not is_ignored

    @property
    def names(self) -> list[str]:
        """Return the names of the variable parts of the path."""
        return re.findall(r"\{(\w+)\}", self.path)


@dataclass(slots=True)
class Area:
    """Endpoints that belong together, under a title.

    Attributes:
        root: what is in front of their paths.
        example: a path, with its query, that documents a GET of the area; empty: the first one
            that needs no parameter.
    """

    title: str
    description: str
    root: str = NEXUS_ROOT
    example: str = ""
    endpoints: list[Endpoint] = field(default_factory=list)

    def get(self, path: str, right: Right, **options: Any) -> Callable[[Function], Function]:
        """Have a function answer GET; ``options`` as of :meth:`add`."""
        return self.add("GET", path, right, **options)

    def post(self, path: str, right: Right, **options: Any) -> Callable[[Function], Function]:
        """Have a function answer POST; ``options`` as of :meth:`add`."""
        return self.add("POST", path, right, **options)

    def put(self, path: str, right: Right, **options: Any) -> Callable[[Function], Function]:
        """Have a function answer PUT; ``options`` as of :meth:`add`."""
        return self.add("PUT", path, right, **options)

    def patch(self, path: str, right: Right, **options: Any) -> Callable[[Function], Function]:
        """Have a function answer PATCH with a JSON merge patch; ``options`` as of :meth:`add`."""
        return self.add("PATCH", path, right, **options)

    def delete(self, path: str, right: Right, **options: Any) -> Callable[[Function], Function]:
        """Have a function answer DELETE; ``options`` as of :meth:`add`."""
        return self.add("DELETE", path, right, **options)

    def add(
        self, method: str, path: str, right: Right, **options: Any
    ) -> Callable[[Function], Function]:
        """Have a function answer a method on a path.

        ``options`` are ``status``, that of success (200, or 204 where the function returns
        nothing), ``operation_id`` if the function has several paths, and further attributes of
        :class:`Endpoint`.

        Raises:
            TypeError: the function takes something that no request has.
        """

        def register(function: Function) -> Function:
            endpoint = _make(self, method, path, right, function, **options)
            _check(endpoint)
            self.endpoints.append(endpoint)
            return function

        return register


def _make(
    area: Area,
    method: str,
    path: str,
    right: Right,
    function: Function,
    *,
    status: int | None = None,
    operation_id: str = "",
    bare: Collection[int] = (),
    **options: Any,
) -> Endpoint:
    types = get_type_hints(function, include_extras=True)
    output = _output_of(types.get("return"))
    return Endpoint(
        area,
        method,
        path,
        right,
        function,
        status=status or (HTTPStatus.NO_CONTENT if output is None else HTTPStatus.OK),
        inputs={name: types[name] for name in SOURCES if name in types},
        output=output,
        operation_id=operation_id or function.__name__,
        bare=frozenset(bare),
        **options,
    )


def _output_of(returned: Any) -> Any:
    """Return the type of an answer; that of a model where it may be a Reply instead."""
    if get_origin(returned) in (Union, UnionType):
        others = [each for each in get_args(returned) if each is not Reply]
        if len(others) < len(get_args(returned)):
            return _output_of(Union[tuple(others)])  # noqa: UP007  # it is made of a list
    return None if returned is type(None) else returned


def _check(endpoint: Endpoint) -> None:
    taken = list(inspect.signature(endpoint.function).parameters)[1:]
    unknown = set(taken) - {*SOURCES, *endpoint.names}
    where = f"{endpoint.method} {endpoint.path}"
    if unknown:
        raise TypeError(f"{where}: no request has {', '.join(sorted(unknown))}.")
    if ("form" in taken) is not (endpoint.open_part is not None):
        raise TypeError(f"{where}: a form needs open_part, which says where its files go.")
    if not inspect.getdoc(endpoint.function):
        raise TypeError(f"{where}: the function has no docstring, which describes the endpoint.")
