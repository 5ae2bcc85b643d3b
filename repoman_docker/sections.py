"""The settings sections of Docker repositories."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from repoman.plugin import (
    HostedStorageSection,
    ProxySection,
    RegularExpression,
    Section,
    WebAddress,
)
from repoman_docker.protocol.registries import (
    HUB_URL,
    is_hub,
    namespaces_of,
    parse_host,
    registry_address,
    without_api,
)

RegistryHost = Annotated[str, AfterValidator(parse_host)]


class DockerSection(Section):
    """How clients reach the repository, and what it takes."""

    http_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the HTTP connector; none: no connector."
    )
    https_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the HTTPS connector; none: no connector."
    )
    v1_enabled: bool = Field(
        False,
        description="Whether the Docker V1 API is enabled, which docker search needs.",
    )
    manifest_limit: int = Field(
        8_388_608, ge=1_048_576, description="Largest manifest that is accepted, in bytes."
    )
    sparse: bool = Field(
        True,
        description="Whether an index may lack images and an image layers; its config and one "
        "layer must be there.",
    )
    page_limit: int = Field(
        10_000,
        ge=1,
        description="Most tags or image names in one answer; the rest comes on further pages.",
    )
    catalog_page: int = Field(
        1_000, ge=1, description="Image names in an answer to a client that asks for no number."
    )
    referrers_limit: int = Field(
        4_194_304, ge=65_536, description="Longest answer with referrers, in bytes."
    )
    force_basic_auth: bool = Field(
        False,
        description="Whether clients log in with Basic only and are offered no tokens; anonymous "
        "clients then cannot pull with docker, which asks for a token first.",
    )
    namespaces: tuple[RegistryHost, ...] = Field(
        (),
        description="Hosts of the registries it stands for when clients ask with ?ns=; none: a "
        "proxy for its remote, a group for those of its members.",
    )
    chunk_min_length: int = Field(
        0,
        ge=0,
        description="Length of chunks, in bytes, that uploading clients are asked to reach; 0 asks "
        "nothing. Shorter ones are accepted all the same.",
    )

    @property
    def stands_for(self) -> frozenset[str] | None:
        """All names of the registries in ``namespaces``; None if none are set."""
        return namespaces_of(self.namespaces) if self.namespaces else None

    def ports(self) -> Iterable[tuple[str, str, int]]:
        """Return the connectors."""
        if self.http_port is not None:
            yield "http_port", "http", self.http_port
        if self.https_port is not None:
            yield "https_port", "https", self.https_port


class IndexType(StrEnum):
    """Where a proxy searches for images; plugins may bring more."""

    REGISTRY = "registry"
    HUB = "hub"
    CUSTOM = "custom"


class DockerProxySection(Section):
    """How a proxy understands its remote."""

    index_type: str = Field(
        IndexType.REGISTRY,
        description="Where images are searched: registry (the remote), hub (Docker Hub) or custom.",
    )
    index_url: WebAddress | Literal[""] = Field(
        "", description="Address of the index; only with index_type custom."
    )
    v1_remote: bool = Field(
        False,
        description="Whether the remote speaks only the Docker V1 API. An image is then fetched "
        "whole when its tag is first asked for.",
    )
    cache_foreign_layers: bool = Field(
        False, description="Whether layers that lie elsewhere are fetched from there."
    )
    foreign_layer_url_whitelist: tuple[RegularExpression, ...] = Field(
        (), description="Regular expressions on the whole address of such a layer; none: none."
    )
    expand_library: bool | None = Field(
        None,
        description="Whether a name of one component means library/NAME; unset: at Docker Hub.",
    )

    @field_validator("index_url")
    @classmethod
    def _check_index_url(cls, value: str) -> str:
        return without_api(value)

    @model_validator(mode="after")
    def _check_index(self) -> Self:
        if (self.index_type == IndexType.CUSTOM) != bool(self.index_url):
            raise ValueError("index_url belongs to index_type custom, which needs it")
        return self


class DockerRemoteSection(ProxySection):
    """Which registry a proxy is one of."""

    @field_validator("remote_url", mode="before")
    @classmethod
    def _complete_hub(cls, value: object) -> object:
        """Take the names of Docker Hub also as they are written in names of images."""
        return HUB_URL if isinstance(value, str) and is_hub(value.strip().strip("/")) else value

    @field_validator("remote_url")
    @classmethod
    def _check_registry(cls, value: str) -> str:
        return registry_address(value)


class DockerHostedStorageSection(HostedStorageSection):
    """Where a hosted repository keeps its bytes, and who may overwrite tags."""

    redeploy_latest: bool = Field(
        False, description="Whether allow_once still lets the tag latest be moved."
    )
