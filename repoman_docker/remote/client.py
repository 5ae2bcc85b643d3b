"""The requests that a proxy makes to its remote registry.

Source: OCI distribution-spec, Pull and Content Discovery. All methods raise errors of the core:
NotFound, UpstreamRefused (401, 403), UpstreamRateLimited, UpstreamUnavailable, UpstreamBlocked.
"""

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from http import HTTPStatus
from urllib.parse import quote, urljoin

from repoman.plugin import (
    NotFound,
    UpstreamClient,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamResponse,
    UpstreamUnavailable,
)
from repoman_docker.protocol.challenge import CATALOG, image_scope
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.digest import Digest
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.manifest import Manifest, parse_manifest
from repoman_docker.protocol.media_types import ACCEPT, OCI_INDEX, is_json, parse_content_type
from repoman_docker.protocol.pagination import parse_next_link
from repoman_docker.protocol.reference import Tag, parse_name, parse_tag, referrers_tag
from repoman_docker.remote.contract import Budget, RemoteManifest, RemoteTag
from repoman_docker.remote.credentials import RemoteAuthentication, RemoteCredentials

LIST_LIMIT = 8 << 20  # bytes of one page of a list
LISTS_LIMIT = 64 << 20  # bytes of all pages of a list
PAGES = 1000  # of one list
PAGE = 1000  # entries asked for at a time

_AMOUNT = re.compile(r"\s*+([0-9]{1,18})\s*+(?:;\s*+w=([0-9]{1,18})\s*+)?")

_log = logging.getLogger(__name__)


