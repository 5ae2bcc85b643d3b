"""Creates the cache of a proxy from its sections."""

from repoman.proxy.cache import CacheOptions, ProxyCache
from repoman.proxy.upstream import ClientOptions
from repoman.repositories.recipes import RepositoryContext
from repoman.repositories.sections import HttpClientSection, NegativeCacheSection, ProxySection


def open_cache(context: RepositoryContext, kinds: tuple[str, ...], probe: str = "") -> ProxyCache:
    """Return the cache of a proxy with the sections proxy, negative_cache and http_client.

    Assets of these ``kinds`` go when the cache passes its limit. A GET of the path ``probe`` below
    the remote tells whether the remote is well: it is if that is answered with less than 500.
    """
    if context.proxies is None:
        raise TypeError("This context does not belong to a proxy.")
    config = context.config
    proxy = config.section("proxy", ProxySection)
    negative = config.section("negative_cache", NegativeCacheSection)
    http = config.section("http_client", HttpClientSection)
    options = CacheOptions(
        repository_id=config.id,
        name=config.name,
        remote=proxy.remote_url,
        content_max_age=proxy.content_max_age,
        metadata_max_age=proxy.metadata_max_age,
        not_found_age=negative.time_to_live if negative.enabled else 0,
        limit=proxy.cache_limit,
        kinds=kinds,
        is_blocked=http.blocked,
        auto_block=http.auto_block,
        client=ClientOptions(
            retries=http.retries,
            timeout=http.timeout,
            user_agent_suffix=http.user_agent_suffix,
            ca_bundle=http.ca_bundle,
            allow_private=http.allow_private,
            probe=probe,
        ),
    )
    return ProxyCache(options, context.content, context.blobs, context.proxies)
