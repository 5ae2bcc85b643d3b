"""Recipes: how a repository of one format and type is checked and built."""

import builtins
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from repoman.blobs.store import BlobTarget
from repoman.content import ContentStore
from repoman.content_rules import DEFAULT_RULES, ContentRules
from repoman.errors import Invalid, NotFound
from repoman.proxy.cache import CacheOptions, ProxyCache
from repoman.proxy.services import ProxyServices
from repoman.proxy.upstream import ClientOptions
from repoman.repositories.component_upload import UploadSpec
from repoman.repositories.model import Capabilities, Repository, RepositoryConfig, RepositoryType
from repoman.repositories.proxy_sections import (
    HttpClientSection,
    NegativeCacheSection,
    ProxySection,
)
from repoman.sections import Section, parse_section
from repoman.uploads import UploadSessions

Settings = Mapping[str, Mapping[str, Any]]
# The same with None for a whole section that takes its defaults.
Patch = Mapping[str, Mapping[str, Any] | None]
# Takes parsed sections by name, and raises if whoever asks for them may not have them.
Check = Callable[[Mapping[str, Section]], object]


def allow_all(sections: Mapping[str, Section]) -> None:
    """Raise nothing: whoever asks may have any sections."""


@dataclass(frozen=True, slots=True)
class RepositoryContext:
    """The parts a recipe may build a repository from; it takes what it needs.

    ``blobs`` is where new bytes are written, within the quotas of the repository and its store.

    ``find_repository`` finds others by name, as they are when it is called: members of a group;
    ``list_repositories`` returns them all. ``proxies`` is what all proxies share, ``hook`` calls
    the hooks of plugins.
    """

    config: RepositoryConfig
    content: ContentStore
    blobs: BlobTarget
    uploads: UploadSessions
    find_repository: Callable[[str], Repository | None] = lambda _: None
    list_repositories: Callable[[], list[Repository]] = list
    proxies: ProxyServices | None = None
    hook: Any = None


@dataclass(frozen=True, slots=True)
class Built:
    """What a recipe makes: a service for the routes of its format, and what the core may ask."""

    service: Any
    capabilities: Capabilities = field(default_factory=Capabilities)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make repositories of one type of a format.

    Attributes:
        format: the format's name.
        type: the repository type.
        sections: the settings it takes, by section name; it must have ``storage``.
        build: returns the service, an implementation of the format's own protocol, and the
            capabilities of the repository.
        rules: how the format sees its content.
        upload: what an upload by a form may have; None: repositories take no forms.
        rest_name: of the format in the paths of the REST API; empty: its name.
    """

    format: str
    type: RepositoryType
    sections: Mapping[str, builtins.type[Section]]
    build: Callable[[RepositoryContext], Built] = field(repr=False)
    rules: ContentRules = field(default=DEFAULT_RULES, repr=False)
    upload: UploadSpec | None = field(default=None, repr=False)
    rest_name: str = ""

    @property
    def name(self) -> str:
        """Return what administrators call it: ``format-type``."""
        return f"{self.format}-{self.type}"

    def check_sections(self, names: Iterable[str]) -> None:
        """Return if it has all these sections (Invalid)."""
        for name in names:
            if name not in self.sections:
                known = ", ".join(sorted(self.sections))
                raise Invalid(
                    f"{name}: there is no such section; choose one of: {known}.", field=name
                )

    def parse(self, settings: Settings) -> dict[str, Section]:
        """Return the sections made of plain values; what is missing takes its default.

        Raises:
            Invalid: a section or key is unknown or wrong; ``field`` is its dotted path.
        """
        self.check_sections(settings)
        return {
            name: parse_section(kind, settings.get(name, {}), name)
            for name, kind in self.sections.items()
        }


def upload_specs(recipes: Iterable[Recipe]) -> dict[str, UploadSpec]:
    """Return what uploads by a form may have, by the names of the formats that take them."""
    found = ((each.format, each.upload) for each in recipes)
    return {name: spec for name, spec in sorted(found, key=itemgetter(0)) if spec is not None}


def upload_spec(recipes: Iterable[Recipe], format_: str) -> UploadSpec:
    """Return what an upload by a form may have (NotFound: the format takes none)."""
    found = upload_specs(recipes).get(format_)
    if found is None:
        raise NotFound(f"There is no format {format_!r} that takes uploads.")
    return found


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
        remote=proxy.remote,
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
            use_trust_store=bool(http.use_trust_store),
            allow_private=http.allow_private,
            probe=probe,
            network=context.proxies.network,
        ),
    )
    return ProxyCache(options, context.content, context.blobs, context.proxies)
