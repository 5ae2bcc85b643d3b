"""Proxies of registries: they cache what clients pull through them."""

from functools import partial

from repoman.plugin import (
    Built,
    CacheRemote,
    Capabilities,
    HttpClientSection,
    Invalid,
    ProxyCache,
    RemoteCredentials,
    RepositoryContext,
    RoutingSection,
    open_cache,
)
from repoman_docker.browsing.space import version_space
from repoman_docker.hosted.deletion import NOTE, Deletion
from repoman_docker.layout import BLOB
from repoman_docker.proxy.blobs import ProxyBlobs
from repoman_docker.proxy.lists import ProxyLists
from repoman_docker.proxy.manifests import ProxyManifests
from repoman_docker.proxy.search import ProxySearch
from repoman_docker.proxy.site import ProxySite
from repoman_docker.proxy.tags import TagStore
from repoman_docker.proxy.uploads import ProxyUploads
from repoman_docker.remote import RegistryClient, RemoteRegistry, V1Client
from repoman_docker.search import INDEX_TIMEOUT_S, ImageIndex, IndexContext, IndexFactory
from repoman_docker.sections import DockerProxySection, DockerRemoteSection, DockerSection
from repoman_docker.service import DockerRepository
from repoman_docker.v1.converted import ConvertedRegistry
from repoman_docker.v1.images import open_images


def build_proxy(context: RepositoryContext) -> Built:
    """Return the services of a proxy."""
    config = context.config
    docker = config.section("docker", DockerSection)
    is_v1 = config.section("docker_proxy", DockerProxySection).v1_remote
    cache = open_cache(context, (BLOB,), "v1/_ping" if is_v1 else "v2/")
    credentials = config.section("http_client", HttpClientSection).credentials
    site = ProxySite(
        name=config.name,
        proxy=config.section("proxy", DockerRemoteSection),
        docker_proxy=config.section("docker_proxy", DockerProxySection),
        routing=config.section("routing", RoutingSection),
        content=context.content,
        blobs=context.blobs,
        cache=cache,
        registry=_open_registry(context, cache, credentials),
    )
    uploads = ProxyUploads(config.name, site.proxy.remote, config.format, context.list_repositories)
    tags = TagStore(site)
    blobs = ProxyBlobs(site, uploads)
    manifests = ProxyManifests(site, tags, uploads)
    lists = ProxyLists(site)
    deletion = Deletion(context.content)
    service = DockerRepository(
        settings=docker,
        blobs=blobs,
        uploads=uploads,
        manifests=manifests,
        lists=lists,
        search=ProxySearch(site, _open_index(context, site, credentials)),
        v1_images=open_images(context, manifests, blobs, lists.cached_tags),
        v1_pushes=uploads.refuse_v1,
        namespaces=docker.stands_for or site.namespaces,
        names=site.names,
        delete_unneeded=deletion.delete_unneeded,
    )
    return Built(service, _capabilities(config.id, site, deletion))


def _capabilities(repository_id: int, site: ProxySite, deletion: Deletion) -> Capabilities:
    return Capabilities(
        remote=CacheRemote(site.cache, site.places),
        delete_component=deletion.delete_component,
        delete_asset=deletion.delete_asset,
        deletion_note=NOTE,
        version_space=partial(version_space, repository_id),
    )


def _open_registry(
    context: RepositoryContext, cache: ProxyCache, credentials: RemoteCredentials
) -> RemoteRegistry:
    if context.config.section("docker_proxy", DockerProxySection).v1_remote:
        client = V1Client(cache.client, credentials)
        return ConvertedRegistry(client, context.content, context.blobs, cache)
    limit = context.config.section("docker", DockerSection).manifest_limit
    registry = RegistryClient(cache.client, credentials, limit)
    cache.on_check(registry.check_login)
    return registry


def _open_index(
    context: RepositoryContext, site: ProxySite, credentials: RemoteCredentials
) -> ImageIndex:
    strategies: dict[str, IndexFactory] = {}
    if context.hook is not None:
        for found in context.hook.repoman_docker_index_strategies():
            strategies.update(found)
    kind = site.docker_proxy.index_type
    if kind not in strategies:
        known = ", ".join(sorted(strategies))
        raise Invalid(
            f"docker_proxy.index_type: no plugin offers {kind!r}; choose one of: {known}."
        )
    # Not the client of the cache: a slow catalog must not block the remote.
    client = site.cache.open_client(site.proxy.remote, INDEX_TIMEOUT_S)
    index = IndexContext(
        site.proxy.remote,
        site.docker_proxy.index,
        site.cache.open_client,
        credentials.headers,
        RegistryClient(client, credentials, manifest_limit=0).list_images,
    )
    return strategies[kind](index)
