"""The registry API V1: the switch, ping, logins and search, and the dispatch of the rest.

Today's clients use only ping and search, whose answers have exactly the types that they decode; the
rest is for engines up to 17.11. Addresses may end with a slash.

Source: Docker Registry Index API V1, Search.
"""

from flask import Blueprint, Request, Response, request

from repoman.plugin import (
    Access,
    Failure,
    Invalid,
    NotFound,
    Unauthenticated,
    Unsupported,
    current_actor,
    current_repository,
)
from repoman_docker.protocol.challenge import CATALOG
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.texts import one_line
from repoman_docker.routes import v1_images, v1_index
from repoman_docker.routes.access import (
    V1_PINGS,
    V1_ROOT,
    answer,
    repository,
    sees_images,
    visible_images,
)
from repoman_docker.search import ImageHit, SearchResult
from repoman_docker.service import RegistryFailure

USERS = f"{V1_ROOT}/users"
SEARCH = f"{V1_ROOT}/search"
ALLOWED = {**dict.fromkeys((*V1_PINGS, SEARCH), "GET, HEAD"), USERS: "GET, HEAD, POST"}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

VERSION = "0.9.1"  # of the registry that all clients of this API expect
PING_HEADERS = {
    "X-Docker-Registry-Version": VERSION,
    # Without it, engines do not send Basic with every request over https.
    "X-Docker-Registry-Standalone": "true",
}
UNCACHED = {"Cache-Control": "no-cache", "Expires": "-1", "Pragma": "no-cache"}
# Old clients compare this byte for byte, including the quotes, and then check the login by GET.
KNOWN_USER = b'"Username or email already exists"'
PAGE_SIZE = 25  # Results on a page, unless the client asks for another number.
PAGE_SIZE_MAX = 100  # Results on a page, at most.
FAILED_HEADER = "X-Repoman-Search-Failed"

v1 = Blueprint("docker_v1", __name__)


def access_of(asked: Request) -> Access | None:
    """Return the access that a request needs.

    Anybody may ping, and learn that the API is disabled. Search shows what the actor may see. Only
    the routes of images know which image names a path concerns, so they check rights themselves.
    """
    path = asked.path.rstrip("/")
    if path in V1_PINGS or not repository().settings.v1_enabled:
        return None
    if path.startswith(USERS) and asked.method == "POST":
        return None
    return Access()


def render_failure(failure: Failure) -> Response:
    """Return the response for a failure: a single text, as these clients decode nothing else."""
    if isinstance(failure.error, RegistryFailure):
        return _registry_error(failure.error.error)
    return answer({"error": failure.message}, failure.status)


@v1.errorhandler(RegistryError)
def _registry_error(error: RegistryError) -> Response:
    return answer({"error": error.message}, error.status)


@v1.before_request
def _check_enabled() -> None:
    if not repository().settings.v1_enabled:
        name = current_repository().name
        raise NotFound(
            f"The Docker V1 API of the repository {name} is disabled. An administrator can "
            "enable it with the setting docker.v1_enabled (Enable Docker V1 API)."
        )


@v1.after_request
def _forbid_caching(response: Response) -> Response:
    if "Cache-Control" not in response.headers:
        response.headers.update(UNCACHED)
    return response


@v1.get(V1_PINGS[0], strict_slashes=False)
@v1.get(V1_PINGS[1], strict_slashes=False)
def ping() -> Response:
    """Answer a ping; clients read the headers, or the body if the headers are missing."""
    response = answer({"version": VERSION, "standalone": True})
    response.headers.update(PING_HEADERS)
    return response


@v1.get(f"{USERS}/", strict_slashes=False)
def check_login() -> Response:
    """Answer a login of engines up to 17.11: 200 if name and password are correct."""
    if current_actor().is_anonymous:
        raise Unauthenticated("Authentication is required.")
    return answer("OK")


@v1.post(f"{USERS}/", strict_slashes=False)
def register() -> Response:
    """Answer the first request of a login of engines up to 1.10, which would create an account.

    No account is created. The response is always the same, and makes the client continue with
    :func:`check_login`.
    """
    return Response(KNOWN_USER, 400, mimetype="application/json")


@v1.put(f"{USERS}/<name>/", strict_slashes=False)
def change_user(name: str) -> Response:
    """Refuse to change an account."""
    raise Unsupported(f"The account {name!r} cannot be changed here. Use the web pages.")


@v1.route(f"{V1_ROOT}/repositories/<rest:path>", methods=METHODS, provide_automatic_options=False)
def repositories(path: str) -> Response:
    """Answer requests about image names."""
    return v1_index.serve(path)


@v1.route(f"{V1_ROOT}/images/<rest:path>", methods=METHODS, provide_automatic_options=False)
def images(path: str) -> Response:
    """Answer requests about images."""
    return v1_images.serve(path)


@v1.route(V1_ROOT, methods=METHODS, provide_automatic_options=False)
@v1.route(f"{V1_ROOT}/<rest:path>", methods=METHODS, provide_automatic_options=False)
def unknown(path: str = "") -> Response:
    """Answer all other addresses and methods."""
    address = f"{V1_ROOT}/{path}".rstrip("/")
    if address in ALLOWED:
        return unknown_method()
    raise NotFound(f"{V1_ROOT}/{path[:200]} is not an address of the V1 API.")


def unknown_method() -> Response:
    """Answer a method that the address does not support."""
    response = answer({"error": f"The method {request.method} is not allowed here."}, 405)
    response.headers["Allow"] = ALLOWED.get(request.path.rstrip("/"), "")
    return response


@v1.get(SEARCH, strict_slashes=False)
def get_search() -> Response:
    """Answer with a page of images that the actor may see."""
    actor = current_actor()
    if not actor.has_scope(CATALOG.type, CATALOG.name, "search"):
        raise Unauthenticated("The token does not permit a search.")
    size = min(max(_number("n", PAGE_SIZE), 1), PAGE_SIZE_MAX)
    page = max(_number("page", 1), 1)
    term = request.args.get("q", "")
    found = SearchResult()
    if sees_images():
        found = repository().search.find(term, page * size, visible_images())
    response = answer(
        {
            "query": term,
            "page": page,
            "page_size": size,
            "num_pages": -(-found.total // size),
            "num_results": found.total,
            "results": [_result(each) for each in found.hits[(page - 1) * size : page * size]],
        }
    )
    if found.failed:
        response.headers[FAILED_HEADER] = ", ".join(found.failed)
    return response


def _result(hit: ImageHit) -> dict[str, object]:
    return {
        "name": hit.name,
        "description": one_line(hit.description),  # stored ones may predate this rule
        "star_count": hit.stars,
        "is_official": hit.is_official,
        "is_automated": hit.is_automated,
        "is_trusted": hit.is_automated,  # its former name
    }


def _number(key: str, default: int) -> int:
    """Return a numeric parameter; excessive values are reduced to a large one."""
    text = request.args.get(key, "").strip()
    if not text:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise Invalid(f"The parameter {key} is not a number.")
    return int(text[:10])
