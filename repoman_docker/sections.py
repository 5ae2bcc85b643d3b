"""The settings sections of Docker repositories."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from repoman.plugin import ConnectorSection, HostedStorageSection, RegularExpression, Section


class DockerSection(ConnectorSection):
    """How clients reach the repository, and what it takes."""

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
    chunk_min_length: int = Field(
        0,
        ge=0,
        description="Length of chunks, in bytes, that uploading clients are asked to reach; 0 asks "
        "nothing. Shorter ones are accepted all the same.",
    )


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
    index_url: str = Field("", description="Address of the index; only with index_type custom.")
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

    @model_validator(mode="after")
    def _check_index(self) -> Self:
        if (self.index_type == IndexType.CUSTOM) != bool(self.index_url):
            raise ValueError("index_url belongs to index_type custom, which needs it")
        return self


class DockerHostedStorageSection(HostedStorageSection):
    """Where a hosted repository keeps its bytes, and who may overwrite tags."""

    redeploy_latest: bool = Field(
        False, description="Whether allow_once still lets the tag latest be moved."
    )
