"""What the services of one Docker proxy share: the cache, the remote, names and messages."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from repoman.plugin import (
    Asset,
    BlobStore,
    ContentStore,
    NotFound,
    ProxyCache,
    ProxySection,
    RemoteState,
    RoutingSection,
    StorageFull,
    Unavailable,
    UpstreamRefused,
)
from repoman_docker.index import LIBRARY
from repoman_docker.layout import tag_list_path, tag_path
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import Tag
from repoman_docker.protocol.registries import host_names, is_hub
from repoman_docker.remote import RemoteRegistry
from repoman_docker.sections import DockerProxySection
from repoman_docker.service import RegistryFailure, failure

STORAGE_ERRORS = (StorageFull, Unavailable)  # errors that keep something from being cached

_log = logging.getLogger(__name__)


class Source(StrEnum):
    """The source of a response, as shown in ``X-Repoman-Cache`` and the access log."""

    HIT = "HIT"
    MISS = "MISS"
    STALE = "STALE"
    REVALIDATED = "REVALIDATED"


@dataclass(frozen=True, slots=True)
class ProxySite:
    """The parts of one proxy.

    Attributes:
        name: of the repository.
        cache: the proxy cache of the core.
        registry: the client of the remote registry.
    """

    name: str
    proxy: ProxySection
    docker_proxy: DockerProxySection
    routing: RoutingSection
    content: ContentStore
    blobs: BlobStore
    cache: ProxyCache
    registry: RemoteRegistry

    @property
    def host(self) -> str:
        """The host of the remote, with the port if one is given."""
        return urlsplit(self.proxy.remote_url).netloc

    @property
    def namespaces(self) -> frozenset[str]:
        """The hosts that this proxy mirrors (the parameter ``ns`` of clients)."""
        return host_names(self.proxy.remote_url)

    @property
    def expands_library(self) -> bool:
        """Whether a name of one component means one in ``library/``."""
        expand = self.docker_proxy.expand_library
        return is_hub(self.host) if expand is None else expand

    def long_name(self, name: str) -> str:
        """Return the name under which an image is cached."""
        return LIBRARY + name if "/" not in name and self.expands_library else name

    def short_name(self, name: str) -> str:
        """Return the shortest name of an image in this proxy."""
        short = name.removeprefix(LIBRARY) if self.expands_library else name
        return name if "/" in short else short

    def names(self, name: str) -> frozenset[str]:
        """Return all names of the same image in this proxy."""
        long = self.long_name(name)
        return frozenset({name, long, self.short_name(long)})

    def serves(self, name: str) -> bool:
        """Return whether the routing rule allows an image."""
        return self.routing.allows(*self.names(name))

    def image(self, name: str, code: ErrorCode) -> str:
        """Return the name under which an image is cached and requested.

        Raises:
            RegistryFailure: ``code``, the routing rule of this proxy refuses it.
        """
        if not self.serves(name):
            raise failure(
                code,
                f"The routing rule of the repository {self.name} forbids {name}.",
                status=404,
            )
        return self.long_name(name)

    def find(self, path: str) -> Asset | None:
        """Return the cached asset at a path; None if its bytes are missing: it is fetched again.

        It stays in the database until then, since a missing disk may come back.
        """
        asset = self.content.find_asset(path)
        if asset is None:
            return None
        try:
            if self.content.has_bytes(asset):
                return asset
            _log.error(
                "The file of %s in the proxy %s is missing. It is fetched again.", path, self.name
            )
        except Unavailable as error:
            _log.error("Cannot read %s of the proxy %s: %s", path, self.name, error)
        return None

    def keep(self, what: str, write: Callable[[], object]) -> bool:
        """Write to the cache and return whether that succeeded.

        Clients are served even if the disk is full or not writable, and they do not wait for other
        writers.
        """
        try:
            with self.content.brief_waits():
                write()
        except STORAGE_ERRORS as error:
            _log.warning("Cannot store %s in the proxy %s: %s", what, self.name, error)
            return False
        return True

    @contextmanager
    def absence(self, code: ErrorCode, what: str) -> Iterator[None]:
        """Convert absence at the remote, and its refusals, into the error ``code`` with 404.

        A refusal is never passed on as 401: the client would try to log in to this server.
        """
        try:
            yield
        except NotFound as error:
            raise self.unknown(code, what) from error
        except UpstreamRefused as error:
            raise failure(code, f"The proxy cannot read {what}: {error}", status=404) from error

    def unknown(self, code: ErrorCode, what: str) -> RegistryFailure:
        """Return the error for content that is neither in the remote nor in the cache."""
        return failure(
            code, f"The remote {self.proxy.remote_url} does not have {what}.", status=404
        )

    def headers(self, source: Source, asset: Asset | None = None) -> Mapping[str, str]:
        """Return the headers with the source and the age of a response."""
        headers = {"X-Repoman-Cache": source.value, "X-Repoman-Upstream": self.host}
        if asset is not None:
            headers["Age"] = str(self.cache.metadata.age(asset.checked_at))
        return headers


class ProxyRemote:
    """Reports the status of the remote, and invalidates the cache."""

    def __init__(self, site: ProxySite) -> None:
        self._site = site

    @property
    def state(self) -> RemoteState:
        """See :class:`repoman.plugin.Remote`."""
        return self._site.cache.state

    def check(self) -> RemoteState:
        """See :class:`repoman.plugin.Remote`."""
        return self._site.cache.check()

    def invalidate(self) -> None:
        """See :class:`repoman.plugin.Remote`."""
        self._site.cache.invalidate()

    def refresh(self, name: str) -> None:
        """See :class:`repoman.plugin.Remote`; includes lists and negative results."""
        image = self._site.image(name, ErrorCode.NAME_UNKNOWN)
        self._site.cache.refresh(
            [
                (tag_path(image, Tag("")), ""),
                (tag_list_path(image), tag_list_path(image)),
                ("referrers/", f"/{image}"),
            ]
        )