class RegistryClient:
    """Asks one remote registry; thread safe.

    Args:
        client: the remote.
        credentials: of this proxy.
        manifest_limit: largest manifest, in bytes.
    """

    def __init__(
        self, client: UpstreamClient, credentials: RemoteCredentials, manifest_limit: int
    ) -> None:
        self.remote = client.remote
        self._client = client
        self._authentication = RemoteAuthentication(client, credentials)
        self._manifest_limit = manifest_limit
        self._budget: Budget | None = None

    @property
    def budget(self) -> Budget | None:
        """What the remote last said of its limit of pulls; None if it has none."""
        return self._budget

    def check_login(self) -> None:
        """Tell the status whether the remote takes the proxy's login; raises nothing."""
        if not self._authentication.has_login:
            return
        try:
            with self._login() as response:
                if response.status == HTTPStatus.UNAUTHORIZED:
                    self._authentication.note_refusal()
                else:
                    self._client.status.note_login()
        except UpstreamRefused:
            self._client.status.note_login(self._authentication.refusal)
        except UpstreamError:
            _log.debug("The login at %s could not be tried.", self.remote, exc_info=True)

    def _login(self) -> UpstreamResponse:
        """Return the answer to the question that clients begin with, asked with the login."""
        sent = self._authentication.header("")
        response = self._send("GET", "v2/", {}, sent)
        if response.status == HTTPStatus.UNAUTHORIZED:
            response.close()
            if self._authentication.learn(response, "", sent):
                return self._send("GET", "v2/", {}, self._authentication.header(""))
        return response

    # Manifests ----------------------------------------------------------------------------------

    def head_manifest(self, name: str, reference: Digest | Tag) -> RemoteTag | None:
        """Return what a reference names; None if the remote does not say, so that GET must.

        It does not count against a limit of pulls.
        """
        with self._ask("HEAD", name, f"manifests/{reference}", {"Accept": ACCEPT}) as response:
            self._note_budget(response)
            media_type = parse_content_type(response.headers.get("Content-Type"))
            try:
                digest = Digest.parse(response.headers.get("Docker-Content-Digest", ""))
            except RegistryError:
                return None
            is_told = response.status == HTTPStatus.OK and is_json(media_type)
            if not is_told or not response.length or not digest.is_supported:
                return None
            return RemoteTag(digest, response.length, media_type)

    def get_manifest(self, name: str, reference: Digest | Tag) -> RemoteManifest:
        """Return a manifest, its digest checked."""
        self._client.status.check_rate()
        with self._ask("GET", name, f"manifests/{reference}", {"Accept": ACCEPT}) as response:
            self._note_budget(response)
            self._check_status(response, HTTPStatus.OK)
            body = response.read_all(self._manifest_limit)
            content_type = response.headers.get("Content-Type")
            told = response.headers.get("Docker-Content-Digest")
        algorithm = reference.algorithm if isinstance(reference, Digest) else "sha256"
        digest = Digest.of(algorithm, body)
        expected = str(digest)
        if isinstance(reference, Digest):
            expected = str(reference)
        elif told is not None and told.startswith("sha256:"):
            expected = told
        if str(digest) != expected:
            _log.error("SECURITY: %s sent %s:%s as %s", self.remote, name, expected, digest)
            raise UpstreamUnavailable(f"The remote {self.remote} sent a wrong manifest of {name}.")
        return RemoteManifest(digest, body, self._parse(name, body, content_type))

    def _parse(self, name: str, body: bytes, content_type: str | None) -> Manifest:
        media_type = parse_content_type(content_type)
        try:
            return parse_manifest(body, media_type if is_json(media_type) else None)
        except RegistryError as error:
            raise UpstreamUnavailable(
                f"The remote {self.remote} sent no good manifest of {name}: {error.message}"
            ) from error

    # Blobs --------------------------------------------------------------------------------------

    def open_blob(self, name: str, digest: Digest, start: int = 0) -> UpstreamResponse:
        """Return the answer with a blob, from byte ``start`` on if the remote can; to be closed."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        response = self._ask("GET", name, f"blobs/{digest}", headers)
        try:
            self._check_status(response, HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
        except BaseException:
            response.close()
            raise
        return response

    def blob_size(self, name: str, digest: Digest) -> int | None:
        """Return the size of a blob in bytes; None if the remote does not say."""
        try:
            with self._ask("HEAD", name, f"blobs/{digest}", {}) as response:
                if response.status == HTTPStatus.OK and response.length is not None:
                    return response.length
        except UpstreamRefused:
            # An object store behind a redirect may allow GET alone.
            _log.debug("HEAD of a blob was refused by %s", self.remote)
        with self.open_blob(name, digest) as response:
            return response.length

    # Lists --------------------------------------------------------------------------------------

    def list_tags(self, name: str) -> list[str]:
        """Return all tags of an image, in byte order."""
        found: set[str] = set()
        for body in self._pages(name, f"tags/list?n={PAGE}"):
            try:
                found.update(_tag for _tag in json.loads(body).get("tags") or () if _is_tag(_tag))
            except (ValueError, AttributeError, TypeError) as error:
                raise UpstreamUnavailable(
                    f"The remote {self.remote} sent no list of tags of {name}."
                ) from error
        return sorted(found)

    def list_images(self) -> Iterator[str]:
        """Yield the image names of the remote's catalog, page by page, as it is asked for them."""
        for body in self._pages("", f"{self.remote}/v2/_catalog?n={PAGE}"):
            try:
                yield from filter(_is_name, json.loads(body)["repositories"] or ())
            except (ValueError, KeyError, TypeError) as error:
                raise UpstreamUnavailable(
                    f"The remote {self.remote} sent no list of images."
                ) from error

    def list_referrers(self, name: str, subject: Digest) -> list[Descriptor]:
        """Return the manifests with this subject, in order of their digests."""
        try:
            pages = list(self._pages(name, f"referrers/{subject}"))
        except (NotFound, UpstreamRefused):
            pages = []
        if pages:
            found = [each for body in pages for each in self._parse(name, body, OCI_INDEX).children]
        else:
            found = self._tagged_referrers(name, subject)
        return sorted({each.digest: each for each in found}.values(), key=lambda each: each.digest)

    def _tagged_referrers(self, name: str, subject: Digest) -> list[Descriptor]:
        """Return what a registry without the API has under the tag for referrers."""
        try:
            return list(self.get_manifest(name, referrers_tag(subject)).manifest.children)
        except NotFound:
            return []

    def _pages(self, name: str, path: str) -> Iterator[bytes]:
        left = LISTS_LIMIT
        for _ in range(PAGES):
            with self._ask("GET", name, path, {}) as response:
                self._check_status(response, HTTPStatus.OK)
                body = response.read_all(LIST_LIMIT)
                link = parse_next_link(response.headers.get("Link"))
                url = response.url
            left -= len(body)
            if left < 0:
                raise UpstreamUnavailable(
                    f"The remote {self.remote} sent more than the {LISTS_LIMIT} bytes allowed."
                )
            yield body
            if link is None:
                return
            path = urljoin(url, link)
            if not path.startswith(f"{self.remote}/"):
                _log.warning("%s leads to another host for more; not followed.", self.remote)
                return

    # Inside -------------------------------------------------------------------------------------

    def _ask(
        self, method: str, name: str, path: str, headers: Mapping[str, str]
    ) -> UpstreamResponse:
        """Send a request with what the remote wants to know of us, renewed once if need be."""
        scope = str(image_scope(name, "pull") if name else CATALOG)
        url = path if "://" in path else f"v2/{quote(name)}/{path}"
        sent = self._authentication.header(scope)
        response = self._send(method, url, headers, sent)
        if response.status == HTTPStatus.UNAUTHORIZED:
            response.close()
            if self._authentication.learn(response, scope, sent):
                response = self._send(method, url, headers, self._authentication.header(scope))
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            response.close()
            _log.warning("%s refused %s of %s: %s", self.remote, method, name, response.status)
            if response.status == HTTPStatus.UNAUTHORIZED:
                self._authentication.note_refusal()
            raise UpstreamRefused(
                f"The remote {self.remote} refused to let this server read {name}: it does not "
                "exist there, or the proxy's credentials are wrong."
            )
        if response.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            response.close()
            raise NotFound(f"The remote {self.remote} does not have it.")
        if sent is not None:
            self._client.status.note_login()
        return response

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str | None
    ) -> UpstreamResponse:
        own = {} if authorization is None else {"Authorization": authorization}
        try:
            return self._client.open(method, url, {**headers, **own})
        except UpstreamRateLimited as error:
            self._note_budget(error)
            raise

    def _check_status(self, response: UpstreamResponse, *expected: int) -> None:
        if response.status not in expected:
            raise UpstreamUnavailable(
                f"The remote {self.remote} answered with the status {response.status}."
            )

    def _note_budget(self, response: UpstreamResponse | UpstreamRateLimited) -> None:
        limit, window = _amount(response.headers.get("ratelimit-limit"))
        remaining, _ = _amount(response.headers.get("ratelimit-remaining"))
        if limit is not None and remaining is not None:
            source = response.headers.get("docker-ratelimit-source", "")
            self._budget = Budget(limit, remaining, window, source, time.time())
            self._client.status.budget = asdict(self._budget)


def _amount(header: str | None) -> tuple[int | None, int]:
    """Return the number and the window in seconds of ``100;w=21600``."""
    found = _AMOUNT.fullmatch(header or "")
    return (int(found[1]), int(found[2] or 0)) if found else (None, 0)


def _is_name(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(parse_name(value))
    except RegistryError:
        return False


def _is_tag(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(parse_tag(value))
    except RegistryError:
        return False
