"""The requests that a proxy makes to a remote that supports only the API V1.

All methods raise errors of the core, as those of :mod:`repoman_docker.remote.contract` do. Requests
go only to the remote itself, not to other hosts that it names as its endpoints.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from repoman.plugin import (
    LruCache,
    NotFound,
    RemoteCredentials,
    UpstreamClient,
    UpstreamRefused,
    UpstreamResponse,
    UpstreamUnavailable,
)
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.reference import Tag, parse_tag
from repoman_docker.protocol.v1 import CHAIN_MAX_IMAGES, is_image_id, long_name

LIST_MAX_BYTES = 8 << 20  # maximum bytes of a list of tags
JSON_MAX_BYTES = 1 << 20  # maximum bytes of an image's JSON


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """The JSON of an image, and the checksum of JSON and layer in hex, if stated."""

    json: bytes
    checksum: str


class V1Client:
    """The client of one remote registry; thread safe."""

    def __init__(self, client: UpstreamClient, credentials: RemoteCredentials) -> None:
        self.remote = client.remote
        self._client = client
        self._login_headers = credentials.headers
        self._tokens: LruCache[str] = LruCache()

    def tag(self, name: str, tag: Tag) -> str:
        """Return the id of a tag's image."""
        found = self._get_json(name, f"repositories/{quote(long_name(name))}/tags/{tag}")
        if not isinstance(found, str) or not is_image_id(found):
            raise self._nonsense(f"the tag {name}:{tag}")
        return found

    def tags(self, name: str) -> list[str]:
        """Return all tags of an image, in byte order."""
        found = self._get_json(name, f"repositories/{quote(long_name(name))}/tags")
        if not isinstance(found, dict):
            raise self._nonsense(f"the tags of {name}")
        return sorted(each for each in found if _is_tag(each))

    def ancestry(self, name: str, image_id: str) -> tuple[str, ...]:
        """Return the ids from an image down to the lowest."""
        found = self._get_json(name, f"images/{image_id}/ancestry")
        if (
            not isinstance(found, list)
            or not all(isinstance(each, str) and is_image_id(each) for each in found)
            or found[:1] != [image_id]
            or len(set(found)) < len(found)
            or len(found) > CHAIN_MAX_IMAGES
        ):
            raise self._nonsense(f"the ancestry of {image_id}")
        return tuple(found)

    def image(self, name: str, image_id: str) -> RemoteImage:
        """Return the JSON of an image."""
        with self._ask(name, f"images/{image_id}/json", {}) as response:
            self._check_status(response, HTTPStatus.OK)
            told = response.headers.get("X-Docker-Checksum-Payload", "")
            checksum = told.removeprefix("sha256:") if told.startswith("sha256:") else ""
            return RemoteImage(response.read_all(JSON_MAX_BYTES), checksum)

    def open_layer(self, name: str, image_id: str, start: int = 0) -> UpstreamResponse:
        """Return the response with a layer, from byte ``start`` on if supported."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        response = self._ask(name, f"images/{image_id}/layer", headers)
        try:
            self._check_status(response, HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
        except BaseException:
            response.close()
            raise
        return response

    # Inside -------------------------------------------------------------------------------------

    def _get_json(self, name: str, path: str) -> object:
        with self._ask(name, path, {}) as response:
            self._check_status(response, HTTPStatus.OK)
            body = response.read_all(LIST_MAX_BYTES)
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self._nonsense(path) from error

    def _ask(self, name: str, path: str, headers: Mapping[str, str]) -> UpstreamResponse:
        """Send a request with the token for an image name, fetching a new one if it is refused."""
        token = self._tokens.find(name)
        known = self._login_headers if token is None else {"Authorization": f"Token {token}"}
        response = self._client.open("GET", f"v1/{path}", {**headers, **known})
        if response.status == HTTPStatus.UNAUTHORIZED:
            response.close()
            token = self._fetch_token(name)
            if token is not None:
                known = {"Authorization": f"Token {token}"}
                response = self._client.open("GET", f"v1/{path}", {**headers, **known})
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            response.close()
            raise UpstreamRefused(
                f"The remote {self.remote} refused access to {name}: it does not exist there, or "
                "the credentials of the proxy are wrong."
            )
        if response.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            response.close()
            raise NotFound(f"The remote {self.remote} does not have it.")
        return response

    def _fetch_token(self, name: str) -> str | None:
        headers = {**self._login_headers, "X-Docker-Token": "true"}
        with self._client.open("GET", f"v1/repositories/{quote(name)}/images", headers) as response:
            token = response.headers.get("X-Docker-Token")
        if token is None:
            self._tokens.discard(name)
            return None
        token = token.removeprefix("Token ")
        self._tokens.save(name, token)
        return token

    def _check_status(self, response: UpstreamResponse, *expected: int) -> None:
        if response.status not in expected:
            raise UpstreamUnavailable(
                f"The remote {self.remote} answered with the status {response.status}."
            )

    def _nonsense(self, what: str) -> UpstreamUnavailable:
        return UpstreamUnavailable(f"The remote {self.remote} sent an invalid answer about {what}.")


def _is_tag(text: str) -> bool:
    try:
        return bool(parse_tag(text))
    except RegistryError:
        return False
