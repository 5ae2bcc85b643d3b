"""The requests that a proxy makes to its remote registry.

Source: OCI distribution-spec, Pull and Content Discovery. All methods raise errors of the core:
NotFound, UpstreamRefused (401, 403), UpstreamRateLimited, UpstreamUnavailable, UpstreamBlocked.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

from repoman.plugin import (
    NotFound,
    RemoteCredentials,
    UpstreamClient,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamResponse,
    UpstreamUnavailable,
    encoding_of,
)
from repoman_docker.protocol.descriptor import Descriptor
from repoman_docker.protocol.errors import RegistryError
from repoman_docker.protocol.manifest import Manifest, read_manifest
from repoman_docker.protocol.media_types import ACCEPT, OCI_INDEX, is_json, parse_content_type
from repoman_docker.protocol.reference import Digest, Tag, parse_name, parse_tag, referrers_tag
from repoman_docker.remote.authentication import REFUSALS, Dialogue, RemoteAuthentication
from repoman_docker.remote.contract import (
    Budget,
    RemoteList,
    RemoteManifest,
    RemoteTag,
    WrongManifest,
)
from repoman_docker.remote.pages import PAGE_ENTRIES, Pages, page_after

SILENT_AFTER_S = 2.0
"""A remote that closes the connection of a HEAD after this many seconds counts as silent."""

SILENCE_S = 600.0
"""A remote that did not answer a HEAD gets no other one for this many seconds."""

NOT_OFFERED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.NOT_IMPLEMENTED,
    }
)
"""The answers of registries, besides 404, to requests that they do not know."""

_Entry = TypeVar("_Entry", bound=Hashable)

_AMOUNT = re.compile(r"\s*+([0-9]{1,18})\s*+(?:;\s*+w=([0-9]{1,18})\s*+)?")

_log = logging.getLogger(__name__)


class _NotOffered(UpstreamUnavailable):
    """The registry does not know this part of the API, by its status or a page for people."""


class _Unanswered(UpstreamUnavailable):
    """A HEAD got no answer, or an error; GET may still succeed."""


class RegistryClient:
    """The client of one remote registry; thread safe.

    Args:
        client: sends requests to the remote.
        credentials: of this proxy.
        manifest_limit: maximum size of a manifest, in bytes.
    """

    def __init__(
        self, client: UpstreamClient, credentials: RemoteCredentials, manifest_limit: int
    ) -> None:
        self.remote = client.remote
        self._client = client
        self._authentication = RemoteAuthentication(client, credentials)
        self._manifest_limit = manifest_limit
        self._silent_until = 0.0
        self._budget: Budget | None = None

    @property
    def budget(self) -> Budget | None:
        """The pull limit of the remote as last stated; None if it has none."""
        return self._budget

    def check_login(self) -> None:
        """Report to the status whether the remote accepts the credentials; raises nothing."""
        if not self._authentication.has_login:
            return
        dialogue = self._authentication.begin_login()
        try:
            with self._converse("GET", "v2/", {}, dialogue) as response:
                is_refused = response.status == HTTPStatus.UNAUTHORIZED
            if not is_refused:
                self._client.status.note_login()
            elif dialogue.was_login_refused:
                self._client.status.note_login(self._authentication.refusal)
        except UpstreamRefused:
            self._client.status.note_login(self._authentication.refusal)
        except UpstreamError:
            _log.debug("Could not check the credentials at %s.", self.remote, exc_info=True)

    # Manifests ----------------------------------------------------------------------------------

    def head_manifest(self, name: str, reference: Digest | Tag) -> RemoteTag | None:
        """Return the digest and size of a reference; None if only GET can tell.

        HEAD does not count against a pull limit. Registries, and proxies in front of them, refuse
        HEAD in many ways, so a refusal means nothing until GET is refused too.
        """
        path = f"manifests/{reference}"
        try:
            response = self._ask("HEAD", name, path, {"Accept": ACCEPT})
        except (NotFound, UpstreamRefused, _Unanswered) as error:
            _log.debug("HEAD of %s of %s: %s", path, name, error)
            return None
        with response:
            self._note_budget(response)
            media_type = parse_content_type(response.headers.get("Content-Type"))
            try:
                digest = Digest.parse(response.headers.get("Docker-Content-Digest", "").strip())
            except RegistryError:
                return None
            is_told = response.status == HTTPStatus.OK and is_json(media_type)
            size = None if encoding_of(response.headers) else response.length
            if not is_told or not size or not digest.is_supported:
                return None
            return RemoteTag(digest, size, media_type)

    def get_manifest(self, name: str, reference: Digest | Tag) -> RemoteManifest:
        """Return a manifest; see :class:`repoman_docker.remote.contract.RemoteRegistry`."""
        self._client.status.check_rate()
        with self._ask("GET", name, f"manifests/{reference}", {"Accept": ACCEPT}) as response:
            self._note_budget(response)
            self._check_status(response)
            body = response.read_all(self._manifest_limit)
            content_type = response.headers.get("Content-Type")
            told = response.headers.get("Docker-Content-Digest")
        algorithm = reference.algorithm if isinstance(reference, Digest) else "sha256"
        digest = Digest.of(algorithm, body)
        if isinstance(reference, Digest) and digest != reference:
            _log.error("SECURITY: %s sent %s of %s as %s", self.remote, digest, name, reference)
            raise WrongManifest(
                f"The remote {self.remote} sent a manifest of {name} that does not match its "
                "digest."
            )
        if told is not None and told.startswith("sha256:") and told != str(digest):
            _log.warning(
                "%s states that %s:%s is %s, but sent %s",
                self.remote,
                name,
                reference,
                told,
                digest,
            )
        return RemoteManifest(digest, body, self._parse(name, body, content_type))

    def _parse(self, name: str, body: bytes, content_type: str | None) -> Manifest:
        try:
            return read_manifest(body, content_type)
        except RegistryError as error:
            raise _NotOffered(
                f"The remote {self.remote} sent an invalid manifest of {name}: {error.message}"
            ) from error

    # Blobs --------------------------------------------------------------------------------------

    def open_blob(self, name: str, digest: Digest, start: int = 0) -> UpstreamResponse:
        """Return a blob, from byte ``start`` on if supported; the caller closes the response."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        response = self._ask("GET", name, f"blobs/{digest}", headers)
        if start and response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            response.close()
            response = self._ask("GET", name, f"blobs/{digest}", {})
        self._check_status(response)
        return response

    def blob_size(self, name: str, digest: Digest) -> int | None:
        """Return the size of a blob in bytes; None if the remote does not state it."""
        try:
            with self._ask("HEAD", name, f"blobs/{digest}", {}) as response:
                if response.status == HTTPStatus.OK and not encoding_of(response.headers):
                    size = response.length
                    if size:  # Some say 0 of everything.
                        return size
        except (NotFound, UpstreamRefused, _Unanswered) as error:
            # An object store behind a redirect may allow only GET.
            _log.debug("HEAD of a blob of %s: %s", name, error)
        with self.open_blob(name, digest) as response:
            return None if encoding_of(response.headers) else response.length or None

    # Lists --------------------------------------------------------------------------------------

    def list_tags(self, name: str) -> RemoteList[str]:
        """Return all tags of an image, in byte order."""

        def parse(body: bytes) -> list[str]:
            try:
                return list(filter(_is_tag, json.loads(body).get("tags") or ()))
            except (ValueError, AttributeError, TypeError, RecursionError) as error:
                raise UpstreamUnavailable(
                    f"The remote {self.remote} sent an invalid list of the tags of {name}."
                ) from error

        path = f"v2/{quote(name)}/tags/list?n={PAGE_ENTRIES}"
        pages = self._pages(name, path, parse, page_after)
        return RemoteList(sorted(pages), pages.gap)

    def list_images(self) -> Iterator[str]:
        """Yield the image names of the remote's catalog, fetching one page at a time."""

        def parse(body: bytes) -> list[str]:
            try:
                return list(filter(_is_name, json.loads(body)["repositories"] or ()))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise UpstreamUnavailable(
                    f"The remote {self.remote} sent an invalid list of images."
                ) from error

        yield from self._pages("", f"v2/_catalog?n={PAGE_ENTRIES}", parse, page_after)

    def list_referrers(self, name: str, subject: Digest) -> RemoteList[Descriptor]:
        """Return the manifests with this subject, ordered by digest."""
        by_digest: dict[Digest, Descriptor] = {}

        def parse(body: bytes) -> list[Digest]:
            found = self._parse(name, body, OCI_INDEX).children
            by_digest.update((each.digest, each) for each in found)
            return [each.digest for each in found]

        pages = self._pages(name, f"v2/{quote(name)}/referrers/{subject}", parse)
        try:
            digests = list(pages)
        except (NotFound, UpstreamRefused, _NotOffered):
            if by_digest:
                raise
            tagged = self._tagged_referrers(name, subject)
            by_digest.update((each.digest, each) for each in tagged)
            digests = list(by_digest)
        return RemoteList([by_digest[each] for each in sorted(digests)], pages.gap)

    def _tagged_referrers(self, name: str, subject: Digest) -> tuple[Descriptor, ...]:
        """Return the referrers that a registry without the API has under the referrers tag."""
        try:
            return self.get_manifest(name, referrers_tag(subject)).manifest.children
        except NotFound:
            return ()

    def _pages(
        self,
        name: str,
        path: str,
        parse: Callable[[bytes], list[_Entry]],
        guess: Callable[[_Entry], str] | None = None,
    ) -> Pages[_Entry]:
        def ask(path: str) -> UpstreamResponse:
            response = self._ask_at("GET", name, path, {})
            self._check_status(response)
            return response

        return Pages(self.remote, path, ask, parse, guess)

    # Inside -------------------------------------------------------------------------------------

    def _ask(
        self, method: str, name: str, path: str, headers: Mapping[str, str]
    ) -> UpstreamResponse:
        """Send a request about an image; see :meth:`_ask_at`."""
        return self._ask_at(method, name, f"v2/{quote(name)}/{path}", headers)

    def _ask_at(
        self, method: str, name: str, path: str, headers: Mapping[str, str]
    ) -> UpstreamResponse:
        """Send a request with the logins of the hosts on its way."""
        dialogue = self._authentication.begin(name)
        response = self._converse(method, path, headers, dialogue)
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            response.close()
            _log.warning("%s refused %s of %s: %s", response.host, method, name, response.status)
            if response.status == HTTPStatus.UNAUTHORIZED and dialogue.was_login_refused:
                self._client.status.note_login(self._authentication.refusal)
            raise dialogue.error or UpstreamRefused(
                f"{response.host} refused access to {name or 'its catalog'}: it does not exist "
                "there, or the credentials of the proxy are wrong."
            )
        if response.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            response.close()
            raise NotFound(f"{response.host} does not have it.")
        if dialogue.has_shown_login:
            self._client.status.note_login()
        return response

    def _converse(
        self, method: str, path: str, headers: Mapping[str, str], dialogue: Dialogue
    ) -> UpstreamResponse:
        """Repeat a request until no host on its way requires another login."""
        while True:
            dialogue.prepare()
            response = self._send(method, path, headers, dialogue)
            if response.status not in REFUSALS:
                return response
            response.close()
            if not dialogue.learn(response):
                return response

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], dialogue: Dialogue
    ) -> UpstreamResponse:
        try:
            if method == "HEAD":
                return self._send_head(path, headers, dialogue)
            return self._client.open(method, path, headers, authorize=dialogue.authorize)
        except UpstreamRateLimited as error:
            self._note_budget(error)
            raise

    def _send_head(
        self, path: str, headers: Mapping[str, str], dialogue: Dialogue
    ) -> UpstreamResponse:
        begun = time.monotonic()
        if begun >= self._silent_until:
            found = self._client.attempt("HEAD", path, headers, authorize=dialogue.authorize)
            if found is not None:
                return found
            if time.monotonic() - begun >= SILENT_AFTER_S:
                self._silent_until = time.monotonic() + SILENCE_S
        raise _Unanswered(f"The remote {self.remote} does not answer HEAD.")

    def _check_status(self, response: UpstreamResponse) -> None:
        """Close the response and fail unless it has the requested content, whole or in part."""
        if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            response.close()
            kind = _NotOffered if response.status in NOT_OFFERED else UpstreamUnavailable
            raise kind(f"{response.host} answered with the status {response.status}.")

    def _note_budget(self, response: UpstreamResponse | UpstreamRateLimited) -> None:
        limit, window = _amount(response.headers.get("ratelimit-limit"))
        remaining, _ = _amount(response.headers.get("ratelimit-remaining"))
        if limit is not None and remaining is not None:
            source = response.headers.get("docker-ratelimit-source", "")
            self._budget = Budget(limit, remaining, window, source, time.time())
            self._client.status.budget = asdict(self._budget)


def _amount(header: str | None) -> tuple[int | None, int]:
    """Parse ``100;w=21600`` into the number and the window in seconds."""
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
