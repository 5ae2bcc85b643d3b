"""What the services of one Docker proxy share: the cache, the remote, names and messages."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from repoman.plugin import (
    BlobTarget,
    ContentStore,
    LruCache,
    ProxyCache,
    RoutingSection,
)
from repoman_docker.layout import tag_list_path, tag_path
from repoman_docker.protocol.errors import ErrorCode
from repoman_docker.protocol.reference import Tag
from repoman_docker.protocol.registries import host_names, is_hub
from repoman_docker.remote import RemoteRegistry
from repoman_docker.search import LIBRARY
from repoman_docker.sections import DockerProxySection, DockerRemoteSection
from repoman_docker.service import failure


@dataclass(frozen=True, slots=True)
class ProxySite:
    """The parts of one proxy.

    Attributes:
        name: of the repository.
        cache: the proxy cache of the core.
        registry: the client of the remote registry.
        unkept: the images of which a manifest was served that could not be stored.
    """

    name: str
    proxy: DockerRemoteSection
    docker_proxy: DockerProxySection
    routing: RoutingSection
    content: ContentStore
    blobs: BlobTarget
    cache: ProxyCache
    registry: RemoteRegistry
    unkept: LruCache[bool] = field(default_factory=LruCache)

    @property
    def host(self) -> str:
        """The host of the remote, with the port if one is given."""
        return urlsplit(self.proxy.remote).netloc

    @property
    def namespaces(self) -> frozenset[str]:
        """The hosts that this proxy mirrors (the parameter ``ns`` of clients)."""
        return host_names(self.proxy.remote)

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

    def serves(self, name: str, *part: object) -> bool:
        """Return whether the routing rule allows an image, or the part that its path names."""
        return self.routing.allows(*self.names(name), part=part)

    def image(self, name: str, code: ErrorCode, *part: object) -> str:
        """Return the name under which an image is cached and requested.

        Raises:
            RegistryFailure: ``code``, the routing rule of this proxy refuses it, or the part that
                its path names.
        """
        if not self.serves(name, *part):
            raise failure(
                code,
                f"The routing rule of the repository {self.name} forbids {name}.",
                status=404,
            )
        return self.long_name(name)

    def places(self, name: str) -> list[tuple[str, str]]:
        """Return the beginnings and ends of the paths of an image, its lists included."""
        image = self.image(name, ErrorCode.NAME_UNKNOWN)
        return [
            (tag_path(image, Tag("")), ""),
            (tag_list_path(image), tag_list_path(image)),
            ("referrers/", f"/{image}"),
        ]

    def absence(self, code: ErrorCode, what: str) -> AbstractContextManager[None]:
        """Convert absence at the remote, and its refusals, into the error ``code`` with 404."""
        return self.cache.absence(what, partial(failure, code, status=404))
