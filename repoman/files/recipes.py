"""The format of a plugin, and its recipes: how repositories of each type are made."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from repoman.files.format import FileFormat, asset_path, is_browsed
from repoman.files.group import GroupFiles
from repoman.files.hosted import HostedFiles
from repoman.files.proxy import ProxyFiles
from repoman.files.routes import files_blueprint
from repoman.http.formats import Format, FormatUi
from repoman.repositories.model import Capabilities, RepositoryType
from repoman.repositories.proxy_sections import (
    HttpClientSection,
    NegativeCacheSection,
    ProxySection,
    ReplicationSection,
)
from repoman.repositories.recipes import Built, Recipe, RepositoryContext
from repoman.repositories.sections import (
    AccessSection,
    CleanupSection,
    ComponentSection,
    GroupSection,
    HostedStorageSection,
    OnceStorageSection,
    QuotaSection,
    RoutingSection,
    StorageSection,
    WritePolicy,
)
from repoman.sections import Section

HOSTED: Mapping[str, type[Section]] = {
    "storage": HostedStorageSection,
    "quota": QuotaSection,
    "cleanup": CleanupSection,
    "component": ComponentSection,
}
PROXY: Mapping[str, type[Section]] = {
    "storage": StorageSection,
    "quota": QuotaSection,
    "cleanup": CleanupSection,
    "proxy": ProxySection,
    "negative_cache": NegativeCacheSection,
    "http_client": HttpClientSection,
    "replication": ReplicationSection,
    "routing": RoutingSection,
}
GROUP: Mapping[str, type[Section]] = {
    "storage": StorageSection,
    "group": GroupSection,
    "routing": RoutingSection,
}


def files_format(format_: FileFormat, ui: FormatUi) -> Format:
    """Return the format for the hook ``repoman_register_formats``."""
    return Format(
        name=format_.name,
        title=format_.title,
        blueprints=(files_blueprint(format_),),
        render_error=format_.render_error,
        access_of=format_.access,
        token_of=format_.token,
        credentials_of=format_.credentials,
        speaks=format_.speaks,
        name_of=format_.name_at,
        ui=ui,
    )


def files_recipes(
    format_: FileFormat,
    sections: Mapping[str, type[Section]],
    *,
    proxy: Mapping[str, type[Section]] | None = None,
    group: Mapping[str, type[Section]] | None = None,
) -> list[Recipe]:
    """Return a recipe for each type, for the hook ``repoman_register_recipes``.

    ``sections`` are those of the format, which all types have; ``proxy`` and ``group`` are those
    that proxies or groups have besides, or in place of one of the same name.
    """
    rules = replace(
        format_.rules, asset_path=asset_path, name_of=format_.name_at, is_browsed=is_browsed
    )
    make = partial(Recipe, format=format_.name, rules=rules, rest_name=format_.rest_name)
    common: Mapping[str, type[Section]] = {"access": AccessSection, **sections}
    return [
        make(
            type=RepositoryType.HOSTED,
            sections={**common, **HOSTED, **_storage_of(format_)},
            build=partial(_build_hosted, format_),
            upload=format_.upload,
        ),
        make(
            type=RepositoryType.PROXY,
            sections={**common, **PROXY, **(proxy or {})},
            build=partial(_build_proxy, format_),
        ),
        make(
            type=RepositoryType.GROUP,
            sections={**common, **GROUP, **(group or {})},
            build=partial(_build_group, format_),
        ),
    ]


def _storage_of(format_: FileFormat) -> Mapping[str, type[Section]]:
    if format_.write_policy is WritePolicy.ALLOW:
        return {}
    return {"storage": OnceStorageSection}


def _build_hosted(format_: FileFormat, context: RepositoryContext) -> Built:
    service = HostedFiles(format_, context)
    return Built(
        service,
        Capabilities(
            delete_component=service.delete_component,
            delete_asset=lambda path, _check: service.delete_paths([path]),
            upload=service if format_.upload else None,
        ),
    )


def _build_proxy(format_: FileFormat, context: RepositoryContext) -> Built:
    service = ProxyFiles(format_, context)
    return Built(
        service,
        Capabilities(
            remote=service.remote,
            delete_component=service.drop_component,
            delete_asset=lambda path, _check: service.drop([path]),
        ),
    )


def _build_group(format_: FileFormat, context: RepositoryContext) -> Built:
    service = GroupFiles(format_, context)
    return Built(service, Capabilities(trace=service.trace))
