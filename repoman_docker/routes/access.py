"""What the routes share: the repository of the request, addresses for clients, and access control.

Clients learn only from the response to ``/v2/`` how to log in. If anonymous users may read, the
response sends all clients to the token endpoint, which also issues anonymous tokens, so that
anonymous pulls and pushes with a login work at one address. Otherwise Basic is enough.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Request, Response, request
from werkzeug.datastructures import Headers

from repoman.plugin import (
    ANONYMOUS,
    WRITING,
    Access,
    Action,
    Actor,
    Span,
    Unauthenticated,
    bearer_token,
    beginning_with,
    current_actor,
    current_environ,
    current_ref,
    current_repository,
    current_security,
    merge_spans,
)
from repoman_docker.protocol.challenge import (
    CATALOG,
    TokenScope,
    image_scope,
    render_challenge,
)
from repoman_docker.protocol.errors import ErrorCode, RegistryError
from repoman_docker.protocol.reference import Resource, Route, match
from repoman_docker.rules import names_below
from repoman_docker.service import DockerRepository

TOKEN_PATH = "/v2/token"  # noqa: S105 - a path
V1_ROOT = "/v1"
V1_PINGS = ("/_ping", f"{V1_ROOT}/_ping")
ROUTE = "repoman_docker.route"  # environ: the parsed path, once the guard has asked for it
VIEW = "repoman_docker.view"  # environ: the services that replace those of the repository
READ = frozenset({Action.READ})
ADD = frozenset({Action.ADD})
EDIT = frozenset({Action.EDIT})
BROWSE = frozenset({Action.BROWSE})
DELETE = frozenset({Action.DELETE})
# What a method needs, all others WRITING. Moving a tag by PUT needs more, see check_move.
ACTIONS = {"GET": READ, "HEAD": READ, "OPTIONS": READ, "PUT": ADD, "DELETE": DELETE}
NEEDS = {"pull": READ, "push": ADD, "delete": DELETE}  # the rights behind a token's actions

Filter = Callable[[str], bool]


def may(actor: Actor, name: str, actions: frozenset[Action] | None) -> bool:
    """Return whether the actor may do this to content of an image; None: nobody may."""
    if actions is None:
        return False
    return _is_allowed(actor, Access(actions, f"/v2/{name}/", name, is_beginning=True))


def sees_images() -> bool:
    """Return whether there may be any image name that the actor may see."""
    authorizer = current_security().authorizer
    return authorizer.may_do_somewhere(current_actor(), current_ref(), BROWSE)


def visible_images() -> Filter | None:
    """Return a filter for the image names whose tags the actor may list; None: all."""
    authorizer = current_security().authorizer
    return authorizer.name_filter(current_actor(), current_ref(), BROWSE, _tags_path)


def visible_spans() -> list[Span]:
    """Return the ranges that hold all image names which the actor may see, and maybe others."""
    actor = current_actor()
    prefixes = current_security().authorizer.prefixes(actor, current_ref(), BROWSE)
    patterns = () if actor.limit is None else actor.limit.names
    if patterns and "" in prefixes:
        return merge_spans(beginning_with(re.split(r"[*?\[]", each)[0]) for each in patterns)
    return merge_spans(map(names_below, prefixes))


def visible_tags(name: str) -> Filter | None:
    """Return a filter for the tags of an image that the actor may see; None: all."""
    if current_security().authorizer.may_do_everywhere(current_actor(), current_ref(), BROWSE):
        return None
    actor = current_actor()
    return lambda tag: _is_allowed(actor, Access(BROWSE, manifest_path(name, tag), name))


def may_mount(source: str | None, digest: str) -> bool:
    """Return whether the actor may read a blob of the image ``source``; None: of every image."""
    actor = current_actor()
    if source is None:
        authorizer = current_security().authorizer
        return actor.scopes is None and authorizer.may_do_everywhere(actor, current_ref(), READ)
    return _is_allowed(actor, Access(READ, f"/v2/{source}/blobs/{digest}", source))


def check_tags(name: str, tags: Iterable[str]) -> None:
    """Check that the actor may push all these tags of an image (Denied)."""
    for tag in tags:
        access = Access(ADD, manifest_path(name, tag), name)
        current_security().authorizer.check(current_actor(), current_ref(), access)


def check_delete(name: str, tag: str) -> None:
    """Check that the actor may delete a tag (Denied)."""
    access = Access(DELETE, manifest_path(name, tag), name)
    current_security().authorizer.check(current_actor(), current_ref(), access)


def check_move(name: str, tag: str) -> None:
    """Check that the actor may move a tag to another manifest (Denied)."""
    access = Access(EDIT, manifest_path(name, tag), name)
    current_security().authorizer.check(current_actor(), current_ref(), access)


def manifest_path(name: str, reference: str) -> str:
    """Return the path of a manifest as content selectors see it."""
    return f"/v2/{name}/manifests/{reference}"


def _tags_path(name: str) -> str:
    return f"/v2/{name}/tags/list"


def _is_allowed(actor: Actor, access: Access) -> bool:
    return current_security().authorizer.is_allowed(actor, current_ref(), access)


def access_of(request: Request) -> Access:
    """Return the access that a request needs; every request of an upload is part of a push.

    The catalog needs no right: it shows only what the actor may see.
    """
    route = request.environ[ROUTE] = route_of(request.path)
    if route is None or not route.name:
        return Access()
    return Access(_actions_of(request, route), request.path, route.name)


def _actions_of(request: Request, route: Route) -> frozenset[Action]:
    if route.resource in (Resource.UPLOAD, Resource.UPLOAD_START):
        return ADD
    if route.resource is Resource.TAGS:
        return BROWSE
    return ACTIONS.get(request.method, WRITING)


def challenge() -> str | None:
    """Return the challenge for a request that needs a login, or None for the usual Basic.

    A client that sent a token is told to get another one.
    """
    has_token = bearer_token(request) is not None
    if request.path == TOKEN_PATH or not (has_token or _anybody_may_read()) or _forces_basic():
        return None
    route = current_route()
    scopes = () if route is None else _needed_scopes(route)
    return _bearer(scopes, "invalid_token" if has_token else "")


def check_ping() -> None:
    """Check that a client at ``/v2/`` has authenticated.

    Raises:
        RegistryError: UNAUTHORIZED, with the address of the token endpoint.
        Unauthenticated: the repository accepts only passwords, not tokens.
    """
    actor = current_actor()
    if not actor.is_anonymous or actor.scopes is not None:
        return
    if _forces_basic():
        raise Unauthenticated("Authentication is required.")
    raise RegistryError(ErrorCode.UNAUTHORIZED, headers={"WWW-Authenticate": _bearer(())})


def check_scopes(route: Route) -> None:
    """Check that the token of the request, if any, permits the request.

    Raises:
        RegistryError: UNAUTHORIZED, so that the client fetches a token with more scopes.
    """
    actor = current_actor()
    if actor.scopes is None:
        return
    needed = _needed_scopes(route)
    if all(actor.has_scope(each.type, each.name, a) for each in needed for a in each.actions):
        return
    raise RegistryError(
        ErrorCode.UNAUTHORIZED,
        "The token does not permit this request.",
        headers={"WWW-Authenticate": _bearer(needed, "insufficient_scope")},
    )


def _forces_basic() -> bool:
    # This also runs for repositories that do not exist or do not work.
    service = current_repository().service
    return isinstance(service, DockerRepository) and service.settings.force_basic_auth


def _anybody_may_read() -> bool:
    return current_security().authorizer.knows(ANONYMOUS, current_ref())


def _bearer(scopes: Iterable[TokenScope], error: str = "") -> str:
    # Clients need an absolute address here: the one at which they reached this server.
    realm = request.root_url.rstrip("/") + TOKEN_PATH
    return render_challenge(realm, current_repository().name, scopes, error)


def _needed_scopes(route: Route) -> tuple[TokenScope, ...]:
    if route.resource is Resource.BASE:
        return ()
    if route.resource is Resource.CATALOG:
        return (CATALOG,)
    actions = _actions_of(request, route)
    if not actions & WRITING:
        return (image_scope(route.name, "delete" if actions == DELETE else "pull"),)
    push = image_scope(route.name, "pull", "push")
    source = request.args.get("from") if "mount" in request.args else None
    return (push,) if source is None else (push, image_scope(source, "pull"))


def speaks(path: str) -> bool:
    """Return whether a path belongs to the registry API, in either version."""
    return path.removeprefix("/").partition("/")[0] in ("v1", "v2", "_ping")


def is_v1(path: str) -> bool:
    """Return whether an address belongs to the API V1."""
    return path == V1_ROOT or path.startswith(f"{V1_ROOT}/") or path in V1_PINGS


def current_route() -> Route | None:
    """Return the parsed path of the request, or None if it is not of this API."""
    environ = current_environ()
    return environ[ROUTE] if ROUTE in environ else route_of(request.path)


def route_of(path: str) -> Route | None:
    """Return a parsed path, or None if it is not of this API."""
    root, _, rest = path.removeprefix("/").partition("/")
    return match(rest) if root == "v2" else None


def name_of(path: str) -> str:
    """Return the image name in a path; any other path is returned whole."""
    route = route_of(path)
    return path if route is None else route.name or path


def current_request() -> Request:
    """Return the request itself; flask's stand-in looks for it again at each use."""
    found: Request = current_environ()["werkzeug.request"]
    return found


