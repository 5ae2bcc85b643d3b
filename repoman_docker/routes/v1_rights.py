"""Rights in V1: image names in their two forms, tokens, and access checks.

Paths of images contain no image name, and engines on plain HTTP send the password only once: the
token that they get in return has the image name of all following requests.
"""

import re

from flask import Request, Response, request

from repoman.plugin import (
    Access,
    Action,
    Denied,
    Scope,
    Unauthenticated,
    current_actor,
    current_ref,
    current_repository,
    current_security,
)
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import parse_name
from repoman_docker.protocol.v1 import long_name, short_name
from repoman_docker.routes.access import ADD, NEEDS, manifest_path, may, repository
from repoman_docker.service import Pusher, RegistryFailure

TOKEN_LIFETIME_S = 3600  # A push may take long, and engines do not renew tokens.
SCOPE = "v1-repository"  # the type of their scopes: they are valid only for this version
PULL, PUSH, DELETE = "pull", "push", "delete"

READING = ("GET", "HEAD")

_ACCESS = {PULL: "read", PUSH: "write", DELETE: "delete"}  # their names in V1
_ACTIONS = {PULL: {PULL}, PUSH: {PULL, PUSH}, DELETE: {PULL, DELETE}}
# Possessive matching avoids backtracking over tens of thousands of spaces.
_TOKEN = re.compile(r'(?:Token\s++)++(?:.*?signature[:=]\s*+)?+"?([^",\s]++)', re.IGNORECASE)


def token_of(request: Request) -> str | None:
    """Return the token in ``Authorization: Token …``; None for any other header."""
    found = _TOKEN.match(request.headers.get("Authorization", ""))
    return found[1] if found else None


def names_of(text: str) -> list[str]:
    """Return the names that a client may mean, with or without ``library/`` (NAME_INVALID)."""
    short = short_name(parse_name(text))
    return list(dict.fromkeys((short, long_name(short))))


def image_name(text: str, action: str, *, is_new: bool = False) -> str:
    """Return the name of the image that a client means, with or without ``library/``.

    ``is_new`` says that a push begins; its other requests use the name with which it began.

    Raises:
        RegistryError: NAME_INVALID.
        Unauthenticated, Denied: see :func:`check_allowed`.
    """
    written = parse_name(text)
    names = [each for each in names_of(text) if is_allowed(each, action)]
    if not names:
        check_allowed(written, action)
    if len(names) > 1:
        is_going_on = action == PUSH and not is_new
        names = _known(names) or (_begun(names) if is_going_on else []) or names
    return written if written in names else names[0]


def _known(names: list[str]) -> list[str]:
    """Return the first of the names that exists, if any."""
    has_image = repository().lists.has_image
    # Contact a remote only for read requests.
    for is_known in (has_image, _has_tags) if request.method in READING else (has_image,):
        for name in names:
            if is_known(name):
                return [name]
    return []


def _begun(names: list[str]) -> list[str]:
    """Return the name to which the actor is pushing, if any."""
    pushes, pusher = repository().v1_pushes(None), actor_as_pusher()
    begun = {name: pushes.begun_at(name, pusher) for name in names}
    return [name for name in names if begun[name] == max(begun.values()) > 0]


def _has_tags(name: str) -> bool:
    try:
        return bool(repository().lists.tags(name, "", 1))
    except RegistryFailure as error:
        if error.code is ErrorCode.NAME_UNKNOWN:
            return False
        raise


def is_allowed(name: str, action: str) -> bool:
    """Return whether the actor, and their token, may do something to an image."""
    actor = current_actor()
    is_covered = any(actor.has_scope(kind, name, action) for kind in (SCOPE, "repository"))
    return is_covered and may(actor, name, NEEDS[action])


def may_pull(name: str) -> bool:
    """Return whether the actor may see an image."""
    return is_allowed(name, PULL)


def check_allowed(name: str, action: str) -> None:
    """Check that the actor may do something to an image.

    Raises:
        Unauthenticated: the actor is anonymous, or their token is for something else.
        Denied: the actor lacks the right.
    """
    if is_allowed(name, action):
        return
    actor = current_actor()
    if actor.is_anonymous or actor.scopes is not None:
        raise Unauthenticated("Requires authorization")
    raise Denied(f"{actor.name} is not allowed to {action} {name} in {current_repository().name}.")


def check_reference(name: str, reference: str, actions: frozenset[Action]) -> None:
    """Check that the actor may do something to a tag (Unauthenticated, Denied)."""
    access = Access(actions, manifest_path(name, reference), name)
    current_security().authorizer.check(current_actor(), current_ref(), access)


def check_blob(name: str, digest: object) -> None:
    """Check that the actor may read a blob of an image (Unauthenticated, Denied)."""
    access = Access(NEEDS[PULL], f"/v2/{name}/blobs/{digest}", name)
    current_security().authorizer.check(current_actor(), current_ref(), access)


def current_pusher() -> Pusher:
    """Return who pushes images, whose paths contain no image name.

    Raises:
        Unauthenticated: the actor is anonymous, and anonymous users may not push.
    """
    actor = current_actor()
    authorizer = current_security().authorizer
    if actor.is_anonymous and not authorizer.may_do_everywhere(actor, current_ref(), ADD):
        raise Unauthenticated("Requires authorization")
    return actor_as_pusher()


def actor_as_pusher() -> Pusher:
    """Return the actor as a pusher, whether they may push or not."""
    builds_on = repository().builds_on
    return Pusher(
        _owner(),
        may_push=lambda name: is_allowed(name, PUSH) and builds_on(name),
        may_read=lambda name: may_pull(name) and builds_on(name),
    )


def _owner() -> str:
    """Return what the actor's pushes are stored with; the next user of a name is another owner."""
    actor = current_actor()
    if actor.is_anonymous:
        return actor.owner
    try:
        account = current_security().users.get_account(actor)
    except Denied:
        return actor.owner
    return f"{actor.owner}#{account.created_at}"


def give_token(response: Response, name: str, action: str) -> None:
    """Send the client the address for the next requests, and a token if it asks for one.

    The address is the one at which it reached this server.
    """
    response.headers["X-Docker-Endpoints"] = request.root_url.partition("://")[2].rstrip("/")
    actor = current_actor()
    is_asked = request.headers.get("X-Docker-Token", "").lower() == "true"
    # A token must not be used to get another one, which would extend it forever.
    if not is_asked or actor.scopes is not None or repository().settings.force_basic_auth:
        return
    scope = Scope(SCOPE, name, frozenset(_ACTIONS[action]))
    signature = current_security().tokens.issue(
        actor, current_repository().name, (scope,), TOKEN_LIFETIME_S
    )
    token = f'signature={signature},repository="{name}",access={_ACCESS[action]}'
    response.headers["X-Docker-Token"] = token
    response.headers["WWW-Authenticate"] = f"Token {token}"
