"""The settings sections of Docker repositories."""

from collections.abc import Iterable

from pydantic import Field

from repoman.plugin import HostedStorageSection, Section


class DockerSection(Section):
    """How clients reach the repository, and what it takes."""

    http_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the HTTP connector; none: no connector."
    )
    https_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the HTTPS connector; none: no connector."
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
    chunk_min_length: int = Field(
        0,
        ge=0,
        description="Length of chunks, in bytes, that uploading clients are asked to reach; 0 asks "
        "nothing. Shorter ones are accepted all the same.",
    )

    def ports(self) -> Iterable[tuple[str, str, int]]:
        """Return the connectors."""
        if self.http_port is not None:
            yield "http_port", "http", self.http_port
        if self.https_port is not None:
            yield "https_port", "https", self.https_port


class DockerHostedStorageSection(HostedStorageSection):
    """Where a hosted repository keeps its bytes, and who may overwrite tags."""

    redeploy_latest: bool = Field(
        False, description="Whether allow_once still lets the tag latest be moved."
    )