def repository() -> DockerRepository:
    """Return the services of the repository of the request."""
    found: Any = current_environ().get(VIEW) or current_repository().service
    service: DockerRepository = found  # no cast: it is a call
    return service


def address(path: str) -> str:
    """Return a path below ``/v2/`` as the client reaches it.

    It has no scheme and no host, so that it works behind any proxy; the prefix depends on how the
    request arrived (a connector, ``/repository/<name>``, a proxy's path).
    """
    return f"{current_request().script_root}/v2/{path}"


def blob_address(route: Route, digest: object) -> str:
    """Return the address of a blob of the request's image."""
    return address(f"{route.name}/blobs/{digest}")


def answer(body: object, status: int = 200) -> Response:
    """Return a response with a JSON body."""
    return Response(json.dumps(body).encode(), status, mimetype="application/json")


def empty(status: int, headers: dict[str, str]) -> Response:
    """Return a response without a body."""
    if status != 204:  # a 204 must not have one
        headers = {**headers, "Content-Length": "0"}
    return _Empty(status, headers)


class _Empty(Response):
    """A response without a body, and so without a type."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        """Set what Werkzeug's own would, which looks for a type and adds header by header."""
        self.headers = Headers()
        self.headers._list.extend(headers.items())
        self.status_code = status
        self.direct_passthrough = False
        self._on_close = []
        self.response = []
