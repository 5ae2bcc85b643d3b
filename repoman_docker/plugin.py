"""The Docker format as a plugin: what it registers."""

from functools import partial
from typing import Any

import click
from pluggy import PluginManager

from repoman.plugin import (
    AccessSection,
    Area,
    AssetView,
    CleanupSection,
    ComponentLink,
    ComponentSection,
    Coordinate,
    DoctorCheck,
    FindRequest,
    Format,
    FormatUi,
    FoundElsewhere,
    GroupSection,
    HomeCard,
    HttpClientSection,
    NegativeCacheSection,
    QuotaSection,
    RealmType,
    Recipe,
    ReplicationSection,
    Repository,
    RepositoryTab,
    RepositoryType,
    SearchCriteria,
    Section,
    StorageSection,
    TaskType,
    UseGuide,
    UseRequest,
    hookimpl,
)
from repoman_docker import hookspecs
from repoman_docker.browsing.first_steps import first_steps
from repoman_docker.browsing.snippets import guide
from repoman_docker.commands import docker as docker_commands
from repoman_docker.doctor import hub_check
from repoman_docker.group import build_group
from repoman_docker.hosted import build_hosted
from repoman_docker.proxy import build_proxy
from repoman_docker.routes.access import name_of, speaks
from repoman_docker.routes.found import find_elsewhere
from repoman_docker.routes.history_pages import pages
from repoman_docker.routes.links import CRITERIA, link_asset, link_component, link_deletion
from repoman_docker.routes.tokens import main_port, token
from repoman_docker.routes.v1 import v1
from repoman_docker.routes.v2 import access_of, credentials_of, render_failure, token_of, v2
from repoman_docker.rules import RULES
from repoman_docker.search import IndexFactory, custom_index, hub_index, registry_index
from repoman_docker.sections import (
    DockerHostedSection,
    DockerHostedStorageSection,
    DockerProxySection,
    DockerRemoteSection,
    DockerRoutingSection,
    DockerSection,
    IndexType,
)
from repoman_docker.tasks import collection_task, incomplete_uploads_task

REPOMAN_API = "1.0"  # The version of the API of plugins that this was written for.
DOCKER = Format(
    name="docker",
    title="Docker",
    blueprints=(token, v1, v2),
    render_error=render_failure,
    access_of=access_of,
    token_of=token_of,
    credentials_of=credentials_of,
    speaks=speaks,
    name_of=name_of,
    needs_root=True,  # clients send /v2/ directly after the host
    trust="/etc/docker/certs.d/HOST:PORT/ca.crt",
    ui=FormatUi(
        "box",
        lambda url: f"docker pull {url.partition('://')[2]}/IMAGE:TAG",
        packages=("image", "images"),
        versions=("tag", "tags"),
        about="Images, Helm charts and other OCI artifacts",
        path_example="/v2/team/app/manifests/latest",
    ),
)

RECIPE = partial(Recipe, format=DOCKER.name, rules=RULES)
# The sections of all types.
COMMON: dict[str, type[Section]] = {"access": AccessSection, "docker": DockerSection}
# Those of the types that store something.
KEEPING: dict[str, type[Section]] = {"quota": QuotaSection, "cleanup": CleanupSection}


@hookimpl
def repoman_add_hookspecs(pluginmanager: PluginManager) -> None:
    """Add the hooks of this plugin."""
    pluginmanager.add_hookspecs(hookspecs)


@hookimpl
def repoman_docker_index_strategies() -> dict[str, IndexFactory]:
    """Return the index strategies that come with the format."""
    return {
        IndexType.REGISTRY: registry_index,
        IndexType.HUB: hub_index,
        IndexType.CUSTOM: custom_index,
    }


@hookimpl
def repoman_register_formats() -> list[Format]:
    """Return the format."""
    return [DOCKER]


