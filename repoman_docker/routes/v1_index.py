"""The V1 routes for image names: their lists of images, tags and properties."""

import json
from collections.abc import Callable, Mapping
from functools import partial

from flask import Response, request

from repoman.plugin import (
    ANONYMOUS,
    Invalid,
    NotFound,
    Unsupported,
    current_actor,
    current_environ,
    read_body,
)
from repoman_docker.protocol.reference import parse_tag
from repoman_docker.protocol.v1 import Kind, is_image_id, match_repository, parse_fields
from repoman_docker.routes.access import (
    NEEDS,
    answer,
    check_delete,
    check_move,
    check_tags,
    empty,
    may,
    repository,
    visible_tags,
)
from repoman_docker.routes.v1_rights import (
    DELETE,
    PULL,
    PUSH,
    check_reference,
    current_pusher,
    give_token,
    image_name,
    may_pull,
    names_of,
)

Handler = Callable[[str, str], Response]  # takes the image name, and the tag or image id

LIST_MAX_BYTES = 4 << 20  # maximum bytes of a list of images

NO_ENGINE = {"docker_version": None, "docker_go_version": None, "kernel": None, "last_update": None}


def get_images(name: str, _: str) -> Response:
    """Answer the first request of a pull; the client finds the images by the tags."""
    _check_there(name)
    response = answer([])
    give_token(response, name, PULL)
    return response


def put_repository(name: str, _: str) -> Response:
    """Answer the first request of a push, which announces images and tags."""
    pushes = repository().v1_pushes(name)
    listed = _read_list()
    ids = [_image_id(each.get("id")) for each in listed]
    tagged = [each for each in listed if each.get("Tag")]
    tags = {parse_tag(str(each["Tag"])): str(each["id"]) for each in tagged}
    check_tags(name, tags)
    pushes.begin(name, current_pusher(), ids, tags)
    response = answer("")
    give_token(response, name, PUSH)
    return response


def put_images(name: str, _: str) -> Response:
    """Answer the last request of a push; its list adds nothing new."""
    pushes = repository().v1_pushes(name)
    _read_list()
    pushes.finish(name, current_pusher())
    return empty(204, {})


def put_tag(name: str, tag: str) -> Response:
    """Set a tag to an image."""
    pushes = repository().v1_pushes(name)
    checked = parse_tag(tag)
    check_tags(name, [checked])
    image_id = _read_json()
    if not isinstance(image_id, str):
        raise Invalid("Invalid data")
    if not is_image_id(image_id):
        raise NotFound("Image not found")
    pushes.put_tag(name, checked, current_pusher(), image_id, partial(check_move, name))
    return answer(True)


def get_tags(name: str, _: str) -> Response:
    """Return the ids of all tags."""
    service = repository()
    tags = service.v1_images.tags(name, service.settings.page_limit)
    is_visible = visible_tags(name)
    return answer({tag: tags[tag] for tag in tags if is_visible is None or is_visible(tag)})


def get_tag(name: str, tag: str) -> Response:
    """Return the id of a tag."""
    check_reference(name, tag, NEEDS[PULL])
    return answer(repository().v1_images.tag(name, parse_tag(tag)))


def delete_tag(name: str, tag: str) -> Response:
    """Remove a tag."""
    check_reference(name, tag, NEEDS[DELETE])
    repository().manifests.delete(name, parse_tag(tag))
    return answer(True)


def delete_all(name: str, _: str) -> Response:
    """Remove all tags with their manifests."""
    repository().v1_pushes(name).delete_all(name, partial(check_delete, name))
    response = answer(True)
    give_token(response, name, DELETE)
    return response


def delete_images(_: str, __: str) -> Response:
    """Do nothing, as did the registry that these clients expect."""
    return empty(204, {})


def get_tag_json(name: str, tag: str) -> Response:
    """Return the information about the engine that built an image."""
    check_reference(name, tag, NEEDS[PULL])
    service = repository().v1_images
    fields = parse_fields(service.find(service.tag(name, parse_tag(tag)), may_pull).json)
    known = {"docker_version": fields.get("docker_version"), "os": fields.get("os")}
    return answer({**NO_ENGINE, **known, "arch": fields.get("architecture")})


def get_json(name: str, _: str) -> Response:
    """Return the same for an image name, about which nothing is known."""
    _check_there(name)
    return answer({**NO_ENGINE, "arch": None, "os": None})


def get_properties(name: str, _: str) -> Response:
    """Return whether anybody may read."""
    return answer({"access": _visibility(name)})


def put_properties(name: str, _: str) -> Response:
    """Refuse to change the visibility, which only an administrator decides."""
    raise Unsupported(
        f"The visibility of {name} cannot be changed here. Ask the administrator of the repository."
    )


def check_token(written: str, _: str) -> Response:
    """Answer a registry that asks whether a token is valid for an image name."""
    is_good = current_actor().scopes is not None and any(map(may_pull, names_of(written)))
    if not is_good:
        return answer({"error": f"The request has no token for {written}."}, 403)
    return answer("OK")


def get_layer_access(_: str, image_id: str) -> Response:
    """Return whether the token permits reading an image."""
    try:
        repository().v1_images.find(image_id, may_pull)
    except NotFound:
        return answer({"access": False})
    return answer({"access": True})


HANDLERS: Mapping[Kind, Mapping[str, Handler]] = {
    Kind.REPOSITORY: {"PUT": put_repository, "DELETE": delete_all},
    Kind.IMAGES: {"GET": get_images, "PUT": put_images, "DELETE": delete_images},
    Kind.TAGS: {"GET": get_tags, "DELETE": delete_all},
    Kind.TAG: {"GET": get_tag, "PUT": put_tag, "DELETE": delete_tag},
    Kind.TAG_JSON: {"GET": get_tag_json},
    Kind.JSON: {"GET": get_json},
    Kind.PROPERTIES: {"GET": get_properties, "PUT": put_properties},
    Kind.AUTH: {"PUT": check_token},
    Kind.LAYER_ACCESS: {"GET": get_layer_access},
}
ACTIONS = {"GET": PULL, "HEAD": PULL, "DELETE": DELETE}  # all other methods push


def serve(path: str) -> Response:
    """Answer a request below ``/v1/repositories/``."""
    route = match_repository(path)
    handlers = HANDLERS[route.kind] if route else {}
    handler = handlers.get("GET" if request.method == "HEAD" else request.method)
    if route is None or not handlers:
        raise NotFound("This is not an address of the V1 API.")
    if handler is None:
        raise Unsupported(f"The method {request.method} is not allowed here.")
    if route.kind is Kind.AUTH:
        return handler(route.name, "")
    is_new = route.kind is Kind.REPOSITORY and request.method == "PUT"
    action = ACTIONS.get(request.method, PUSH)
    return handler(image_name(route.name, action, is_new=is_new), route.detail)


def _read_list() -> list[dict[str, object]]:
    listed = _read_json()
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise Invalid("Invalid data")
    return listed


def _read_json() -> object:
    body = read_body(current_environ(), LIST_MAX_BYTES)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Invalid("Error Decoding JSON") from error


def _image_id(value: object) -> str:
    if not isinstance(value, str) or not is_image_id(value):
        raise Invalid("Invalid data: each entry must have the id of an image.")
    return value


def _check_there(name: str) -> None:
    repository().lists.tags(name, "", 1)


def _visibility(name: str) -> str:
    return "public" if may(ANONYMOUS, name, NEEDS[PULL]) else "private"
