"""The settings sections of Docker repositories."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from repoman.plugin import (
    ConnectorSection,
    HostedStorageSection,
    ProxySection,
    RegularExpressions,
    Rest,
    RoutingSection,
    Section,
    WebAddress,
    plain_address,
)
from repoman_docker.protocol.patterns import PATTERNS_MAX, check_patterns, parse_pattern
from repoman_docker.protocol.registries import (
    HUB_URL,
    is_hub,
    namespaces_of,
    parse_host,
    registry_address,
    without_api,
)

RegistryHost = Annotated[str, AfterValidator(parse_host)]
TagPatterns = Annotated[
    tuple[Annotated[str, AfterValidator(parse_pattern)], ...],
    Field(max_length=PATTERNS_MAX),
    AfterValidator(check_patterns),
]


class DockerSection(ConnectorSection):
    """How clients reach the repository, and what it accepts."""

    in_rest: ClassVar = {
        **dict.fromkeys(("http_port", "https_port"), Rest()),
        "v1_enabled": Rest(is_required=True),
        "force_basic_auth": Rest(is_required=True),
        # Clients refuse fields that they do not know.
        **dict.fromkeys(
            (
                "manifest_limit",
                "sparse",
                "descriptor_limit",
                "page_limit",
                "catalog_page",
                "scan_limit",
                "referrers_limit",
                "namespaces",
                "chunk_min_length",
            )
        ),
    }

    v1_enabled: bool = Field(
        False,
        description="Whether the Docker V1 API is enabled, which docker search needs.",
        title="Docker V1 API",
        json_schema_extra={"hint": "docker search needs it."},
    )
    manifest_limit: int = Field(
        8_388_608,
        ge=1_048_576,
        description="Maximum size of a manifest, in bytes.",
        title="Largest manifest",
        json_schema_extra={"unit": "MiB", "hint": "Clients read up to 4 MiB.", "advanced": True},
    )
    sparse: bool = Field(
        False,
        description="Whether an image may lack layers; its config and one layer must exist. "
        "An index may always lack images.",
        title="Accept images that lack layers",
        json_schema_extra={"hint": "An index may always lack images.", "advanced": True},
    )
    descriptor_limit: int = Field(
        1_000,
        ge=1,
        description="Maximum number of layers of a pushed image, or of images in an index.",
        title="Most layers of an image",
        json_schema_extra={"hint": "Or images of an index.", "advanced": True},
    )
    page_limit: int = Field(
        10_000,
        ge=1,
        description="Maximum number of tags or image names on one page of a list.",
        title="Most names on a page",
        json_schema_extra={"hint": "Of tags, or of images.", "advanced": True},
    )
    catalog_page: int = Field(
        1_000,
        ge=1,
        description="Number of image names on a page if the client asks for no number.",
        title="Names on a page of the catalog",
        json_schema_extra={"hint": "If the client asks for no number.", "advanced": True},
    )
    scan_limit: int = Field(
        10_000,
        ge=1,
        description="Maximum number of entries of a list that one request reads for a client that "
        "may see, or asks for, only some of them; the rest is on further pages.",
        title="Most entries read for a list",
        json_schema_extra={
            "hint": "By one request of a client that may see only some of them.",
            "advanced": True,
        },
    )
    referrers_limit: int = Field(
        4_194_304,
        ge=65_536,
        description="Maximum size of a page of referrers, in bytes.",
        title="Largest page of referrers",
        json_schema_extra={"unit": "MiB", "hint": "", "advanced": True},
    )
    force_basic_auth: bool = Field(
        False,
        description="Whether clients authenticate with Basic only and get no tokens; docker then "
        "cannot pull anonymously, because it asks for a token first.",
        title="Force basic authentication",
        json_schema_extra={
            "hint": "Clients get no tokens; docker then cannot pull without a login."
        },
    )
    namespaces: tuple[RegistryHost, ...] = Field(
        (),
        description="Hosts of the registries that it mirrors for clients that send ?ns=; empty: "
        "the remote of a proxy, the registries of the members of a group.",
        title="Registries that it mirrors",
        json_schema_extra={
            "hint": "Hosts, for clients that send ?ns=. Empty: the upstream of a proxy, the "
            "registries of the members of a group.",
            "rows": 2,
            "advanced": True,
        },
    )
    chunk_min_length: int = Field(
        0,
        ge=0,
        description="Minimum length of upload chunks, in bytes, that clients are asked for; 0: no "
        "minimum. Shorter chunks are accepted as well.",
        title="Smallest upload chunk",
        json_schema_extra={
            "unit": "MiB",
            "hint": "What clients are asked for. 0: no minimum.",
            "advanced": True,
        },
    )
    subdomain: str = Field(
        "",
        description="Kept for clients of the REST API; must be empty until subdomains work.",
        json_schema_extra={"widget": "none"},
    )
    path_enabled: bool | None = Field(
        None,
        description="Kept for clients of the REST API; must not be true until paths work.",
        json_schema_extra={"widget": "none"},
    )

    @field_validator("subdomain")
    @classmethod
    def _check_subdomain(cls, value: str) -> str:
        if value:
            raise ValueError(
                "subdomains are not supported: leave it out, and set a port (http_port or "
                "https_port)"
            )
        return value

    @field_validator("path_enabled")
    @classmethod
    def _check_path_enabled(cls, value: bool | None) -> bool | None:
        if value:
            raise ValueError(
                "repositories in the path are not supported: leave it out, and set a port "
                "(http_port or https_port)"
            )
        return value

    @property
    def stands_for(self) -> frozenset[str] | None:
        """All names of the registries in ``namespaces``; None if none are set."""
        return namespaces_of(self.namespaces) if self.namespaces else None


class DockerHostedSection(DockerSection):
    """How clients reach the registry, which tags are fixed, and how long old ones return."""

    in_rest: ClassVar = dict.fromkeys(("undo_days", "untagged_days", "immutable_tags"))

    undo_days: int = Field(
        14,
        ge=0,
        le=365,
        description="Deleted and moved tags can be restored for so many days; their images are "
        "kept as long.",
        title="Undo",
        json_schema_extra={
            "unit": "days",
            "hint": "Deleted and moved tags can be restored for so long.",
        },
    )
    untagged_days: int | None = Field(
        None,
        ge=1,
        le=3650,
        description="Untagged images go so many days after their last pull and after their last "
        "tag left; unset: never.",
        title="Delete untagged images",
        json_schema_extra={
            "unit": "days",
            "hint": "After their last pull, and after their last tag left. Empty: never.",
            "first_run": {
                "question": "Delete untagged images",
                "text": "Each push of a tag that exists leaves an image without a tag. Clients "
                "that know its digest can still pull it, so it stays until a rule deletes it.",
                "label": "Keep them for",
                "hint": "After their last pull, and after their last tag left.",
                "proposal": 30,
            },
        },
    )
    immutable_tags: TagPatterns = Field(
        (),
        description="Patterns of tags that can neither be moved nor deleted, such as v*; those "
        "after a ! are exceptions, such as !v*-rc*. IMAGE:TAG is a pattern for some images.",
        title="Immutable tags",
        json_schema_extra={
            "hint": "Patterns such as v* or team/app:v*, and after a ! exceptions such as "
            "!v*-rc*. These tags can neither be moved nor deleted.",
            "rows": 3,
        },
    )


class IndexType(StrEnum):
    """Where a proxy searches for images; plugins may add more."""

    REGISTRY = "registry"
    HUB = "hub"
    CUSTOM = "custom"


class DockerProxySection(Section):
    """How a proxy uses its upstream."""

    model_config = ConfigDict(title="Images of the upstream")

    in_rest: ClassVar = {
        "index_type": Rest(is_required=True, words=tuple(IndexType)),
        "v1_remote": None,
        "expand_library": None,
    }

    index_type: str = Field(
        IndexType.REGISTRY,
        description="Where images are searched: registry (the remote), hub (Docker Hub) or custom.",
        title="Docker index",
        json_schema_extra={
            "hint": "Where docker search looks.",
            "labels": {
                "registry": "The upstream itself",
                "hub": "Docker Hub, whose own registry has no search",
                "custom": "Another index",
            },
        },
    )
    index_url: WebAddress | Literal[""] = Field(
        "",
        description="Address of the index, for index_type custom.",
        title="Address of the index",
        json_schema_extra={"hint": "Only for a custom index."},
    )
    v1_remote: bool = Field(
        False,
        description="Whether the remote speaks only the Docker V1 API. The whole image "
        "is then fetched when its tag is first requested.",
        title="The upstream speaks only the Docker V1 API",
        json_schema_extra={"advanced": True, "hint": ""},
    )
    cache_foreign_layers: bool = Field(
        False,
        description="Whether foreign layers are fetched from their own addresses.",
        title="Fetch foreign layers",
        json_schema_extra={"hint": "From their own addresses.", "advanced": True},
    )
    foreign_layer_url_whitelist: RegularExpressions = Field(
        (),
        description="Regular expressions that the whole address of a foreign layer must match; "
        "empty: none is fetched.",
        title="Addresses of foreign layers",
        json_schema_extra={
            "hint": "Regular expressions that match the whole address. Empty: none is fetched.",
            "advanced": True,
        },
    )
    expand_library: bool | None = Field(
        None,
        description="Whether NAME means library/NAME; unset: only at Docker Hub.",
        title="NAME means library/NAME",
        json_schema_extra={
            "hint": "",
            "labels": {"": "Only at Docker Hub", "true": "Yes", "false": "No"},
            "advanced": True,
        },
    )

    @property
    def index(self) -> str:
        """Return the address of the index without the path of its API; empty: there is none."""
        return without_api(plain_address(self.index_url)) if self.index_url else ""

    @model_validator(mode="after")
    def _check_index(self) -> Self:
        if (self.index_type == IndexType.CUSTOM) != bool(self.index_url):
            raise ValueError(
                "index_url is required with index_type custom, and not allowed otherwise"
            )
        return self


class DockerRemoteSection(ProxySection):
    """The registry that a proxy caches."""

    in_rest: ClassVar = {"minimum_age": None}

    minimum_age: int = Field(
        0,
        ge=0,
        description="Hours to hold back new content of a tag; 0: not at all.",
        title="Hold back young tags",
        json_schema_extra={
            "unit": "hours",
            "hint": "A tag that moved upstream stays here as it was for so long. 0: not at all.",
        },
    )

    @field_validator("remote_url", mode="before")
    @classmethod
    def _complete_hub(cls, value: object) -> object:
        """Accept the names of Docker Hub as they are written in image names."""
        return HUB_URL if isinstance(value, str) and is_hub(value.strip().strip("/")) else value

    @field_validator("remote_url")
    @classmethod
    def _check_registry(cls, value: str) -> str:
        registry_address(value)
        return value

    @property
    def remote(self) -> str:
        """Return the address of the API of the registry, given any of its known addresses."""
        return registry_address(plain_address(self.remote_url))


class DockerHostedStorageSection(HostedStorageSection):
    """Where a hosted repository stores its bytes, and whether tags may be overwritten."""

    in_rest: ClassVar = {"redeploy_latest": Rest("latestPolicy")}

    redeploy_latest: bool = Field(
        False,
        description="Whether the tag latest may be moved even with allow_once.",
        title="Let the tag latest be moved",
        json_schema_extra={"hint": "Even if redeploy is disabled."},
    )


class DockerRoutingSection(RoutingSection):
    """Which images a proxy may request, and which a group serves."""

    def path_of(self, name: str, part: tuple[object, ...]) -> str:
        """Return the path of a part of an image, such as of a manifest, or of its list of tags."""
        rest = "/".join(map(str, part)) or "tags/list"
        return f"/v2/{name}/{rest}"
