"""What the format registers with the core. Read this first, then service, hosted, routes."""

from functools import partial

from repoman.plugin import (
    AccessSection,
    Built,
    Capabilities,
    CleanupSection,
    ComponentSection,
    ContentRules,
    Coordinate,
    Format,
    FormatUi,
    GroupSection,
    GroupTrace,
    HostedStorageSection,
    HttpClientSection,
    NegativeCacheSection,
    ProxySection,
    QuotaSection,
    Recipe,
    ReplicationSection,
    Repository,
    RepositoryContext,
    RepositoryType,
    RoutingSection,
    SearchField,
    SearchTarget,
    Section,
    StorageSection,
    UploadGuide,
    UseGuide,
    UseRequest,
    beginning_with,
    hookimpl,
)
from repoman_raw.browsing import guide
from repoman_raw.group import RawGroup, open_members, parse_question
from repoman_raw.hosted import FILE, UPLOAD, RawHosted
from repoman_raw.proxy import RawProxy
from repoman_raw.routes import files
from repoman_raw.service import RawSection

RULES = ContentRules(
    component_path=lambda file: f"/{file.name}",
    component_kinds=(FILE,),  # Lists need not look which there are.
    stored_below=lambda beginning: beginning_with(beginning.removeprefix("/")),
    names_below=lambda beginning: beginning_with(beginning.removeprefix("/")),
    shown=lambda file: Coordinate(file.kind, f"/{file.name}", "", f"/{file.namespace}"),
    search_fields={"raw.name": SearchField(SearchTarget.NAME, "Path of a file.")},
)
RAW = Format(
    name="raw",
    title="Raw",
    blueprints=(files,),
    ui=FormatUi(
        "file",
        lambda url: f"curl -O {url}/PATH",
        about="Plain files under their paths",
        path_example="/docs/manual.pdf",
    ),
)

GUIDE = UploadGuide(
    labels={"directory": "Folder"},
    hints={"directory": "A slash is the top. Missing folders are made."},
    values={"directory": "/"},
    stores_each=True,
)


def build_hosted(context: RepositoryContext) -> Built:
    """Return the service of a hosted repository, and what the core may ask of it."""
    storage = context.config.section("storage", HostedStorageSection)
    service = RawHosted(
        context.config.name,
        storage.write_policy,
        headers=context.config.section("raw", RawSection).headers,
        content=context.content,
        blobs=context.blobs,
    )
    return Built(
        service,
        Capabilities(
            delete_component=lambda file: service.delete(file.name),
            delete_asset=lambda path, _check: service.delete(path),
            upload=service,
        ),
    )


def build_proxy(context: RepositoryContext) -> Built:
    """Return the service of a proxy, and what the core may ask of it."""
    service = RawProxy(context)
    return Built(
        service,
        Capabilities(
            remote=service.remote,
            delete_component=lambda file: service.drop(file.name),
            delete_asset=lambda path, _check: service.drop(path),
        ),
    )


def build_group(context: RepositoryContext) -> Built:
    """Return the service of a group, and what the core may ask of it."""
    members = open_members(context)
    return Built(RawGroup(members), Capabilities(trace=GroupTrace(members, parse_question)))


RECIPE = partial(Recipe, format=RAW.name, rules=RULES)
# The sections of all types.
COMMON: dict[str, type[Section]] = {"access": AccessSection, "raw": RawSection}

HOSTED = RECIPE(
    type=RepositoryType.HOSTED,
    sections={
        **COMMON,
        "storage": HostedStorageSection,
        "quota": QuotaSection,
        "cleanup": CleanupSection,
        "component": ComponentSection,
    },
    build=build_hosted,
    upload=UPLOAD,
)
PROXY = RECIPE(
    type=RepositoryType.PROXY,
    sections={
        **COMMON,
        "storage": StorageSection,
        "quota": QuotaSection,
        "cleanup": CleanupSection,
        "proxy": ProxySection,
        "negative_cache": NegativeCacheSection,
        "http_client": HttpClientSection,
        "replication": ReplicationSection,
        "routing": RoutingSection,
    },
    build=build_proxy,
)
GROUP = RECIPE(
    type=RepositoryType.GROUP,
    sections={
        **COMMON,
        "storage": StorageSection,
        "group": GroupSection,
        "routing": RoutingSection,
    },
    build=build_group,
)


@hookimpl
def repoman_register_formats() -> list[Format]:
    """Return the format: its name and its routes."""
    return [RAW]


@hookimpl
def repoman_web_upload(repository: Repository) -> UploadGuide | None:
    """Return how the form for uploads looks."""
    return GUIDE if repository.config.format == RAW.name else None


@hookimpl
def repoman_web_use(request: UseRequest) -> UseGuide | None:
    """Return how clients use a repository."""
    return guide(request) if request.repository.config.format == RAW.name else None


@hookimpl
def repoman_register_recipes() -> list[Recipe]:
    """Return one recipe for each repository type of the format."""
    return [HOSTED, PROXY, GROUP]