@hookimpl
def repoman_register_realms() -> list[RealmType]:
    """Return the bearer tokens, which clients list among the realms; they are always accepted."""
    return [RealmType("docker-token", "DockerToken", "Docker Bearer Token Realm")]


@hookimpl
def repoman_register_tasks() -> list[TaskType]:
    """Return the tasks of the format."""
    return [incomplete_uploads_task(), collection_task()]


@hookimpl
def repoman_doctor_checks() -> list[DoctorCheck]:
    """Return the check of Docker Hub's limit."""
    return [hub_check()]


@hookimpl
def repoman_register_web() -> list[Any]:
    """Return the routes with which the main port answers registry clients, and the pages."""
    return [main_port, pages]


@hookimpl
def repoman_register_rest() -> list[Area]:
    """Return the endpoints about images."""
    from repoman_docker.routes.rest_tags import docker  # Commands need none of its many models.

    return [docker]


@hookimpl
def repoman_register_commands() -> list[click.Command]:
    """Return the commands about images."""
    return [docker_commands]


@hookimpl
def repoman_web_tabs(repository: Repository) -> list[RepositoryTab]:
    """Return the tabs with the images of a repository, and with what their tags were."""
    if not _is_ours(repository):
        return []
    return [
        RepositoryTab("images", "Images", "docker_pages.images"),
        RepositoryTab("tag-history", "Deleted and moved tags", "docker_pages.history"),
    ]


@hookimpl
def repoman_web_component(repository: Repository, coordinate: Coordinate) -> ComponentLink | None:
    """Return the link to the page about a tag or an image."""
    return link_component(repository, coordinate) if _is_ours(repository) else None


@hookimpl
def repoman_web_asset(repository: Repository, asset: AssetView) -> ComponentLink | None:
    """Return the link to the page about a manifest, a tag or a layer."""
    return link_asset(repository, asset) if _is_ours(repository) else None


@hookimpl
def repoman_web_deletion(repository: Repository, asset: AssetView) -> str | None:
    """Return the address of the page that deletes a tag or a manifest."""
    return link_deletion(repository, asset) if _is_ours(repository) else None


@hookimpl
def repoman_web_criteria() -> list[SearchCriteria]:
    """Return by what images and tags are searched for."""
    return [CRITERIA]


@hookimpl
def repoman_web_find(request: FindRequest) -> list[FoundElsewhere]:
    """Return the images that the indexes of proxies have."""
    return find_elsewhere(request)


@hookimpl
def repoman_web_use(request: UseRequest) -> UseGuide | None:
    """Return how clients use a repository."""
    return guide(request) if _is_ours(request.repository) else None


@hookimpl
def repoman_web_home(requests: list[UseRequest]) -> list[HomeCard]:
    """Return a pull and a push to try."""
    return first_steps([each for each in requests if _is_ours(each.repository)])


def _is_ours(repository: Repository) -> bool:
    return repository.config.format == DOCKER.name


@hookimpl
def repoman_register_recipes() -> list[Recipe]:
    """Return the recipe of each repository type."""
    return [
        RECIPE(
            type=RepositoryType.HOSTED,
            sections={
                **COMMON,
                "docker": DockerHostedSection,
                "storage": DockerHostedStorageSection,
                **KEEPING,
                "component": ComponentSection,
            },
            build=build_hosted,
        ),
        RECIPE(
            type=RepositoryType.PROXY,
            sections={
                **COMMON,
                "storage": StorageSection,
                **KEEPING,
                "proxy": DockerRemoteSection,
                "negative_cache": NegativeCacheSection,
                "http_client": HttpClientSection,
                "routing": DockerRoutingSection,
                "replication": ReplicationSection,
                "docker_proxy": DockerProxySection,
            },
            build=build_proxy,
        ),
        RECIPE(
            type=RepositoryType.GROUP,
            sections={
                **COMMON,
                "storage": StorageSection,
                "group": GroupSection,
                "routing": DockerRoutingSection,
            },
            build=build_group,
        ),
    ]
