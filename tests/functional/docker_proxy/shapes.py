"""One image, served by a scripted server as a test wants it."""

import base64
from collections.abc import Callable
from typing import Any

from tests.fakes.scripted import Answer, Asked, Reply, reply
from tests.functional.docker.images import OCI_INDEX, OCI_MANIFEST, Image, digest_of, make_image

NAME = "team/app"
TAG = f"{NAME}/manifests/1"
LOGIN = {"http_client__username": "puller", "http_client__password": "secret"}
BASIC = f"Basic {base64.b64encode(b'puller:secret').decode()}"
REFERRER = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{'a' * 64}", "size": 7}
NOT_FOUND = {"errors": [{"code": "NOT_FOUND", "message": "not here"}]}


def serve(image: Image, prefix: str = "", name: str = NAME) -> Answer:
    """Answer for an image with the tag 1, to everybody."""
    contents = {f"blobs/{each_digest}": each for each_digest, each in digests(image).items()}
    root = f"{prefix}/v2/{name}/"

    def answer(asked: Asked) -> Reply:
        what = asked.path.removeprefix(root) if asked.path.startswith(root) else ""
        if what in ("manifests/1", f"manifests/{image.digest}"):
            digest = image.digest
            return reply(
                200, image.manifest, Content_Type=OCI_MANIFEST, Docker_Content_Digest=digest
            )
        if what in contents:
            return reply(200, contents[what], Content_Type="application/octet-stream")
        if what == "tags/list":
            return reply(200, {"name": name, "tags": ["1"]}, Content_Type="application/json")
        if what == f"referrers/{image.digest}":
            index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [REFERRER]}
            return reply(200, index, Content_Type=OCI_INDEX)
        if asked.path in (f"{prefix}/v2/", f"{prefix}/"):
            return reply(200, {})
        return reply(404, NOT_FOUND)

    return answer


def digests(image: Image) -> dict[str, bytes]:
    """The blobs of an image by their digests."""
    return {digest_of(blob): blob for blob in image.blobs}


def check_all(proxy: Any, image: Image) -> None:
    """Pull an image by its tag and by its digest, and list its tags and referrers."""
    assert proxy.get(f"{NAME}/tags/list").json()["tags"] == ["1"]
    assert proxy.pull(NAME, "1") == image.manifest
    assert proxy.get(f"{NAME}/manifests/{image.digest}").body == image.manifest
    assert proxy.head(TAG).headers["Docker-Content-Digest"] == image.digest
    referrers = proxy.get(f"{NAME}/referrers/{image.digest}").json()["manifests"]
    assert [each["digest"] for each in referrers] == [REFERRER["digest"]]


Guard = Callable[[Asked], Reply | None]


def guarded(guard: Guard, answer: Answer) -> Answer:
    """Answer as the guard does where it has something to say."""

    def both(asked: Asked) -> Reply | None:
        found = guard(asked)
        return answer(asked) if found is None else found

    return both


def by_token(url: Callable[[], str], token: str = "T", **challenge: str) -> Guard:
    """Give the token to everybody, and let in who has it."""

    def guard(asked: Asked) -> Reply | None:
        if asked.path == "/token":
            return reply(200, {"token": token})
        if asked.authorization == f"Bearer {token}":
            return None
        parameters = {"realm": f"{url()}/token", "service": "s", **challenge}
        text = ",".join(f'{key}="{value}"' for key, value in parameters.items())
        return reply(401, {}, WWW_Authenticate=f"Bearer {text}")

    return guard


__all__ = [
    "BASIC",
    "LOGIN",
    "NAME",
    "TAG",
    "by_token",
    "check_all",
    "digests",
    "guarded",
    "make_image",
    "serve",
]
